"""Messages that arrive later: how many pass one after the other, and that a delay of nothing touches nothing."""

from __future__ import annotations

import time

import pytest

from strategies.comm.comm_options import AllReduce
from strategies.comm.message_latency import arrive_later, is_under_way, latencies


class Request:
    """An MPI request that tells how often it was asked."""

    def __init__(self, complete: bool) -> None:
        self.complete, self.asked = complete, 0

    def Test(self) -> bool:
        self.asked += 1
        return self.complete


@pytest.mark.parametrize(
    ("op", "algorithm", "counts"),
    [
        ("all_reduce", "ring", {1: 0, 2: 2, 3: 4, 4: 6}),
        ("all_reduce", "recursive_doubling", {1: 0, 2: 1, 3: 2, 4: 2}),
        ("all_reduce", "mpi", {1: 0, 2: 2, 3: 4, 4: 4}),
        ("all_gather", "mpi", {1: 0, 2: 1, 3: 2, 4: 2}),
        ("reduce_scatter", "mpi", {1: 0, 2: 1, 4: 2}),
        ("reduce_scatter", "ring", {1: 0, 2: 1, 3: 2, 4: 3}),
        ("all_gather", "ring", {1: 0, 2: 1, 4: 3}),
        ("all_to_all", "mpi", {1: 0, 2: 1, 4: 1}),
    ],
)
def test_messages_one_after_the_other(op: str, algorithm: AllReduce, counts: dict[int, int]) -> None:
    assert {ranks: latencies(op, ranks, algorithm) for ranks in counts} == counts


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was slept, without sleeping."""
    lengths: list[float] = []
    monkeypatch.setattr(time, "sleep", lengths.append)
    return lengths


def test_a_delay_of_nothing_touches_nothing(slept: list[float]) -> None:
    """Without dilation the way of a message is what it was: not even its request is asked."""
    request = Request(complete=False)
    assert not is_under_way([request], 0.0)
    arrive_later(1000, 0.0)
    assert request.asked == 0
    assert slept == []


def test_only_a_message_under_way_is_late(slept: list[float]) -> None:
    """One that had come before it was asked for hid its latency behind the computation."""
    assert is_under_way([Request(complete=False)], 0.01)
    assert not is_under_way([Request(complete=True)], 0.01)
    arrive_later(3, 0.01)
    arrive_later(0, 0.01)
    assert slept == [pytest.approx(0.03)]
