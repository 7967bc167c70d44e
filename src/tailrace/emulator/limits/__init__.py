"""What a function may use of the machine: memory and its share of the processors."""
