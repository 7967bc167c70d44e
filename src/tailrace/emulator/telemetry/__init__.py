"""Telemetry on its way to subscribers, over HTTP and TCP, and the log of what became of it."""
