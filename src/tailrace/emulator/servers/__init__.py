"""The HTTP that others speak with an environment: the in-sandbox APIs, and Lambda's Invoke API outside."""
