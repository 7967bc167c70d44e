"""Where records go: one file a protocol. The scheme table is in `registry`."""
