"""What flows inside: records, batches, and where they come from."""
