"""``python -m bench.calibrate sensor|model|waiting``: see ``python -m bench.calibrate --help``."""
