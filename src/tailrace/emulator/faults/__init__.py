"""A seeded plan of things that go wrong, decided purely and carried out by a thin shell around the driver."""
