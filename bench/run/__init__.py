"""The way of a point on every rank, from its configuration to its record."""
