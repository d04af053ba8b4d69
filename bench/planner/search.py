"""All that a cluster could do with a model, priced by its profile: strategies, meshes, participants, orders, shares.

Hosts of one class on the same kind of link are interchangeable: of those that do the same only one choice is looked at. Up to
MOST_CHOICES choices all are tried, else the fastest host, the two fastest, and so on. Orders matter to pipelines; up to
MOST_ORDERS all are tried, else the inventory's, the fastest first and the fastest last.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.config.comm_config import CommConfig
from bench.config.host_config import Host
from bench.config.point_config import PointConfig
from bench.point.plan_errors import in_command_line_words
from bench.prediction.cluster_profile import Profile, emulated_boards
from bench.prediction.share_split import planned
from bench.prediction.step_cost import predict
from bench.prediction.step_prediction import Prediction
from strategies.base import Strategy, check_options, get, registered
from strategies.comm.comm_options import AUTO
from strategies.common.plan_error import PlanError
from strategies.plan.model_spec import ModelSpec
from strategies.plan.shapes import AXES, MeshShape, StepShape

MOST_CHOICES, MOST_ORDERS, MOST_GROUPED = 64, 24, 5
PLANNED = ("planner.", "strategy", "ranks=", "mesh.", "train.micro_batches=", "cluster.hosts=", "cluster.order=")


@dataclass(frozen=True)
class Candidate:
    """One way to train.

    ``options`` are those that differ from the strategy's defaults; ``hosts`` take part, in this order; ``all_reduce`` is an
    algorithm that the profile found faster than the configured one, null for that.
    """

    strategy: str
    mesh: MeshShape
    micro_batches: int
    options: Mapping[str, Any]
    hosts: tuple[str, ...]
    prediction: Prediction
    all_reduce: str | None = None

    def cost(self, objective: str) -> float:
        """The number that the objective wants small.

        Args:
            objective: ``time``: seconds a step; ``energy``: joules a sample; ``edp``: joules x seconds of a step.

        Returns:
            The number; infinite without watts.
        """
        prediction = self.prediction
        value = {"time": prediction.step_s, "energy": prediction.per_sample_J, "edp": prediction.edp_Js}[objective]
        return math.inf if value is None else value

    def words(self, inventory: Sequence[str], overrides: Sequence[str]) -> list[str]:
        """The words of the command line that runs it.

        Args:
            inventory: Names of all hosts that may take part, in their order.
            overrides: The words that it was planned with; those stay that say nothing of what was planned.

        Returns:
            Words for ``python -m bench``.
        """
        arguments = [
            f"strategy={self.strategy}",
            f"ranks={len(self.prediction.ranks)}",
            f"train.micro_batches={self.micro_batches}",
        ]
        if len(get(self.strategy).axes) > 1:
            arguments += [f"mesh.{axis}={size}" for axis, size in zip(AXES, self.mesh.dims, strict=True) if size > 1]
        arguments += [f"strategy.{key}={listed(value)}" for key, value in self.options.items()]
        if self.all_reduce:
            arguments.append(f"comm.all_reduce={self.all_reduce}")
        participating = [host for host in inventory if host in self.hosts]
        if len(participating) < len(inventory):
            arguments.append(f"cluster.hosts={listed(participating)}")
        if list(self.hosts) != participating:
            arguments.append(f"cluster.order={listed(self.hosts)}")
        planned = PLANNED + (("comm.all_reduce=",) if self.all_reduce else ())
        return arguments + [word for word in overrides if not word.lstrip("+").startswith(planned)]


def listed(value: Any) -> str:
    """A value as the command line takes it: ``[3,1]``.

    Args:
        value: A number, a word, or a list of such, nested or not.

    Returns:
        One word.
    """
    return f"[{','.join(map(listed, value))}]" if isinstance(value, (list, tuple)) else str(value)


@dataclass
class SearchResult:
    """Candidates that fit, and how many did not: ``refused`` by reason, ``over`` for memory."""

    candidates: list[Candidate] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    over: list[Candidate] = field(default_factory=list)
    priced: set[tuple[Any, ...]] = field(default_factory=set)

    def best(self, objective: str, deadline_s: float | None = None) -> list[Candidate]:
        """Candidates from the best to the worst.

        Args:
            objective: ``time``, ``energy`` or ``edp``.
            deadline_s: Those whose step takes longer are left out, s; None for no limit.

        Returns:
            Sorted by the objective, equal ones by the time of a step.
        """
        kept = [c for c in self.candidates if deadline_s is None or c.prediction.step_s <= deadline_s]
        return sorted(kept, key=lambda c: (c.cost(objective), c.prediction.step_s))

    def front(self) -> list[Candidate]:
        """Candidates that no other one beats in both time and energy, from the fastest on."""
        frugal: list[Candidate] = []
        for candidate in self.best("time"):
            if not frugal or candidate.cost("energy") < frugal[-1].cost("energy"):
                frugal.append(candidate)
        return frugal


def search(point: PointConfig, profile: Profile, plain: Mapping[str, Any]) -> SearchResult:
    """Every way to take a step of a point's model and batch on its hosts or some of them.

    Args:
        point: The model, the batch and all hosts.
        profile: What was measured of them.
        plain: The composed configuration; micro-batches that it leaves open are as a strategy prefers (of pipelines several).

    Returns:
        All candidates, priced.

    Raises:
        UserError: The profile lacks a link.
    """
    results, configured = SearchResult(), CommConfig(**plain["comm"])
    spec, shape = point.model.spec, point.step_shape
    # The configured algorithm first: another one must be faster to be chosen. auto finds the fastest itself.
    names = [] if configured.all_reduce == AUTO else profile.all_reduce
    comms = [replace(configured, all_reduce=name) for name in dict.fromkeys([configured.all_reduce, *names])]
    for strategy in registered().values():
        for hosts in participants(point, profile):
            for mesh, options, ordered in ways(strategy, hosts, profile):
                for micros in micro_counts(strategy, mesh, shape.batch, plain["train"]["micro_batches"]):
                    step = replace(shape, micro_batches=micros)
                    _price(results, strategy, spec, step, mesh, options, ordered, profile, comms)
    return results


def _price(
    results: SearchResult,
    strategy: type[Strategy],
    spec: ModelSpec,
    step: StepShape,
    mesh: MeshShape,
    options: Mapping[str, Any],
    hosts: Sequence[Host],
    profile: Profile,
    comms: Sequence[CommConfig],
) -> None:
    """Even and planned shares of one way, where they differ, under the fastest of ``comms``."""
    seats = [host.label for host in hosts for _ in range(host.slots)]
    known_shares = []
    for split in ("even", "planned"):
        choice = check_options(strategy, options)
        try:
            if split == "planned":
                choice = planned(choice, spec, step, mesh, profile, seats)
            plan = strategy.plan(spec, step, mesh, choice)
        except PlanError as error:
            results.refused[in_command_line_words(error)] += 1
            continue
        shares = [(placement.layers, placement.micros, placement.tokens, placement.units) for placement in plan.placements]
        if shares in known_shares:
            continue
        known_shares.append(shares)
        changed = {key: value for key, value in choice.items() if value != strategy.options[key]}
        several = comms if any(volume.op == "all_reduce" for volume in plan.volumes) else comms[:1]
        predictions = [predict(plan, profile, seats, comm) for comm in several]
        prediction = min(predictions, key=lambda prediction: prediction.step_s)
        chosen = comms[predictions.index(prediction)].all_reduce
        twin = strategy.name, frozenset(seats), prediction.step_s, prediction.step_J
        if twin in results.priced:  # the same boards in another order, at one stage
            continue
        results.priced.add(twin)
        candidate = Candidate(
            strategy.name, mesh, step.micro_batches, changed, tuple(host.label for host in hosts), prediction,
            None if chosen == comms[0].all_reduce else chosen,
        )  # fmt: skip
        (results.over if prediction.over else results.candidates).append(candidate)


def participants(point: PointConfig, profile: Profile) -> Iterator[list[Host]]:
    """Choices of hosts that differ in what they are.

    Args:
        point: The cluster and its emulated boards.
        profile: Says which hosts are the fastest, where there are more than MOST_CHOICES choices.

    Yields:
        The hosts of a choice, in the order of the inventory.
    """
    hosts = point.cluster.hosts
    kinds = [kind_of(host, point) for host in hosts]
    by_kind: dict[tuple[Any, ...], list[Host]] = {}
    for kind, host in zip(kinds, hosts, strict=True):
        by_kind.setdefault(kind, []).append(host)
    if math.prod(len(same) + 1 for same in by_kind.values()) > MOST_CHOICES:
        fastest = by_speed(hosts, profile)
        yield from ([host for host in hosts if host in fastest[:count]] for count in range(1, len(hosts) + 1))
        return
    for counts in itertools.product(*(range(len(same) + 1) for same in by_kind.values())):
        chosen = [host for same, count in zip(by_kind.values(), counts, strict=True) for host in same[:count]]
        if chosen:
            yield [host for host in hosts if host in chosen]


def kind_of(host: Host, point: PointConfig) -> tuple[Any, ...]:
    """The properties that make a host another one than its neighbour.

    Args:
        host: The host.
        point: The point, which may emulate the host's link.

    Returns:
        Class, slots, threads, memory, speed, link, switch and emulated link: equal for hosts that are interchangeable.
    """
    board = emulated_boards(point).get(host.label)
    link = board.link if board else None
    return host.board, host.slots, host.threads, host.memory_bytes, host.speed, host.link, host.switch, link


def ways(
    strategy: type[Strategy], hosts: Sequence[Host], profile: Profile
) -> Iterator[tuple[MeshShape, dict[str, Any], list[Host]]]:
    """Meshes, options and orders of a strategy on some hosts.

    Args:
        strategy: The strategy's class.
        hosts: The hosts that take part, all slots of each.
        profile: Says which hosts are the fastest.

    Yields:
        A mesh, the options that differ from the defaults, and the hosts in their order.
    """
    ranks = sum(host.slots for host in hosts)
    if (ranks == 1) != (not strategy.axes):
        return
    for mesh in meshes(strategy, ranks):
        if mesh.pipeline == 1:
            yield mesh, {}, list(hosts)
            continue
        for order in orders(hosts, profile):
            yield mesh, {}, order
            if strategy.axes == ("pipeline",) and "groups" in strategy.options and ranks <= MOST_GROUPED:
                for sizes in compositions(ranks):
                    if 1 < len(sizes) < ranks:
                        yield mesh, {"groups": sizes}, order


def meshes(strategy: type[Strategy], ranks: int) -> Iterator[MeshShape]:
    """Meshes of a strategy over all ranks.

    Args:
        strategy: The strategy's class.
        ranks: How many ranks the mesh has.

    Yields:
        Of a pure strategy its own; of others all that split two axes or more.
    """
    if len(strategy.axes) <= 1:
        yield strategy.mesh_for(ranks, {})
        return
    for sizes in itertools.product(*([n for n in range(1, ranks + 1) if ranks % n == 0] for _ in strategy.axes)):
        if math.prod(sizes) == ranks and sum(size > 1 for size in sizes) > 1:
            yield MeshShape(**dict(zip(strategy.axes, sizes, strict=True)))


def orders(hosts: Sequence[Host], profile: Profile) -> list[list[Host]]:
    """Orders of hosts that differ by class. Those of one class keep their order.

    Args:
        hosts: In the order of the inventory.
        profile: Says which hosts are the fastest, where there are more than MOST_ORDERS orders.

    Returns:
        All orders; of too many three: as they are, the fastest first and the fastest last.
    """
    boards = [host.board for host in hosts]
    count = math.factorial(len(hosts)) // math.prod(math.factorial(n) for n in Counter(boards).values())
    if count > MOST_ORDERS:
        fastest = by_speed(hosts, profile)
        return [list(hosts), fastest, fastest[::-1]]
    by_boards: dict[tuple[str, ...], list[Host]] = {}
    for order in itertools.permutations(hosts):
        by_boards.setdefault(tuple(host.board for host in order), list(order))
    return list(by_boards.values())


def by_speed(hosts: Sequence[Host], profile: Profile) -> list[Host]:
    """Hosts by the time of one block's forward.

    Args:
        hosts: In any order.
        profile: What was measured of them.

    Returns:
        The fastest first.
    """
    return sorted(hosts, key=lambda host: profile.host(host.label).seconds("block", 1.0, 1.0, True))


def compositions(total: int) -> Iterator[list[int]]:
    """All lists of positive numbers with a given sum.

    Args:
        total: The sum, at least 1.

    Yields:
        Each of the 2^(total - 1) lists.
    """
    for cuts in itertools.product((False, True), repeat=total - 1):
        sizes = [1]
        for cut in cuts:
            if cut:
                sizes.append(1)
            else:
                sizes[-1] += 1
        yield sizes


def micro_counts(strategy: type[Strategy], mesh: MeshShape, batch: int, configured: int | None) -> list[int]:
    """Numbers of micro-batches to try.

    Args:
        strategy: The strategy's class.
        mesh: Its mesh.
        batch: Samples of a step.
        configured: The number that the configuration asks for, which is the only one then; None for none.

    Returns:
        What the strategy prefers, and of pipelines half and twice as many too.
    """
    preferred = strategy.micro_batches(configured, mesh, batch)
    if configured is not None or mesh.pipeline == 1:
        return [preferred]
    counts = (preferred // 2, preferred, 2 * preferred)
    return [count for count in counts if count >= 1 and count * mesh.data <= batch] or [preferred]
