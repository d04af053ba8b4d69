"""``python -m bench.testbed up|down|status``: see ``python -m bench.testbed --help``."""
