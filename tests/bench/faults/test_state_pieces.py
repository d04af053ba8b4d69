"""Who keeps a copy of what, and who sends what to whom."""

from __future__ import annotations

import pytest

from bench.common.user_error import UserError
from bench.faults.state_pieces import Piece, Transfer, alone, copy_bytes, keepers, pieces, transfers
from strategies.base import check_options, get
from strategies.plan.model_spec import ModelSpec, parameter_count, parameters
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.shapes import StepShape

SPEC = ModelSpec(
    "gpt2-test", "gpt2", 37, 24, 4, 12, 12, 36, 16, True, "layer", "pre", "learned", "gelu_tanh", "lm",
    norm_eps=1e-5, tied=True,
)  # fmt: skip


def placement(strategy: str, ranks: int) -> tuple[RankPlacement, ...]:
    cls = get(strategy)
    mesh = cls.mesh_for(ranks, {"pipeline": 2, "data": ranks // 2} if strategy == "hybrid" else {})
    return cls.plan(SPEC, StepShape(8, 8, 2), mesh, check_options(cls, {})).placements


@pytest.mark.parametrize(
    ("hosts", "found"),
    [
        (["a", "b", "c"], [1, 2, 0]),
        (["a", "a", "b", "b"], [2, 2, 0, 0]),
        (["a", "b"], [1, 0]),
        (["a", "a", "a"], [1, 2, 0]),  # one machine: the next rank
        (["a", "a", "b"], [2, 2, 0]),
    ],
)
def test_a_copy_is_on_another_host(hosts: list[str], found: list[int]) -> None:
    assert keepers(hosts) == found


def test_replicas_keep_nothing_for_each_other() -> None:
    assert alone(placement("data", 3), SPEC, ["a", "b", "c"]) == [[], [], []]


def test_a_stage_is_kept_but_for_what_is_tied() -> None:
    at = placement("pipeline", 2)
    first, last = alone(at, SPEC, ["a", "b"])
    assert {p.name for p in pieces(at[0], SPEC)} - {p.name for p in first} == {"embed.tokens.weight"}
    assert {p.name for p in pieces(at[1], SPEC)} - {p.name for p in last} == {"embed.tokens.weight"}
    assert len(first) > 10 < len(last)


def test_two_replicas_on_one_host_are_lost_together() -> None:
    """Stages of two replicas each: with the replicas of a stage on one board it must be copied, once; on two boards not."""
    at = placement("hybrid", 4)
    assert [p.coordinates["data"] for p in at] == [0, 1, 0, 1]
    together = alone(at, SPEC, ["a", "a", "b", "b"])
    assert [bool(found) for found in together] == [True, False, True, False]
    assert alone(at, SPEC, ["a", "b", "a", "b"]) == [[], [], [], []]
    assert alone(at, SPEC, ["a", "b", "c", "d"]) == [[], [], [], []]
    # On one machine a rank is what can be lost.
    assert alone(at, SPEC, ["a", "a", "a", "a"]) == [[], [], [], []]


def test_pieces_are_put_together_and_taken_apart() -> None:
    """Three shards become two: the middle one is cut; what a rank has itself is not sent."""
    held = [[Piece("w", (0, 4))], [Piece("w", (4, 8)), Piece("w", (8, 12))]]
    needed = [[Piece("w", (0, 6))], [Piece("w", (6, 12))]]
    assert transfers(needed, held) == [
        Transfer(0, 0, Piece("w", (0, 4))),
        Transfer(1, 0, Piece("w", (4, 6))),
        Transfer(1, 1, Piece("w", (6, 8))),
        Transfer(1, 1, Piece("w", (8, 12))),
    ]


def test_senders_take_turns() -> None:
    """Two ranks hold a table that two others need: each sends it once."""
    table = Piece("t", (0, 10))
    assert transfers([[], [], [table], [table]], [[table], [table], [], []]) == [Transfer(0, 2, table), Transfer(1, 3, table)]


def test_what_copies_take() -> None:
    """AdamW in float32: three values of four bytes. A stage keeps its own, and all of the other's but for what is tied."""
    cls = get("pipeline")
    plan = cls.plan(SPEC, StepShape(8, 8, 2), cls.mesh_for(2, {}), check_options(cls, {}))
    own = [12 * sum(p.size for p in parameters(SPEC) if at.holds(p, SPEC)) for at in plan.placements]
    table = 12 * 37 * 24
    assert copy_bytes(plan, ["a", "b"]) == [
        (own[0] + own[1] - table, own[0] - table),
        (own[1] + own[0] - table, own[1] - table),
    ]
    replicas = get("data").plan(SPEC, StepShape(8, 8), get("data").mesh_for(2, {}), {})
    assert copy_bytes(replicas, ["a", "b"]) == [(12 * parameter_count(SPEC), 0)] * 2


def test_what_nobody_holds() -> None:
    with pytest.raises(
        UserError, match=r"^w is lost: no rank that is left holds a copy of its part from 4 on; more failed"
    ) as e:
        transfers([[Piece("w", (0, 8))]], [[Piece("w", (0, 4)), Piece("v", (0, 8))]])
    assert "\n" not in str(e.value)
