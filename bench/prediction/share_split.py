"""Shares that make boards of different speed end together, by a profile: samples, layers, heads and tokens.

    amounts   one unit after the other to whoever would end first with it: the least possible largest time, for times that
              grow with the amount (a greedy choice is optimal there)
    layers    consecutive ones, by dynamic programming over (stages, layers): the least possible largest time of a stage

Only computation is balanced; what the shares do to messages is for ``step_cost.py`` to say.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.prediction.cluster_profile import Profile
from bench.prediction.step_cost import WAYS, Work, compute_s
from strategies.common.plan_error import PlanError
from strategies.plan.model_spec import ModelSpec
from strategies.plan.shapes import MeshShape, StepShape

# Options of a strategy: a share of each rank or stage of an axis, or of each rank of each stage.
AxisShares = dict[str, list[int] | list[list[int]]]


def amounts(total: int, parts: int, seconds: Callable[[int, int], float], least: int = 1) -> list[int]:
    """Share units so that the largest ``seconds(part, amount)`` is as small as can be.

    Args:
        total: How many units.
        parts: How many parts.
        seconds: Time of an amount in a part, s; it grows with the amount.
        least: Units that each part has at least.

    Returns:
        Units of each part, which sum to ``total``.

    Raises:
        PlanError: There are too few units.
    """
    if total < parts * least:
        raise PlanError(f"{total} units cannot be shared by {parts} parts of at least {least}")
    shares = [least] * parts
    ends = [(seconds(part, least + 1), part) for part in range(parts)]
    heapq.heapify(ends)
    for _ in range(total - parts * least):
        _, part = heapq.heappop(ends)
        shares[part] += 1
        heapq.heappush(ends, (seconds(part, shares[part] + 1), part))
    return shares


def layers(total: int, parts: int, seconds: Callable[[int, int], float]) -> list[int]:
    """Share consecutive layers, at least one a part.

    The largest ``seconds(part, layers)`` is as small as can be, and of those solutions the one with the smallest sum.

    Args:
        total: How many layers.
        parts: How many parts.
        seconds: Time of so many layers in a part, s.

    Returns:
        Layers of each part, which sum to ``total``.

    Raises:
        PlanError: There are too few layers.
    """
    if total < parts:
        raise PlanError(f"{total} layers cannot be shared by {parts} stages")
    unreachable: tuple[float, float, tuple[int, ...]] = (math.inf, math.inf, ())
    best = [(0.0, 0.0, ()), *[unreachable] * total]
    for part in range(parts):
        after = [unreachable] * (total + 1)
        for held in range(part + 1, total - (parts - part - 1) + 1):
            choices = []
            for count in range(1, held - part + 1):
                longest, whole, sizes = best[held - count]
                count_s = seconds(part, count)
                choices.append((max(longest, count_s), whole + count_s, (*sizes, count)))
            after[held] = min(choices)
        best = after
    return list(best[total][2])


def planned(
    options: Mapping[str, Any], spec: ModelSpec, shape: StepShape, mesh: MeshShape, profile: Profile, hosts: Sequence[str]
) -> dict[str, Any]:
    """A strategy's options with planned shares on every axis that the mesh splits.

    What several ranks hold together goes at the pace of the slowest.

    Args:
        options: All options of the strategy, without shares.
        spec: The model.
        shape: The step's batch and length.
        mesh: The mesh of the ranks.
        profile: What was measured of their hosts.
        hosts: The host's name of each rank.

    Returns:
        The options with the shares that the strategy knows.

    Raises:
        PlanError: Shares are given already, or there is less to share than there are ranks.
    """
    shares = _Shares(options, spec, shape, mesh, profile, hosts)
    split: AxisShares = {}
    for axis, make in shares.makers.items():
        if getattr(mesh, axis) > 1:
            split.update(make())
    already = sorted(key for key in split if options.get(key))
    if already:
        raise PlanError(f"strategy.{already[0]} is given, so planner.split=planned has nothing to say; leave one of them out")
    return {**options, **{key: value for key, value in split.items() if key in options}}


class _Shares:
    def __init__(
        self,
        options: Mapping[str, Any],
        spec: ModelSpec,
        shape: StepShape,
        mesh: MeshShape,
        profile: Profile,
        hosts: Sequence[str],
    ) -> None:
        self.options, self.spec, self.shape, self.mesh = options, spec, shape, mesh
        self.profile, self.hosts = profile, hosts
        self.micro = shape.batch / mesh.data / shape.micro_batches  # samples
        self.groups: list[int] = list(options.get("groups") or [1] * mesh.pipeline)
        self.makers = {"data": self.samples, "sequence": self.tokens, "tensor": self.heads, "pipeline": self.stages}

    def samples(self) -> AxisShares:
        work, micros = Work(self.spec.layers, True, True), self.shape.micro_batches
        hosts = [self.hosts_at("data", index) for index in range(self.mesh.data)]
        return {"shares": amounts(self.shape.batch, len(hosts), lambda i, n: self.seconds(hosts[i], n / micros, work), micros)}

    def tokens(self) -> AxisShares:
        work, whole = Work(self.spec.layers, True, True), self.shape.seq
        hosts = [self.hosts_at("sequence", index) for index in range(self.mesh.sequence)]
        return {
            "sequence_shares": amounts(whole, len(hosts), lambda i, n: self.seconds(hosts[i], self.micro * n / whole, work))
        }

    def heads(self) -> AxisShares:
        work, parts = Work(self.spec.layers, True, True), self.mesh.tensor
        units = self.spec.kv_heads if self.spec.kv_heads >= parts else self.spec.heads
        hosts = [self.hosts_at("tensor", index) for index in range(parts)]
        return {"tensor_shares": amounts(units, parts, lambda i, n: self.seconds(hosts[i], self.micro, work, n / units))}

    def stages(self) -> AxisShares:
        """Layers of every (virtual) stage, and the samples of ranks that share one."""
        count, firsts = len(self.groups), list(itertools.accumulate([0, *self.groups]))
        parts = count * (int(self.options["virtual_stages"]) if self.options["schedule"] == "interleaved" else 1)
        members = [[self.hosts_at("pipeline", n) for n in range(firsts[s], firsts[s + 1])] for s in range(count)]

        def stage_s(part: int, layers: int) -> float:
            ranks = members[part % count]
            work = Work(layers, part == 0, part == parts - 1)
            part_of = self.micro / len(ranks)
            return part_of * len(ranks) / sum(part_of / self.seconds(hosts, part_of, work) for hosts in ranks)

        split: AxisShares = {"stages": layers(self.spec.layers, parts, stage_s)}
        if count < self.mesh.pipeline:
            work = Work(1, False, False)
            split["group_shares"] = [
                amounts(int(self.micro), len(ranks), lambda i, n, ranks=ranks: self.seconds(ranks[i], n, work))  # type: ignore[misc]
                for ranks in members
            ]
        return split

    def hosts_at(self, axis: str, index: int) -> list[str]:
        """Hosts of the ranks at one place of an axis."""
        return sorted({host for rank, host in enumerate(self.hosts) if self.mesh.coordinates(rank)[axis] == index})

    def seconds(self, hosts: Sequence[str], samples: float, work: Work, share: float = 1.0) -> float:
        """Forward and backward of ``samples``, on the slowest of ``hosts``."""
        recompute = self.shape.recompute == "blocks"

        def both(host: str) -> float:
            return sum(compute_s(self.profile, host, samples, work, share, way, recompute) for way in WAYS)

        return max(both(host) for host in hosts)
