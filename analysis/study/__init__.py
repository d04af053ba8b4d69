"""A study as its records tell it: points, labels, sweeps, traces, checks of the whole."""
