"""How a rank waits for its partners: spinning (MPI's own way) or polling with a sleep; and how large its messages are.

A blocked MPI call burns a core: fastest to react, and it costs joules. Polling sleeps between tests and gives the core to
whoever needs it; but a message moves only while a test lets MPI work. Over 1 Gbit/s an all-reduce of 1.5 MB between two ranks
took 18 ms with sleeps of up to 1 ms and 14 ms with 100 us, so those are the longest. A rank with less than a core sleeps and
pumps as much more rarely as it has less: what a wake-up costs is the same share of what it has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from strategies.comm.comm_options import Wait

if TYPE_CHECKING:
    from torch import Tensor

FIRST_SLEEP_S = 20e-6
LONGEST_SLEEP_S = 100e-6
PUMP_PERIOD_S = 300e-6
MOST = 10.0
"""No rank sleeps longer than so many times what one with a core does: messages would stand still."""


@dataclass(frozen=True)
class Waiting:
    """How the operations of a group wait.

    Attributes:
        wait: ``spin`` blocks inside MPI; ``poll`` tests with sleeps in between.
        cores: That the rank may use alone; sleeps are longer below one.
        segment_bytes: Messages are cut into pieces of at most so many bytes; 0: they are not cut.
    """

    wait: Wait = "spin"
    cores: float = 1.0
    segment_bytes: int = 0

    @property
    def longest_sleep_s(self) -> float:
        """Between two tests."""
        return LONGEST_SLEEP_S * self._rarer

    @property
    def pump_period_s(self) -> float:
        """Between two looks of the pump."""
        return PUMP_PERIOD_S * self._rarer

    @property
    def _rarer(self) -> float:
        return min(MOST, 1 / min(1.0, self.cores))

    def pieces(self, tensor: Tensor) -> Sequence[Tensor]:
        """What leaves as one message each.

        A piece within the eager limit needs no answer of its receiver. A larger one does, and where both directions are busy
        that answer waits behind the data of the other: all-reduces of 3 MB between two boards at 100 Mbit/s took twice as long
        as the link needs. What was sent is carried on by the kernel, too, while neither rank is inside MPI.

        Args:
            tensor: 1-d, contiguous.

        Returns:
            Its pieces in order; both ends cut alike.
        """
        length = self.segment_bytes // tensor.element_size()
        return tensor.split(length) if length else (tensor,)

    def finish(self, request: Any) -> None:
        """Return when an MPI request is complete.

        Args:
            request: An ``MPI.Request``.
        """
        if self.wait == "spin":
            request.Wait()
        else:
            self._sleep_until(request.Test)

    def finish_all(self, requests: list[Any]) -> None:
        """Return when MPI requests are complete.

        One after the other: where one fails, MPI's own call for all of them says no more than that (``MPI_ERR_IN_STATUS``), and
        whoever recovers must see that a partner is gone (``MPI_ERR_PROC_FAILED``).

        Args:
            requests: Some ``MPI.Request``.
        """
        for request in requests:
            self.finish(request)

    def _sleep_until(self, complete: Callable[[], bool]) -> None:
        sleep_s = FIRST_SLEEP_S
        while not complete():
            time.sleep(sleep_s)
            sleep_s = min(2 * sleep_s, self.longest_sleep_s)
