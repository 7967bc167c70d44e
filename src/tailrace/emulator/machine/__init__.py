"""The truth about an execution environment, without sockets, processes or clocks: facts in, effects out."""
