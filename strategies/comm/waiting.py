"""How a rank waits for its partners: spinning (MPI's own way) or polling with a sleep.

A blocked MPI call burns a core: fastest to react, and it costs joules. Polling sleeps between tests, from 20 us
up to 1 ms, and gives the core to whoever needs it.
"""

from __future__ import annotations

import time
from typing import Any

from strategies.comm.comm_options import Wait

FIRST_SLEEP_S = 20e-6
LONGEST_SLEEP_S = 1e-3


def finish(request: Any, wait: Wait) -> None:
    """Return when an MPI request is complete.

    Args:
        request: An ``MPI.Request``.
        wait: ``spin`` blocks inside MPI; otherwise tests with sleeps of 20 us up to 1 ms in between.
    """
    if wait == "spin":
        request.Wait()
        return
    sleep_s = FIRST_SLEEP_S
    while not request.Test():
        time.sleep(sleep_s)
        sleep_s = min(2 * sleep_s, LONGEST_SLEEP_S)
