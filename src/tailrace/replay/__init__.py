"""Reading dead letters back and sending them again. Runs where people work, not on Lambda: any library may be used."""
