"""``python -m bench.calibrate sensor|waiting``: see ``python -m bench.calibrate --help``."""
