"""Building what is deployed: the layer."""
