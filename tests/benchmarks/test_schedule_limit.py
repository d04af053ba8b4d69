"""The limit that benchmarks are held against: textbook bubbles, and bytes that hide behind computation or do not."""

from __future__ import annotations

import pytest

from benchmarks.schedule_limit import StepLimit, schedule_limit
from strategies.base import check_options, get
from strategies.plan.model_spec import ModelSpec
from strategies.plan.shapes import MeshShape, Plan, StepShape

SPEC = ModelSpec(
    "limits", "bert", 37, 24, 4, 12, 12, 36, 16, False, "layer", "post", "learned", "gelu", "classifier",
    labels=3, token_types=2,
)  # fmt: skip
BATCH, SEQ, EXACT = 8, 8, 1e-12


def planned(strategy: str, ranks: int, micros: int = 4, **options: object) -> Plan:
    cls = get(strategy)
    mesh = cls.mesh_for(ranks, {}) if cls.axes else MeshShape()
    return cls.plan(SPEC, StepShape(BATCH, SEQ, micros), mesh, check_options(cls, options))


@pytest.mark.parametrize("name", ["gpipe", "1f1b"])
@pytest.mark.parametrize("stages", [2, 4])
def test_the_bubble_is_that_of_the_textbook(name: str, stages: int) -> None:
    """(p-1)/m of the computation: GPipe and 1F1B have the same."""
    found = schedule_limit(planned("pipeline", stages, schedule=name), 10.0, 1e30, shared_memory=False)
    assert found.compute_s == 10.0 / stages
    assert found.bubble_s == pytest.approx(found.compute_s * (stages - 1) / 4, rel=EXACT)
    assert found.limit_s == pytest.approx(found.compute_s * (1 + (stages - 1) / 4), rel=EXACT)


def test_zero_bubble_and_interleaved_have_less() -> None:
    """(p-1)(F+I-W) with F = I = W, and (p-1)/(m v)."""
    zero = schedule_limit(planned("pipeline", 2, schedule="zero_bubble"), 12.0, 1e30, shared_memory=True)
    assert zero.bubble_s == pytest.approx(6.0 / 4 / 3, rel=EXACT)
    halves = schedule_limit(planned("pipeline", 2, schedule="interleaved", virtual_stages=2), 12.0, 1e30, shared_memory=True)
    assert halves.bubble_s == pytest.approx(6.0 / 4 / 2, rel=EXACT)


def test_the_optimizer_has_no_bubble() -> None:
    plan = planned("pipeline", 2)
    found = schedule_limit(plan, 10.0, 1e30, shared_memory=False, optimizer_s=2.0)
    assert (found.compute_s, found.bubble_s) == (5.0, pytest.approx(4.0 / 4, rel=EXACT))


def test_messages_of_a_pipeline_lengthen_its_ends_only() -> None:
    """GPipe on two stages: the first message forward and the last one backward have nothing to hide behind."""
    plan, rate = planned("pipeline", 2, schedule="gpipe"), 1e6
    message_s = BATCH / 4 * SEQ * SPEC.hidden * 4 / rate
    found = schedule_limit(plan, 10.0, rate, shared_memory=False)
    assert found.messages_s == pytest.approx(2 * message_s, rel=1e-9)
    assert found.limit_s == found.compute_s + found.bubble_s + found.messages_s


def test_over_a_network_bytes_hide_until_they_are_longer_than_the_computation() -> None:
    plan = planned("data", 2, micros=1)
    sent = sum(volume.wire_bytes for volume in plan.volumes) / 2
    fast = schedule_limit(plan, 10.0, sent / 0.5, shared_memory=False)
    assert (fast.bytes_s, fast.limit_s) == (pytest.approx(0.5, rel=EXACT), 5.0)
    slow = schedule_limit(plan, 10.0, sent / 50.0, shared_memory=False)
    assert slow.limit_s == pytest.approx(50.0, rel=EXACT)


def test_on_shared_memory_the_cores_copy_so_bytes_are_added() -> None:
    plan = planned("sequence", 2, micros=1)
    sent = sum(volume.wire_bytes for volume in plan.volumes) / 2
    found = schedule_limit(plan, 10.0, sent / 0.5, shared_memory=True)
    assert found.limit_s == pytest.approx(5.5, rel=EXACT)


def test_one_process_is_its_own_limit() -> None:
    assert schedule_limit(planned("single", 1, micros=1), 3.0, 1e9, shared_memory=True) == StepLimit(3, 0, 0, 0, 0, True)


@pytest.mark.parametrize(
    ("single_s", "rate", "optimizer_s"), [(0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1.0, 1.0, -1.0)]
)
def test_times_that_cannot_be_are_refused(single_s: float, rate: float, optimizer_s: float) -> None:
    with pytest.raises(ValueError, match="a limit needs single_s > optimizer_s >= 0"):
        schedule_limit(planned("data", 2, micros=1), single_s, rate, shared_memory=True, optimizer_s=optimizer_s)
