"""``python -m bench.calibrate``: see ``python -m bench.calibrate --help``."""

import sys

from bench.calibrate.calibrate_command import main

if __name__ == "__main__":
    sys.exit(main())
