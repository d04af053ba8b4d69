"""Rules for ``auto``: which progress and wait suit the groups of an axis, from what their ranks agree on. Pure.

| option     | value  | where                                                                                              |
|------------|--------|----------------------------------------------------------------------------------------------------|
| progress   | inline | on shared memory without a core to spare: the copies take a core that computes                     |
|            | inline | between nodes, messages within the eager limit: MPI sends those without the receiver                |
|            | thread | between nodes, larger messages: they stand still until both ranks enter MPI, which a thread does    |
|            | thread | on shared memory where each rank has a core more than it computes with                              |
| wait       | spin   | a rank has at least one core of its own                                                            |
|            | poll   | less than one: what waiting burns is missing where ranks compute                                    |
| all_reduce |        | measured (``all_reduce_trial.py``)                                                                  |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from strategies.comm.comm_options import AUTO, AllReduce, Auto, Progress, Wait

Chooser = Literal["user", "auto"]


class RankCores(NamedTuple):
    """Processor of one rank: the cores that it may use alone, and those that it computes with."""

    cores: float
    threads: int
    source: str


class EagerLimit(NamedTuple):
    """The largest message that MPI sends before its receiver is ready, and where the number comes from."""

    size_bytes: int
    source: str


@dataclass(frozen=True)
class GroupFacts:
    """The groups of one axis, as all ranks of the mesh know them.

    Attributes:
        ranks: Of the largest group.
        shared_memory: Whether the ranks of each group are on one node.
        cores: Of the rank that has the fewest beside what it computes with.
        message_bytes: The largest message of a step; None: no plan says it.
        eager: The limit between these ranks.
    """

    ranks: int
    shared_memory: bool
    cores: RankCores
    message_bytes: int | None
    eager: EagerLimit


@dataclass(frozen=True)
class Trial:
    """All-reduces of one size in the groups of an axis: seconds of the slowest rank by algorithm, and which was chosen."""

    payload_bytes: int
    seconds: Mapping[str, float]
    chosen: AllReduce


@dataclass(frozen=True)
class Choice:
    """One option of one axis with its reason; ``measured`` has the trials that it rests on."""

    axis: str
    option: Literal["progress", "wait", "all_reduce", "overlap"]
    value: str
    chosen_by: Chooser
    reason: str
    measured: tuple[Trial, ...] = field(default=())


AS_GIVEN = "as given"
ALONE = "no group has two ranks"


def choose_progress(axis: str, asked: Progress | Auto, facts: GroupFacts) -> tuple[Progress, Choice]:
    """Who moves messages while a rank computes.

    Args:
        axis: The name of the groups.
        asked: What is asked for.
        facts: The groups.

    Returns:
        The value, and the choice with its reason.
    """
    value, reason = _progress(facts) if asked == AUTO else (asked, AS_GIVEN)
    return value, Choice(axis, "progress", value, "auto" if asked == AUTO else "user", reason)


def _progress(facts: GroupFacts) -> tuple[Progress, str]:
    if facts.ranks == 1:
        return "inline", ALONE
    cores = f"{facts.cores.cores:g} cores ({facts.cores.source}) for {facts.cores.threads} computing threads"
    if facts.shared_memory:
        if facts.cores.cores - facts.cores.threads >= 1:
            return "thread", f"shared memory, and a core to spare: {cores}"
        return "inline", f"shared memory, and no core to spare for the copies: {cores}"
    limit = f"the eager limit of {facts.eager.size_bytes} B ({facts.eager.source})"
    if facts.message_bytes is not None and facts.message_bytes <= facts.eager.size_bytes:
        return "inline", f"between nodes, messages of at most {facts.message_bytes} B, within {limit}"
    size = "of unknown size" if facts.message_bytes is None else f"of up to {facts.message_bytes} B, beyond {limit}"
    return "thread", f"between nodes, messages {size}"


def choose_wait(axis: str, asked: Wait | Auto, facts: GroupFacts) -> tuple[Wait, Choice]:
    """How a rank waits for its partners.

    Args:
        axis: The name of the groups.
        asked: What is asked for.
        facts: The groups.

    Returns:
        The value, and the choice with its reason.
    """
    value, reason = _wait(facts) if asked == AUTO else (asked, AS_GIVEN)
    return value, Choice(axis, "wait", value, "auto" if asked == AUTO else "user", reason)


def _wait(facts: GroupFacts) -> tuple[Wait, str]:
    if facts.ranks == 1:
        return "spin", ALONE
    has = f"a rank has {facts.cores.cores:g} cores ({facts.cores.source})"
    if facts.cores.cores < 1:
        return "poll", f"{has}: waiting would take them from computing"
    return "spin", f"{has}, one to wait with"
