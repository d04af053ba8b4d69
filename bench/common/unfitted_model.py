"""How uncertain joules are that are modelled from published wattages: for the model, and for readers of old records."""

UNFITTED_U = 0.30
"""Least relative standard uncertainty. Two published readings of one Raspberry Pi 4 differ by a factor of 1.56 at half load, a
standard deviation of 0.31 (docs/explanation/modelled-power.md)."""
