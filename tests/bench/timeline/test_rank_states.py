"""Who waits for whom: states of ranks from hand-made ledgers."""

from __future__ import annotations

from typing import Any

import pytest

from bench.timeline.rank_states import Interval, clipped, rank_states, totals
from strategies.comm.ledger import Entry

MS = 1_000_000


def entry(t0_ms: float, t1_ms: float, op: str, match: tuple[Any, ...], **changes: Any) -> Entry:
    values = {
        "step": 0,
        "kind": "comm",
        "axis": "data",
        "phase": "backward",
        "payload_bytes": 8,
        "wire_bytes": 8.0,
        "thread": "main",
    }
    return Entry(**{**values, **changes}, op=op, match=match, t0_ns=round(t0_ms * MS), t1_ns=round(t1_ms * MS))  # type: ignore[arg-type]


def states(ledgers: dict[int, list[Entry]]) -> Any:
    return rank_states(ledgers, lambda rank, t_ns: t_ns / 1e9)


def test_the_first_to_arrive_waits_for_the_last() -> None:
    """Rank 0 enters an all-reduce at 10 ms, rank 1 at 30 ms; both leave at 35 ms."""
    found = states({0: [entry(10, 35, "all_reduce", (1,))], 1: [entry(30, 35, "all_reduce", (1,))]})
    assert found[0].main == [Interval(0.010, 0.030, "wait"), Interval(0.030, 0.035, "communicate")]
    assert found[1].main == [Interval(0.030, 0.035, "communicate")]
    assert totals(found[0], [(0.0, 0.1)]) == pytest.approx(
        {"compute_s": 0.075, "communicate_s": 0.005, "wait_s": 0.020, "overlapped_s": 0.0}
    )


def test_a_receiver_waits_until_its_message_is_sent() -> None:
    """The same tag in another step is another message."""
    message = {"axis": "pipeline", "payload_bytes": 4}
    sender = [entry(5, 6, "send", (0, 1, 0), **message), entry(45, 46, "send", (0, 1, 0), step=1, **message)]
    receiver = [entry(0, 8, "receive", (0, 1, 0), **message), entry(40, 50, "receive", (0, 1, 0), step=1, **message)]
    found = states({0: sender, 1: receiver})
    assert found[1].main == [
        Interval(0.000, 0.005, "wait"), Interval(0.005, 0.008, "communicate"),
        Interval(0.040, 0.045, "wait"), Interval(0.045, 0.050, "communicate"),
    ]  # fmt: skip
    assert [interval.state for interval in found[0].main] == ["communicate", "communicate"]


def test_what_runs_beside_computation_costs_only_what_is_exposed() -> None:
    """A bucket on the communication thread from 10 to 30 ms; the main thread waits for it from 22 ms on. The partner
    arrives at 24 ms: 12 ms hidden, 2 ms waited, 6 ms exposed communication."""
    mine = [
        entry(10, 30, "all_reduce", ("comm", 1), thread="comm"),
        entry(22, 30, "drain", (), kind="wait", payload_bytes=0),
    ]
    other = [entry(24, 30, "all_reduce", ("comm", 1), thread="comm")]
    found = states({0: mine, 1: other})
    assert found[0].main == [Interval(0.022, 0.024, "wait"), Interval(0.024, 0.030, "communicate")]
    spent = totals(found[0], [(0.0, 0.040)])
    assert spent == pytest.approx({"compute_s": 0.032, "communicate_s": 0.006, "wait_s": 0.002, "overlapped_s": 0.012})


def test_windows_clip() -> None:
    inside = clipped([Interval(0.0, 1.0, "wait"), Interval(1.5, 2.5, "communicate")], [(0.5, 2.0), (2.2, 3.0)])
    assert inside == [Interval(0.5, 1.0, "wait"), Interval(1.5, 2.0, "communicate"), Interval(2.2, 2.5, "communicate")]


def test_phases_are_not_states() -> None:
    found = states({0: [entry(0, 10, "forward", (0,), kind="phase", payload_bytes=0)]})
    assert found[0].main == []
