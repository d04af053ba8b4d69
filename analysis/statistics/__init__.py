"""Summaries of repeats, rank tests, uncertainty of joules, bounds and crossing points."""
