"""Settings: where they come from, what they may be, and one clear sentence for each that cannot be used."""
