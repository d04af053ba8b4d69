"""The record's ``fault`` block: what the failure took, in seconds, bytes and joules, step by step on the common axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bench.faults.recovery import Lived, Span
from bench.faults.state_pieces import copy_bytes
from bench.joules.cover import Cover, Window
from bench.joules.energy_block import window_energy
from bench.record.check_record import Check
from bench.record.checks import finding, skipped
from strategies.plan.shapes import Plan

PHASES = ("notice", "shrink", "rebuild", "redo")
LARGEST_DIFFERENCE = {"float32": 1e-5, "float64": 1e-12}
"""Of the losses of a step and of its repetition, relative: sums are rounded in another order on other ranks."""

Covers = Callable[[Sequence[str]], Cover]
ToCommon = Callable[[int, int], float]


def fault_block(
    config: Mapping[str, Any],
    plan: Plan,
    lives: Sequence[Lived],
    hosts: Sequence[str],
    covers: Covers,
    clock_s: float,
    to_common: ToCommon,
) -> dict[str, Any]:
    """From what all ranks saw. ``plan`` is that of the survivors, ``hosts`` has the host of every rank, ``covers`` the readings
    of some hosts. Joules before the failure are those of all hosts, from then on those of the survivors' hosts."""
    fault, batch = config["fault"], config["train"]["batch"]
    left = [life for life in lives if life.rank != fault["rank"]]
    everywhere = covers(list(dict.fromkeys(hosts)))
    remaining = list(dict.fromkeys(hosts[life.rank] for life in left))
    surviving = covers(remaining)

    def begins(lived: Sequence[Lived], part: str) -> float:
        return min(to_common(life.rank, span.begin_ns) for life in lived for span in _of(life, part))

    def ends(lived: Sequence[Lived], part: str) -> float:
        return max(to_common(life.rank, span.end_ns) for life in lived for span in _of(life, part))

    redone = list(_steps(left, "redo", to_common))
    again_s = redone[-1]["end_s"] if redone else -math.inf
    steps = [*_steps(lives, "copies", to_common), *redone, *_steps(left, "after", to_common, again_s)]
    at_s = begins(left, "notice")
    edges = [at_s]
    for part in PHASES:
        edges.append(ends(left, part) if part != "redo" or redone else edges[-1])
    phases = [
        {"name": part, "start_s": begin, "end_s": end, **window_energy(surviving, clock_s, (begin, end))}
        for part, begin, end in zip(PHASES, edges, edges[1:], strict=False)
        if part != "redo" or redone
    ]
    before = (begins(lives, "copies"), ends(lives, "copies"))
    after = (edges[-1], ends(left, "after"))
    copies = [_edges(lives, same, to_common) for same in _together(lives, "copies", "copy")]
    return {
        "rank": fault["rank"],
        "host": hosts[fault["rank"]],
        "step": max(step["step"] for step in steps if step["part"] == "copies") + 1,
        "at_s": at_s,
        "recovered_s": edges[-1],
        "recovery": {"seconds": edges[-1] - at_s, **window_energy(surviving, clock_s, (at_s, edges[-1]))},
        "phases": phases,
        "lost_steps": len(redone),
        "loss_difference": _difference(steps, redone),
        "restored_bytes": sum(life.restored_bytes for life in left),
        "copies": {
            "every_steps": fault["snapshot_every"],
            "seconds": [end - begin for begin, end in copies],
            "payload_bytes": sum(life.copied_bytes for life in lives),
            "memory_bytes": [life.copy_memory_bytes for life in lives],
            **_window(before, len(lives), _count(steps, "copies"), batch, everywhere, clock_s),
        },
        "after": {
            "mesh": dict(plan.mesh.__dict__),
            "hosts": remaining,
            **_window(after, len(left), _count(steps, "after"), batch, surviving, clock_s),
        },
        "steps": steps,
    }


def checks(
    config: Mapping[str, Any], block: Mapping[str, Any], plans: tuple[Plan, Plan], lives: Sequence[Lived], hosts: Sequence[str]
) -> list[Check]:
    """Whether copies were as planned, and the survivors went on with the same training; ``plans`` before and after."""
    limit, worst = LARGEST_DIFFERENCE[config["train"]["dtype"]], block["loss_difference"]
    name = "redone steps give the same loss"
    if worst is None:
        found = skipped(name, "no step was lost: the copy was made right before the failure")
    else:
        detail = f"{block['lost_steps']} steps, at most {worst:.1e} apart (relative), {limit:.0e} allowed"
        found = finding(name, math.isfinite(worst) and worst <= limit, detail)
    finite = all(math.isfinite(step["loss"]) for step in block["steps"])
    by_part: dict[tuple[int, int], set[str | None]] = {}
    left = [life for life in lives if life.rank != block["rank"]]
    for at, life in zip(plans[1].placements, left, strict=True):
        by_part.setdefault((at.stage[0], at.tensor[0]), set()).add(life.weights_hash)
    different = [part for part, hashes in by_part.items() if len(hashes) > 1]
    detail = f"weights differ between {len(different)} sets of replicas" if different else f"{len(left)} ranks"
    copies, planned = block["copies"], copy_bytes(plans[0], hosts)
    sent, wanted = copies["payload_bytes"], len(copies["seconds"]) * sum(bytes_ for _, bytes_ in planned)
    as_planned = sent == wanted and copies["memory_bytes"] == [bytes_ for bytes_, _ in planned]
    said = f"{sent} bytes sent, {wanted} planned; in memory {copies['memory_bytes']}, planned {[b for b, _ in planned]}"
    return [
        finding(
            "copies are as planned", as_planned, f"{sent} bytes for {len(copies['seconds'])} copies" if as_planned else said
        ),
        found,
        finding("loss is finite after the failure", finite, f"{len(block['steps'])} steps"),
        finding("replicas are equal after the failure", not different, detail),
    ]


def _of(life: Lived, part: str) -> list[Span]:
    return [span for span in life.spans if span.part == part]


def _steps(lives: Sequence[Lived], part: str, to_common: ToCommon, before: float = -math.inf) -> Iterator[dict[str, Any]]:
    """The steps of a part: from the first rank's begin, or the end of the step ``before`` where that was later, to the last
    rank's end; the loss is the sum over the ranks."""
    for same in _together(lives, part, "step"):
        begin, end = _edges(lives, same, to_common)
        yield {
            "part": part,
            "step": same[0].step,
            "ranks": len(lives),
            "start_s": max(before, begin),
            "end_s": end,
            "loss": math.fsum(span.loss for span in same if span.loss is not None),
        }
        before = end


def _together(lives: Sequence[Lived], part: str, what: str) -> Iterator[tuple[Span, ...]]:
    """What the ranks did at the same time, one after the other."""
    return zip(*([span for span in _of(life, part) if span.what == what] for life in lives), strict=True)


def _edges(lives: Sequence[Lived], same: Sequence[Span], to_common: ToCommon) -> Window:
    """From the first rank's begin to the last one's end."""
    pairs = list(zip(lives, same, strict=True))
    first = min(to_common(life.rank, span.begin_ns) for life, span in pairs)
    return first, max(to_common(life.rank, span.end_ns) for life, span in pairs)


def _count(steps: Sequence[Mapping[str, Any]], part: str) -> int:
    return sum(step["part"] == part for step in steps)


def _difference(steps: Sequence[Mapping[str, Any]], redone: Sequence[Mapping[str, Any]]) -> float | None:
    """The largest relative difference between the loss of a lost step and of its repetition."""
    first = {step["step"]: step["loss"] for step in steps if step["part"] == "copies"}
    apart = [abs(step["loss"] - first[step["step"]]) / abs(first[step["step"]]) for step in redone]
    return max(apart) if apart else None


def _window(window: Window, ranks: int, steps: int, batch: int, found: Cover, clock_s: float) -> dict[str, Any]:
    """Throughput and energy of some steps; joules per sample null where a host has no readings."""
    seconds = window[1] - window[0]
    spent = window_energy(found, clock_s, window)
    return {
        "ranks": ranks,
        "start_s": window[0],
        "end_s": window[1],
        "steps": steps,
        "samples_per_s": steps * batch / seconds,
        "per_sample_J": None if spent["joules"] is None else spent["joules"] / (steps * batch),
        **spent,
    }
