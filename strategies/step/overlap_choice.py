"""Whether tensor parallelism hides its reductions behind the products of the other half of a batch. Pure.

Halves cost a little: products of half as many rows, twice as many messages, a thread that shares the core. Over 1 Gbit/s, where
the reductions of MiniLM take 0.9 of the products' time, a step took 0.91 (0.90 to 0.96) of the whole batch's; over 100 Mbit/s,
where there is less to hide them behind, 0.94. On shared memory there is next to nothing to hide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from strategies.comm.comm_choice import Choice, Trial, choose
from strategies.comm.comm_options import Auto, Progress
from strategies.common.plan_error import PlanError

Overlap = Literal["halves", "none"]

LEAST_SHARE = 0.3
"""Of the products' time, that reductions must take for halves to be worth their cost."""


@dataclass(frozen=True)
class OverlapFacts:
    """The tensor groups, as all ranks know them.

    Attributes:
        device: Where the ranks compute.
        why_not: What keeps this step from being halved; None: nothing.
        progress: Who moves the group's messages while a rank computes.
        exchange_s: Seconds of a step's exchanges of one rank, at the rate of the trials; None: none was tried.
        products_s: Seconds of a step's products of one rank, at the rate of one that was tried.
        trials: What ``exchange_s`` rests on.
    """

    device: str
    why_not: str | None
    progress: Progress
    exchange_s: float | None
    products_s: float
    trials: tuple[Trial, ...] = ()


def choose_overlap(axis: str, asked: str, facts: OverlapFacts) -> tuple[Overlap, Choice]:
    """Decide for one rank; all ranks of a tensor group come to the same answer.

    Args:
        axis: The name of the tensor groups.
        asked: The option ``overlap``.
        facts: The groups.

    Returns:
        The value, and the choice with its reason.

    Raises:
        PlanError: Halves are asked for on a GPU.
    """
    if asked == "halves" and facts.device != "cpu":
        raise PlanError(f"<option overlap>=halves needs a CPU, found {facts.device}: {ONE_THREAD}; use auto or none")
    return choose(axis, "overlap", cast("Overlap | Auto", asked), lambda: _overlap(facts), facts.trials)


ONE_THREAD = "torch runs all of a GPU's backward on one thread, where halves cannot take turns"


def _overlap(facts: OverlapFacts) -> tuple[Overlap, str]:
    if facts.device != "cpu":
        return "none", ONE_THREAD
    if facts.why_not is not None:
        return "none", facts.why_not
    if facts.progress != "thread":
        return "none", "nobody moves messages beside the computation, see progress"
    if facts.exchange_s is None:
        return "none", "no all-reduce was tried, so that it is not known how long the exchanges take"
    known = f"exchanges take {facts.exchange_s:.3g} s of a step as tried, products {facts.products_s:.3g} s"
    if facts.exchange_s < LEAST_SHARE * facts.products_s:
        return "none", f"{known}: less than {LEAST_SHARE:g} of them, too little to hide"
    return "halves", f"{known}: each half's are hidden behind the other's"
