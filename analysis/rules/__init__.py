"""Checks of a study as a whole: its validity, and the twelve rules of scientific benchmarking."""
