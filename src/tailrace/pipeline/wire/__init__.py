"""Carrying requests: HTTP, TLS, files, standard output."""
