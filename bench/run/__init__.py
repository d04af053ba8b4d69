"""What every rank does, from the configuration of a point to its record."""
