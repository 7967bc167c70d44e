"""A Lambda execution environment on this machine: a pure machine, and the shells that run it."""
