"""Settings: read, checked, with the place that each value came from."""
