"""What happens to records between a receiver and the destinations."""
