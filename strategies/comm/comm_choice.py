"""Rules for ``auto``: which progress and wait suit the groups of an axis, from what their ranks agree on. Pure.

| option     | value  | where                                                                                              |
|------------|--------|----------------------------------------------------------------------------------------------------|
| progress   | inline | on shared memory without a core to spare: the copies take a core that computes                     |
|            | inline | between nodes, messages within the eager limit: MPI sends those without the receiver                |
|            | inline | between nodes, messages of up to 1 MiB from one rank to one other: they leave in pieces within it   |
|            | thread | between nodes, all others: they stand still until both ranks enter MPI, which a thread does         |
|            | thread | on shared memory where each rank has a core more than it computes with                              |
| wait       | spin   | a rank has at least one core of its own                                                            |
|            | poll   | less than one: what waiting burns is missing where ranks compute                                    |
| all_reduce |        | measured (``all_reduce_trial.py``)                                                                  |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeVar

from strategies.comm.comm_options import AUTO, AllReduce, Auto, Progress, Wait

Chooser = Literal["user", "auto"]
Option = Literal["progress", "wait", "all_reduce", "overlap"]
Value = TypeVar("Value")


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
        point_to_point: Whether all of a step's operations are messages from one rank to one other.
    """

    ranks: int
    shared_memory: bool
    cores: RankCores
    message_bytes: int | None
    eager: EagerLimit
    point_to_point: bool = False

    @property
    def segment_bytes(self) -> int:
        """The largest piece of a message that leaves without its receiver's answer.

        0: messages are not cut, for on shared memory answers are quick, and pieces of a few KiB would be too many.
        """
        small = self.shared_memory or self.eager.size_bytes < LEAST_EAGER_BYTES
        return 0 if small else self.eager.size_bytes - HEADER_BYTES


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
    option: Option
    value: str
    chosen_by: Chooser
    reason: str
    measured: tuple[Trial, ...] = field(default=())


HEADER_BYTES = 1024
"""MPI's own, in what it sends within the eager limit; fewer than 100 in Open MPI."""
LEAST_EAGER_BYTES = 16384
MOST_KERNEL_BYTES = 2**20
"""What the kernel takes and carries on by itself, of several messages at once: a fourth of Linux' largest send buffer.

MiniLM as a pipeline of two boards, 786 kB a message, steps of ``inline`` to those of ``thread`` without pieces: 0.97 (1F1B) and
0.92 (zero bubble) over 1 Gbit/s, 0.98 and 0.92 over 100 Mbit/s.
"""
AS_GIVEN = "as given"
ALONE = "no group has two ranks"


def choose(
    axis: str, option: Option, asked: Value | Auto, rule: Callable[[], tuple[Value, str]], measured: Sequence[Trial] = ()
) -> tuple[Value, Choice]:
    """What a user asks for as it is given, else what a rule says.

    Args:
        axis: The name of the groups.
        option: What is decided.
        asked: What is asked for.
        rule: The value for ``auto``, and the reason in words; called for ``auto`` only.
        measured: The trials that the rule rests on.

    Returns:
        The value, and the choice with its reason.
    """
    if asked != AUTO:
        return asked, Choice(axis, option, str(asked), "user", AS_GIVEN)
    value, reason = rule()
    return value, Choice(axis, option, str(value), "auto", reason, tuple(measured))


def choose_progress(axis: str, asked: Progress | Auto, facts: GroupFacts) -> tuple[Progress, Choice]:
    """Who moves messages while a rank computes.

    Args:
        axis: The name of the groups.
        asked: What is asked for.
        facts: The groups.

    Returns:
        The value, and the choice with its reason.
    """
    return choose(axis, "progress", asked, lambda: _progress(facts))


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
    if facts.point_to_point and facts.segment_bytes and (facts.message_bytes or MOST_KERNEL_BYTES + 1) <= MOST_KERNEL_BYTES:
        return "inline", f"between nodes, messages of at most {facts.message_bytes} B, in pieces within {limit}"
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
    return choose(axis, "wait", asked, lambda: _wait(facts))


def _wait(facts: GroupFacts) -> tuple[Wait, str]:
    if facts.ranks == 1:
        return "spin", ALONE
    has = f"a rank has {facts.cores.cores:g} cores ({facts.cores.source})"
    if facts.cores.cores < 1:
        return "poll", f"{has}: waiting would take them from computing"
    return "spin", f"{has}, one to wait with"
