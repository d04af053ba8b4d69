"""``python -m bench.monitor``: the same as ``edgejoule monitor``."""

import sys

from bench.monitor.monitor_command import main

if __name__ == "__main__":
    sys.exit(main())
