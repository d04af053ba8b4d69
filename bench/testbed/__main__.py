"""``python -m bench.testbed``: see ``python -m bench.testbed --help``."""

import sys

from bench.testbed.testbed_command import main

if __name__ == "__main__":
    sys.exit(main())
