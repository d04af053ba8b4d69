"""``python -m edgejoule``: the same as the command ``edgejoule``."""

import sys

from edgejoule.command_line import main

if __name__ == "__main__":
    sys.exit(main())
