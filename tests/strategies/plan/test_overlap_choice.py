"""Halves of a batch take turns where messages can move beside the computation, and never against the user's word."""

from __future__ import annotations

import pytest

from strategies.base import check_options, get
from strategies.comm.comm_options import Progress
from strategies.common.plan_error import PlanError
from strategies.plan.model_spec import ModelSpec
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.shapes import MeshShape, Plan, StepShape
from strategies.step.overlap_choice import choose_overlap

SPEC = ModelSpec(
    "halves", "gpt2", 37, 24, 4, 12, 12, 36, 16, True, "layer", "pre", "learned", "gelu_tanh", "lm", norm_eps=1e-5, tied=True
)


def planned(batch: int = 8, micros: int = 2, overlap: str = "auto", **axes: int) -> Plan:
    cls = get("hybrid")
    shape = StepShape(batch, 8, micros)
    return cls.plan(SPEC, shape, MeshShape(**axes), check_options(cls, {"overlap": overlap}))


def _decided(asked: str, progress: Progress, placement: RankPlacement) -> tuple[str, str]:
    value, choice = choose_overlap("tensor", asked, progress, placement, "cpu")
    assert (choice.axis, choice.option, choice.value) == ("tensor", "overlap", value)
    return value, choice.chosen_by


@pytest.mark.parametrize("progress", ["thread", "inline"])
@pytest.mark.parametrize("asked", ["halves", "none"])
def test_a_users_word_is_never_overruled(asked: str, progress: Progress) -> None:
    placement = planned(tensor=2).placements[0]
    assert _decided(asked, progress, placement) == (asked, "user")


def test_auto_follows_progress() -> None:
    placement = planned(tensor=2).placements[0]
    assert _decided("auto", "thread", placement) == ("halves", "auto")
    assert _decided("auto", "inline", placement) == ("none", "auto")


@pytest.mark.parametrize(
    ("plan", "device", "why"),
    [
        (planned(tensor=2, pipeline=2), "cpu", "pipeline"),
        (planned(batch=2, micros=2, tensor=2), "cpu", "one sample"),
        (planned(tensor=2), "cuda", "one thread"),
    ],
)
def test_auto_says_why_not(plan: Plan, device: str, why: str) -> None:
    value, choice = choose_overlap("tensor", "auto", "thread", plan.placements[0], device)
    assert (value, choice.value, choice.chosen_by) == ("none", "none", "auto")
    assert why in choice.reason


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
        choose_overlap("tensor", "halves", "thread", planned(tensor=2).placements[0], "cuda")


def test_halves_send_what_a_whole_batch_sends() -> None:
    assert planned(tensor=2, overlap="halves").volumes == planned(tensor=2, overlap="none").volumes
