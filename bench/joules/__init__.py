"""From readings of power and energy to joules with their uncertainty. Pure functions of traces."""
