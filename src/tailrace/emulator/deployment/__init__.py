"""From what a user types to a `FunctionConfig`: code, layers, runtimes, variables, policies."""
