"""A process that waits for the end of the benchmark: ``boards_guard RUN_ID [TESTBED...]``.

Where the benchmark says ``over`` there is nothing to do. Where its end of the pipe closes without a word it was killed: its
ranks are ended, and its boards are taken down.
"""

from __future__ import annotations

import sys
import time

from bench.common.user_error import UserError
from bench.emulation import lifecycle
from bench.emulation.state_files import Lock
from bench.launch.supervised_process import sweep

PATIENCE_S = 30.0


def clear(run_id: str, testbeds: list[str]) -> None:
    """End the ranks of a run, and take down its boards.

    Args:
        run_id: Of the ranks.
        testbeds: Names of boards.

    Raises:
        UserError: Another process works with them by now.
    """
    sweep(run_id)
    deadline = time.monotonic() + PATIENCE_S
    for name in testbeds:
        while True:
            try:
                with Lock(name):
                    lifecycle.down(name)
                break
            except UserError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)


def main(argv: list[str]) -> int:
    run_id, *testbeds = argv
    if sys.stdin.readline().strip() == "over":
        return 0
    try:
        clear(run_id, testbeds)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
