"""Halves of a batch take turns where the user says so, and only where they can."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strategies.base import check_options, get
from strategies.comm.comm_choice import Trial
from strategies.common.plan_error import PlanError
from strategies.plan.model_spec import ModelSpec
from strategies.plan.shapes import MeshShape, Plan, StepShape
from strategies.step.overlap_choice import OverlapFacts, choose_overlap
from strategies.step.overlap_facts import exchange_s

SPEC = ModelSpec(
    "halves", "gpt2", 37, 24, 4, 12, 12, 36, 16, True, "layer", "pre", "learned", "gelu_tanh", "lm", norm_eps=1e-5, tied=True
)


def planned(batch: int = 8, micros: int = 2, overlap: str = "auto", **axes: int) -> Plan:
    cls = get("hybrid")
    shape = StepShape(batch, 8, micros)
    return cls.plan(SPEC, shape, MeshShape(**axes), check_options(cls, {"overlap": overlap}))


SLOW = OverlapFacts("cpu", None, "thread", exchange_s=0.65, products_s=0.7)


@pytest.mark.parametrize("asked", ["halves", "none"])
@pytest.mark.parametrize("facts", [SLOW, replace(SLOW, progress="inline"), replace(SLOW, exchange_s=None)])
def test_a_users_word_is_never_overruled(asked: str, facts: OverlapFacts) -> None:
    value, choice = choose_overlap("tensor", asked, facts)
    assert (value, choice.value, choice.chosen_by) == (asked, asked, "user")


@pytest.mark.parametrize(
    ("facts", "value", "reason"),
    [
        (SLOW, "halves", "exchanges take 0.65 s of a step as tried, products 0.7 s: each half's are hidden"),
        (replace(SLOW, exchange_s=0.21), "halves", "exchanges take 0.21 s"),
        (replace(SLOW, exchange_s=0.2), "none", "exchanges take 0.2 s of a step as tried, products 0.7 s: less than 0.3"),
        (replace(SLOW, progress="inline"), "none", "nobody moves messages beside the computation"),
        (replace(SLOW, exchange_s=None), "none", "no all-reduce was tried"),
        (replace(SLOW, why_not="stages"), "none", "stages"),
        (replace(SLOW, device="cuda"), "none", "torch runs all of a GPU's backward on one thread"),
    ],
)
def test_auto_halves_where_exchanges_take_long(facts: OverlapFacts, value: str, reason: str) -> None:
    chosen, choice = choose_overlap("tensor", "auto", facts)
    assert (chosen, choice.value, choice.chosen_by, choice.option) == (value, value, "auto", "overlap")
    assert choice.reason.startswith(reason)


def test_exchanges_take_as_long_as_the_largest_trial_says() -> None:
    """Two ranks: 1,000,000 B of an all-reduce are 1,000,000 B sent, here in 0.01 s. A step sends what its plan says."""
    plan = planned(tensor=2)
    trials = (Trial(1000, {"mpi": 1.0}, "mpi"), Trial(1_000_000, {"mpi": 0.02, "ring": 0.01}, "ring"))
    sent = sum(volume.wire_bytes for volume in plan.volumes) / 2
    assert exchange_s(plan, trials) == pytest.approx(sent / 1e8)
    assert exchange_s(plan, ()) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": 2}, "no layer is split over tensor ranks"),
        ({"tensor": 2, "pipeline": 2}, "stages of a pipeline interleave micro-batches already"),
        ({"tensor": 2, "batch": 2, "micros": 2}, "2 samples in 1 x 2 micro-batches are one each"),
    ],
)
def test_halves_that_cannot_be_are_refused_before_anything_runs(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(PlanError, match=f"overlap=halves cannot be: {message}"):
        planned(overlap="halves", **arguments)  # type: ignore[arg-type]


def test_halves_on_a_gpu_are_refused() -> None:
    with pytest.raises(PlanError, match="needs a CPU, found cuda"):
        choose_overlap("tensor", "halves", replace(SLOW, device="cuda"))


def test_halves_send_what_a_whole_batch_sends() -> None:
    assert planned(tensor=2, overlap="halves").volumes == planned(tensor=2, overlap="none").volumes
