"""The schedule in a record: its numbers from hand-made ledgers, and what the schema refuses."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import pytest

from bench.record.record_file import problem
from bench.timeline.measured_schedule import schedule_block
from bench.timeline.rank_report import RankReport, Timeline
from strategies.base import check_options, get
from strategies.comm.ledger import Entry
from strategies.plan.model_spec import ModelSpec
from strategies.plan.shapes import MeshShape, Plan, StepShape
from tests.records import make_record

MS = 1_000_000
HOUR_S = 3600  # rank r's clock is r hours ahead
TINY = ModelSpec("tiny", "gpt2", 64, 16, 4, 2, 2, 32, 32, True, "layer", "pre", "learned", "gelu", "lm")

Ran = tuple[str, float, float]  # an action, and its begin and end in ms from the start of its step


def plan_of(schedule: str, ranks: int = 2, **options: Any) -> Plan:
    cls = get("pipeline")
    given = check_options(cls, {"schedule": schedule, **options})
    return cls.plan(TINY, StepShape(8, 8, 2, optimizer="sgd"), MeshShape(pipeline=ranks), given)


def entries(rank: int, step: int, start_ms: float, ran: Iterable[Ran]) -> list[Entry]:
    """The actions of one step, beside a message, the sum of gradients and the optimizer, which are none."""
    begin, found = start_ms * MS + rank * HOUR_S * 1000 * MS, []
    other = [("comm", "receive", 0, 5), ("phase", "gradients", 90, 95), ("phase", "optimizer", 95, 99)]
    for kind, op, t0_ms, t1_ms in [("phase", *one) for one in ran] + other:
        t0_ns, t1_ns = round(begin + t0_ms * MS), round(begin + t1_ms * MS)
        found.append(Entry(step, kind, "", op, "forward", 0, 0.0, t0_ns, t1_ns, "main", ()))
    return found


def block(plan: Plan, steps: dict[int, list[list[Ran]]]) -> Any:
    """Of ``steps`` (for each number, what each rank ran), all timed; they take 100, 200 and 300 ms."""
    edges = [0.0, 0.1, 0.3, 0.6]
    reports = []
    for rank in range(plan.mesh.size):
        own = [e for at, (step, ran) in enumerate(steps.items()) for e in entries(rank, step, 1000 * edges[at], ran[rank])]
        warm_up = entries(rank, 0, -500, [("F0", 0, 400)])
        evaluation = entries(rank, -1, 900, [("F0", 0, 400)])
        reports.append(RankReport(rank, {}, None, warm_up + own + evaluation, [], {}, "", [], []))
    timeline = Timeline([[-0.5, 0.0], edges[: len(steps) + 1]], [False, True], [0, min(steps)])
    shown = schedule_block(plan, reports, timeline, lambda rank, t_ns: t_ns / 1e9 - rank * HOUR_S)
    return None if shown is None else shown.to_dict()


def in_ms(intervals: Iterable[list[Any]]) -> set[tuple[Any, ...]]:
    return {(place, action, round(1000 * start, 6), round(1000 * end, 6)) for place, action, start, end in intervals}


def one_f_one_b(forward_ms: float, backward_ms: float, late_ms: float = 0) -> list[list[Ran]]:
    """Two ranks, two micro-batches. Rank 0 begins 3 ms into the step; each message takes ``late_ms``."""
    f, b, start = forward_ms, backward_ms, 3
    one = start + f + late_ms
    two = one + f + b
    back_0, back_1 = two + late_ms, two + f + b + late_ms
    return [
        [("F0", start, start + f), ("F1", start + f, start + 2 * f), ("B0", back_0, back_0 + b), ("B1", back_1, back_1 + b)],
        [("F0", one, one + f), ("B0", one + f, two), ("F1", two, two + f), ("B1", two + f, two + f + b)],
    ]


def test_one_f_one_b_predicted_and_measured() -> None:
    """F takes 8, 10 and 12 ms in three steps, B twice that: 10 and 20 on average. Predicted bubble: 1/3, as
    (p-1)/(p-1+m). The step of median length is the second one; its messages take 1 ms each: 92 ms with 4 F and 4 B, a
    bubble of 1 - 120/184."""
    shown = block(
        plan_of("1f1b"),
        {4: one_f_one_b(8, 16), 5: one_f_one_b(10, 20, late_ms=1), 6: one_f_one_b(12, 24)},
    )
    assert (shown["name"], shown["step"]) == ("1f1b", 5)
    assert shown["text"] == ["F0 F1 B0 B1", "F0 B0 F1 B1"]
    predicted, measured = shown["predicted"], shown["measured"]
    assert predicted["duration_s"] == pytest.approx(0.090)
    assert predicted["bubble"] == pytest.approx(1 / 3)
    assert in_ms(predicted["intervals"]) == {
        (0, "F0", 0, 10), (0, "F1", 10, 20), (0, "B0", 40, 60), (0, "B1", 70, 90),
        (1, "F0", 10, 20), (1, "B0", 20, 40), (1, "F1", 40, 50), (1, "B1", 50, 70),
    }  # fmt: skip
    assert measured["duration_s"] == pytest.approx(0.092)
    assert measured["bubble"] == pytest.approx(1 - 120 / 184)
    assert in_ms(measured["intervals"]) == {
        (0, "F0", 0, 10), (0, "F1", 10, 20), (0, "B0", 42, 62), (0, "B1", 72, 92),
        (1, "F0", 11, 21), (1, "B0", 21, 41), (1, "F1", 41, 51), (1, "B1", 51, 71),
    }  # fmt: skip


def test_of_two_middle_steps_the_shorter_is_shown() -> None:
    shown = block(plan_of("1f1b"), {7: one_f_one_b(10, 20), 8: one_f_one_b(12, 24)})
    assert shown["step"] == 7


def test_zero_bubble_has_the_measured_share_of_weight_gradients() -> None:
    """F 10, I 12 and W 8 ms. The textbook's bubble: (p-1)(F + I - W) = 14 ms of 74, on each of two stages."""
    ran: list[list[Ran]] = [
        [("F0", 0, 10), ("F1", 10, 20), ("I0", 32, 44), ("W0", 44, 52), ("I1", 54, 66), ("W1", 66, 74)],
        [("F0", 10, 20), ("I0", 20, 32), ("F1", 32, 42), ("I1", 42, 54), ("W0", 54, 62), ("W1", 62, 70)],
    ]
    shown = block(plan_of("zero_bubble"), {3: ran})
    assert shown["text"] == ["F0 F1 I0 W0 I1 W1", "F0 I0 F1 I1 W0 W1"]
    for side in ("predicted", "measured"):
        assert shown[side]["duration_s"] == pytest.approx(0.074)
        assert shown[side]["bubble"] == pytest.approx(14 / 74)
    assert in_ms(shown["predicted"]["intervals"]) == in_ms(shown["measured"]["intervals"])


def test_the_slowest_of_several_ranks_at_a_stage_is_predicted() -> None:
    """Ranks 0 and 1 share stage 0, and rank 1 is half as fast: predicted with its times, measured over all three."""
    fast, last = one_f_one_b(10, 20)
    slow: list[Ran] = [("F0", 3, 23), ("F1", 23, 43), ("B0", 43, 83), ("B1", 83, 123)]
    shown = block(plan_of("1f1b", 3, groups=[2, 1]), {1: [fast, slow, last]})
    stage_0 = {found[1:] for found in in_ms(shown["predicted"]["intervals"]) if found[0] == 0}
    assert stage_0 == {("F0", 0, 20), ("F1", 20, 40), ("B0", 50, 90), ("B1", 90, 130)}
    assert shown["measured"]["duration_s"] == pytest.approx(0.120)
    assert shown["measured"]["bubble"] == pytest.approx(1 - (60 + 120 + 60) / (3 * 120))
    assert {found[0] for found in shown["measured"]["intervals"]} == {0, 1, 2}


def test_virtual_stages_are_told_apart() -> None:
    """Each rank's mean is over both of its virtual stages: 10 ms of 5 and 15."""
    plan = plan_of("interleaved", virtual_stages=2)
    at: list[float] = [0.0, 0.0]
    ran: list[list[Ran]] = [[], []]
    for rank in range(2):
        for kind in "FB":
            for micro in range(2):
                for name, took in ((f"{kind}{micro}", 5), (f"{kind}{micro}.1", 15)):
                    ran[rank].append((name, at[rank], at[rank] + took))
                    at[rank] += took
    shown = block(plan, {2: ran})
    assert shown["text"][0] == "F0 F1 F0.1 F1.1 B0.1 B1.1 B0 B1"
    lengths = {end - start for _, _, start, end in in_ms(shown["predicted"]["intervals"])}
    assert lengths == {10.0}
    assert shown["measured"]["bubble"] == pytest.approx(0)


def test_a_plan_without_stages_has_no_schedule() -> None:
    data = get("data")
    plan = data.plan(TINY, StepShape(8, 8), MeshShape(data=2), check_options(data, {}))
    assert schedule_block(plan, [], Timeline([], [], []), lambda rank, t_ns: t_ns) is None


def test_the_schema_knows_the_block() -> None:
    record = make_record("pipeline")
    shown = block(plan_of("1f1b"), {1: one_f_one_b(10, 20)})
    record["time"]["schedule"] = shown
    assert problem(record) is None

    def damaged(change: Any) -> str | None:
        broken = copy.deepcopy(record)
        change(broken["time"]["schedule"])
        return problem(broken)

    assert "bubble" in (damaged(lambda s: s["measured"].pop("bubble")) or "")
    assert "text" in (damaged(lambda s: s.pop("text")) or "")
    assert "more" in (damaged(lambda s: s.update(more=1)) or "")
    assert "X0" in (damaged(lambda s: s["predicted"]["intervals"].append([0, "X0", 0.0, 1.0])) or "")
    assert damaged(lambda s: s["predicted"]["intervals"].append([0, "F0", 0.0])) is not None
