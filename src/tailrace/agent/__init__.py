"""The Lambda extension."""
