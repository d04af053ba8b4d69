"""Halves of a batch take turns where the user says so, and only where they can."""

from __future__ import annotations

import pytest

from strategies.base import check_options, get
from strategies.common.plan_error import PlanError
from strategies.plan.model_spec import ModelSpec
from strategies.plan.shapes import MeshShape, Plan, StepShape
from strategies.step.overlap_choice import choose_overlap

SPEC = ModelSpec(
    "halves", "gpt2", 37, 24, 4, 12, 12, 36, 16, True, "layer", "pre", "learned", "gelu_tanh", "lm", norm_eps=1e-5, tied=True
)


def planned(batch: int = 8, micros: int = 2, overlap: str = "auto", **axes: int) -> Plan:
    cls = get("hybrid")
    shape = StepShape(batch, 8, micros)
    return cls.plan(SPEC, shape, MeshShape(**axes), check_options(cls, {"overlap": overlap}))


@pytest.mark.parametrize("asked", ["halves", "none"])
def test_a_users_word_is_never_overruled(asked: str) -> None:
    value, choice = choose_overlap("tensor", asked, "cpu")
    assert (value, choice.value, choice.chosen_by) == (asked, asked, "user")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_auto_leaves_halves_and_says_why(device: str) -> None:
    value, choice = choose_overlap("tensor", "auto", device)
    assert (value, choice.value, choice.chosen_by, choice.option) == ("none", "none", "auto", "overlap")
    assert "slower" in choice.reason


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
        choose_overlap("tensor", "halves", "cuda")


def test_halves_send_what_a_whole_batch_sends() -> None:
    assert planned(tensor=2, overlap="halves").volumes == planned(tensor=2, overlap="none").volumes
