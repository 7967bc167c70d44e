"""What cannot be delivered, on its way to a second destination."""
