"""What AWS wants of a client: credentials, endpoints, signatures. Without an SDK."""
