"""What lies on ephemeral storage: batches, and the account that the next process goes on with."""
