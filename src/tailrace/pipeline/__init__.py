"""Pure policies that queue, batch, retry and account for records, and the shells that run them."""
