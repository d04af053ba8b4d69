"""The record's ``fault`` block from made recordings, by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.config.mesh_config import MeshConfig
from bench.config.point_config import PointFault
from bench.faults.fault_block import fault_block
from bench.faults.fault_checks import fault_checks
from bench.joules.cover import Cover, find_cover
from bench.record.fault_record import FaultRecord
from bench.timeline.fault_spans import Lived, Span
from strategies.base import check_options, get
from strategies.plan.model_spec import parameter_count
from strategies.plan.shapes import Plan, StepShape
from tests.bench.faults.test_state_pieces import SPEC
from tests.bench.joules.test_energy_block import counter

S = 10**9
FAULT = PointFault(rank=1, snapshot_every=2, after_steps=3, mesh=MeshConfig(), options={})
BATCH = 10
STATE = 3 * 4 * parameter_count(SPEC)
"""Bytes of the weights and of AdamW's two states, which every replica has."""


def plan(ranks: int) -> Plan:
    cls = get("data")
    return cls.plan(SPEC, StepShape(10, 8), cls.mesh_for(ranks, {}), check_options(cls, {}))


def lives() -> list[Lived]:
    """Three ranks on three hosts: copies at 0 and 2, three steps until 4 s, rank 1 is killed then, which is noticed at 4.5,
    by rank 2 before; shrunk at 4.75, built at 5.25, step 2 again until 6, two more until 8."""

    def step(part: str, number: int, begin: float, end: float, loss: float) -> Span:
        return Span(part, "step", int(begin * S), int(end * S), number, loss)

    def copy(number: int, begin: float, end: float) -> Span:
        return Span("copies", "copy", int(begin * S), int(end * S), number)

    def rest(part: str, begin: float, end: float) -> Span:
        return Span(part, part, int(begin * S), int(end * S))

    before = [copy(0, 0.5, 1.0), step("copies", 0, 1, 2, 0.5), step("copies", 1, 2, 3, 0.25)]
    before += [copy(2, 3, 3.25), step("copies", 2, 3.25, 4, 0.125)]
    after = [rest("notice", 4, 4.5), rest("shrink", 4.5, 4.75), rest("rebuild", 4.75, 5.25)]
    after += [step("redo", 2, 5.25, 6, 0.1875), step("after", 3, 6, 7, 0.1), step("after", 4, 7, 8, 0.1)]
    early = [replace(span, end_ns=span.end_ns - S // 8) if span.part == "notice" else span for span in after]
    return [
        Lived(0, [*before, *after], 0, STATE, 7, "same"),
        Lived(1, list(before), 0, STATE, 0, None),
        Lived(2, [*before, *early], 0, STATE, 5, "same"),
    ]


def block(found: list[Lived] | None = None) -> dict[str, Any]:
    traces = [counter("a", 10.0), counter("b", 100.0), counter("c", 20.0)]

    def covers(hosts: Any) -> Cover:
        return find_cover([trace for trace in traces if trace.label in hosts], hosts, lambda rank, ns: ns / 1e9)

    return fault_block(
        FAULT, BATCH, plan(2), found or lives(), ["a", "b", "c"], covers, 0.0, lambda rank, ns: ns / 1e9
    ).to_dict()


def checked(found: dict[str, Any], seen: list[Lived]) -> list[dict[str, str]]:
    block_of_it = FaultRecord.from_dict(found)
    return [check.to_dict() for check in fault_checks("float32", block_of_it, (plan(3), plan(2)), seen, ["a", "b", "c"])]


def test_by_hand() -> None:
    found = block()
    assert (found["rank"], found["host"], found["step"], found["lost_steps"]) == (1, "b", 3, 1)
    assert (found["at_s"], found["recovered_s"], found["recovery"]["seconds"]) == (4.0, 6.0, 2.0)
    # 30 W of those that are left for 2 s: nothing of the board that failed.
    assert found["recovery"]["joules"] == pytest.approx(60)
    phases = {row["name"]: (row["end_s"] - row["start_s"], row["joules"]) for row in found["phases"]}
    assert phases == {
        "notice": (0.5, pytest.approx(15)),
        "shrink": (0.25, pytest.approx(7.5)),
        "rebuild": (0.5, pytest.approx(15)),
        "redo": (0.75, pytest.approx(22.5)),
    }
    # From the first copy on, of all three boards: 130 W for 3.5 s, 30 samples.
    copies = found["copies"]
    assert (copies["ranks"], copies["steps"], copies["seconds"]) == (3, 3, [0.5, 0.25])
    assert copies["samples_per_s"] == pytest.approx(30 / 3.5)
    assert copies["per_sample_J"] == pytest.approx(130 * 3.5 / 30)
    assert (copies["payload_bytes"], copies["memory_bytes"], found["restored_bytes"]) == (0, [STATE] * 3, 12)
    after = found["after"]
    assert (after["ranks"], after["steps"], after["hosts"]) == (2, 2, ["a", "c"])
    assert after["samples_per_s"] == pytest.approx(10)
    assert after["per_sample_J"] == pytest.approx(3)
    # The loss is the sum over the ranks: 3 x 0.125, and 2 x 0.1875 of those that are left: the same.
    assert found["loss_difference"] == pytest.approx(0)
    assert [(s["part"], s["step"], s["ranks"]) for s in found["steps"]] == [
        *(("copies", step, 3) for step in (0, 1, 2)), ("redo", 2, 2), ("after", 3, 2), ("after", 4, 2),
    ]  # fmt: skip


def test_nothing_lost() -> None:
    """A copy was made right before: no step is done again, and nothing can be compared."""
    kept = [replace(life, spans=[span for span in life.spans if span.part != "redo"]) for life in lives()]
    found = block(kept)
    assert (found["lost_steps"], found["loss_difference"]) == (0, None)
    assert [row["name"] for row in found["phases"]] == ["notice", "shrink", "rebuild"]
    assert found["recovered_s"] == 5.25
    assert checked(found, kept)[1]["status"] == "skipped"


def test_another_loss_or_other_weights_are_no_recovery() -> None:
    assert [check["status"] for check in checked(block(), lives())] == ["passed"] * 4
    other = lives()
    other[0].spans[-3] = replace(other[0].spans[-3], loss=0.1876)
    assert checked(block(other), other)[1] == {
        "name": "redone steps give the same loss",
        "status": "failed",
        "detail": "1 steps, at most 2.7e-04 apart (relative), 1e-05 allowed",
    }
    other = lives()
    other[2].weights_hash = "another"
    assert [check["status"] for check in checked(block(other), other)] == ["passed", "passed", "passed", "failed"]
    other = lives()
    other[1].copied_bytes = 1
    found = checked(block(other), other)[0]
    assert found["status"] == "failed"
    assert found["detail"].startswith("1 bytes sent, 0 planned; in memory [")
