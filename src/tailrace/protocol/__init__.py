"""Lambda's in-sandbox HTTP contracts as data: what both halves agree on."""
