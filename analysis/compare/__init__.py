"""Differences of two studies: which changed, by how much, and whether that is real."""
