"""Shares are the best that there are: against all others on small cases, and through the strategies' options."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.planner.search import compositions
from bench.prediction.share_split import amounts, layers, planned
from strategies.base import check_options, get
from strategies.common.plan_error import PlanError
from strategies.plan.model_spec import ModelSpec
from strategies.plan.shapes import MeshShape, StepShape
from tests.bench.prediction import made_profiles as made


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 4), st.integers(4, 9), st.integers(0, 2**32))
def test_no_other_amounts_end_sooner(parts: int, total: int, seed: int) -> None:
    """Times that grow with the amount, but not in proportion to it."""
    drawn = random.Random(seed)
    tables = [list(itertools.accumulate(drawn.uniform(0.1, 2) for _ in range(total + 2))) for _ in range(parts)]
    found = amounts(total, parts, lambda part, amount: tables[part][amount])
    assert sum(found) == total
    every = [sizes for sizes in compositions(total) if len(sizes) == parts]
    longest = [max(tables[part][n] for part, n in enumerate(sizes)) for sizes in (found, *every)]
    assert longest[0] == pytest.approx(min(longest), rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(4, 9), st.integers(0, 2**32))
def test_no_other_stages_end_sooner(parts: int, total: int, seed: int) -> None:
    """Stages have ends of their own, which no layer can make up for."""
    drawn = random.Random(seed)
    own = [(drawn.uniform(0, 3), drawn.uniform(0.2, 2)) for _ in range(parts)]
    found = layers(total, parts, lambda part, count: own[part][0] + count * own[part][1])
    every = [sizes for sizes in compositions(total) if len(sizes) == parts]
    assert found in every
    longest = [max(own[p][0] + n * own[p][1] for p, n in enumerate(sizes)) for sizes in (found, *every)]
    assert longest[0] == pytest.approx(min(longest), rel=1e-12)


def test_too_little_to_share() -> None:
    with pytest.raises(PlanError, match=r"3 units cannot be shared by 2 parts of at least 2"):
        amounts(3, 2, lambda part, amount: amount, least=2)
    with pytest.raises(PlanError, match=r"2 layers cannot be shared by 3 stages"):
        layers(2, 3, lambda part, count: count)


SPEC = ModelSpec(
    "six", "bert", vocab=100, hidden=48, layers=6, heads=12, kv_heads=12, ffn=96, max_positions=64, causal=False, norm="layer",
    norm_place="post", positions="learned", mlp="gelu", head="classifier", labels=2,
)  # fmt: skip


def options_of(
    strategy: str, mesh: MeshShape, speeds: tuple[float, ...], micro_batches: int = 1, **given: Any
) -> dict[str, Any]:
    """Planned options on hosts of these speeds whose ends cost nothing, 24 samples of 32 tokens."""
    hosts = [made.host(f"pi-{n}", speed=speed, ends=False) for n, speed in enumerate(speeds)]
    shape = StepShape(24, 32, micro_batches)
    complete = check_options(get(strategy), given)
    found = planned(complete, SPEC, shape, mesh, made.profile(hosts), [host.host for host in hosts])
    get(strategy).plan(SPEC, shape, mesh, found)  # it can run
    return {key: value for key, value in found.items() if value != complete[key]}


def test_shares_in_proportion_to_speed() -> None:
    assert options_of("data", MeshShape(data=2), (1.0, 3.0)) == {"shares": [6, 18]}
    assert options_of("sequence", MeshShape(sequence=2), (1.0, 3.0)) == {"sequence_shares": [8, 24]}
    assert options_of("tensor", MeshShape(tensor=3), (1.0, 1.0, 2.0)) == {"tensor_shares": [3, 3, 6]}
    assert options_of("pipeline", MeshShape(pipeline=2), (1.0, 2.0), 4) == {"stages": [2, 4]}
    assert options_of("single", MeshShape(), (1.0,)) == {}


def test_every_replica_has_its_micro_batches() -> None:
    assert options_of("data", MeshShape(data=2), (1.0, 100.0), micro_batches=4) == {"shares": [4, 20]}


def test_ranks_at_one_stage_share_its_samples() -> None:
    """Two slow boards together are one fast one; between them three to one."""
    found = options_of("pipeline", MeshShape(pipeline=3), (0.75, 0.25, 1.0), 2, groups=[2, 1])
    assert found == {"stages": [3, 3], "group_shares": [[9, 3], [12]]}


def test_what_ranks_hold_together_goes_at_the_pace_of_the_slowest() -> None:
    """Tensor groups (1, 3) and (1, 1) both go at 1, so replicas get the same; the tensor axis sees 1 against 1."""
    found = options_of("hybrid", MeshShape(data=2, tensor=2), (1.0, 3.0, 1.0, 1.0))
    assert found == {"shares": [12, 12], "tensor_shares": [6, 6]}


def test_given_shares_are_not_overruled() -> None:
    with pytest.raises(PlanError, match=r"strategy\.shares is given, so planner\.split=planned has nothing to say"):
        options_of("data", MeshShape(data=2), (1.0, 3.0), shares=[1, 1])
