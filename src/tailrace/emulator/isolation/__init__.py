"""How far an environment is kept apart from the machine it runs on: plain processes, or namespaces of its own."""
