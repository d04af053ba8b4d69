"""Who waits for whom: states of ranks from hand-made ledgers."""

from __future__ import annotations

from typing import Any

import pytest

from bench.timeline.rank_states import Interval, clipped, exposed_seconds, rank_states, totals
from strategies.comm.ledger import Entry

MS = 1_000_000
SUM, TAKE = "data.all_reduce", "pipeline.receive"


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
    assert found[0].main == [Interval(0.010, 0.030, "wait", SUM), Interval(0.030, 0.035, "communicate", SUM)]
    assert found[1].main == [Interval(0.030, 0.035, "communicate", SUM)]
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
        Interval(0.000, 0.005, "wait", TAKE), Interval(0.005, 0.008, "communicate", TAKE),
        Interval(0.040, 0.045, "wait", TAKE), Interval(0.045, 0.050, "communicate", TAKE),
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
    assert found[0].main == [Interval(0.022, 0.024, "wait", SUM), Interval(0.024, 0.030, "communicate", SUM)]
    spent = totals(found[0], [(0.0, 0.040)])
    assert spent == pytest.approx({"compute_s": 0.032, "communicate_s": 0.006, "wait_s": 0.002, "overlapped_s": 0.012})


def test_windows_clip() -> None:
    inside = clipped([Interval(0.0, 1.0, "wait"), Interval(1.5, 2.5, "communicate")], [(0.5, 2.0), (2.2, 3.0)])
    assert inside == [Interval(0.5, 1.0, "wait"), Interval(1.5, 2.0, "communicate"), Interval(2.2, 2.5, "communicate")]


def test_phases_are_not_states() -> None:
    found = states({0: [entry(0, 10, "forward", (0,), kind="phase", payload_bytes=0)]})
    assert found[0].main == []


def test_exposed_time_by_operation_adds_up_to_what_is_not_computed() -> None:
    """Rank 0 is in an all-reduce of the tensor group from 10 to 35 ms, of which it waits 20. A bucket of gradients goes on
    beside it from 40 to 60 ms, and from 52 ms on it waits for that. From 60 to 62 ms it takes the results."""
    mine = [
        entry(10, 35, "all_reduce", (1,), axis="tensor"),
        entry(40, 60, "all_reduce", ("comm", 1), axis="gradients", thread="comm"),
        entry(52, 62, "drain", (), axis="gradients", kind="wait", payload_bytes=0),
    ]
    other = [
        entry(30, 35, "all_reduce", (1,), axis="tensor"),
        entry(40, 60, "all_reduce", ("comm", 1), axis="gradients", thread="comm"),
    ]
    found = states({0: mine, 1: other})[0]
    exposed = exposed_seconds(found, [(0.0, 0.1)])
    assert exposed == pytest.approx({"tensor.all_reduce": 0.025, "gradients.all_reduce": 0.008, "gradients.drain": 0.002})
    spent = totals(found, [(0.0, 0.1)])
    assert sum(exposed.values()) == pytest.approx(spent["communicate_s"] + spent["wait_s"]) == pytest.approx(0.035)
    assert exposed_seconds(found, [(0.0, 0.02)]) == pytest.approx({"tensor.all_reduce": 0.010})
