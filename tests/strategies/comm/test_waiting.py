"""Sleeps between tests: short enough that messages move, and the rarer the less of a core a rank has."""

from __future__ import annotations

import pytest

from strategies.comm import waiting
from strategies.comm.waiting import Waiting


class Request:
    """An MPI request that is complete at the ``tests``-th look."""

    def __init__(self, tests: int) -> None:
        self.left, self.waited = tests, False

    def Test(self) -> bool:
        self.left -= 1
        return self.left <= 0

    def Wait(self) -> None:
        self.waited = True


@pytest.mark.parametrize(
    ("cores", "longest_s", "period_s"),
    [(4.0, 100e-6, 300e-6), (1.0, 100e-6, 300e-6), (0.5, 200e-6, 600e-6), (0.1, 1e-3, 3e-3), (0.01, 1e-3, 3e-3)],
)
def test_sleeps_and_the_pump_follow_the_share_of_a_core(cores: float, longest_s: float, period_s: float) -> None:
    """What a wake-up costs is a constant part of what the rank has, down to a tenth of a core."""
    assert Waiting("poll", cores).longest_sleep_s == pytest.approx(longest_s)
    assert Waiting("poll", cores).pump_period_s == pytest.approx(period_s)


def test_polling_sleeps_longer_and_longer_up_to_its_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(waiting.time, "sleep", slept.append)
    Waiting("poll", 0.5).finish(Request(7))
    assert slept == pytest.approx([20e-6, 40e-6, 80e-6, 160e-6, 200e-6, 200e-6])


def test_spinning_blocks_inside_mpi() -> None:
    request = Request(1)
    Waiting("spin").finish(request)
    assert request.waited
    assert request.left == 1
