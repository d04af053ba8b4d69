"""Joules by phase, by what ranks did, and by rank: the shares of the record's ``energy`` block."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.common.phases import PHASES, STATES, Phase
from bench.joules.attribution import Attribution, attribute
from bench.joules.cover import Cover
from bench.joules.timed_run import Run
from bench.record.energy_record import AttributionRecord, PhaseJoulesRecord, RankJoulesRecord, StateJoulesRecord


@dataclass(frozen=True)
class EnergyShares:
    """Shares of the total, and how they were found; null where that was refused."""

    attribution: AttributionRecord
    by_phase: StateJoulesRecord | None = None
    phases: Sequence[PhaseJoulesRecord] | None = None
    by_rank: Sequence[RankJoulesRecord] | None = None


def refused(why: str, condition_number: float | None = None) -> EnergyShares:
    """No shares.

    Args:
        why: The reason, in words.
        condition_number: That of the matrix, where one was made.

    Returns:
        The record of the refusal, with null for all shares.
    """
    return EnergyShares(AttributionRecord(method="refused", why=why, condition_number=condition_number))


def energy_shares(cover: Cover, run: Run) -> EnergyShares:
    """Energy by phase, and summed up by MPI state and rank.

    States follow from phases: computing forward takes other power than backward, so a fit to states alone would lend the
    difference to whatever lies beside them.

    Args:
        cover: The cover of the run's hosts.
        run: Windows, hosts and the ranks' stretches of each phase.

    Returns:
        Joules of phases, states and ranks; null, with the reason, where they cannot be told.
    """
    attributions: list[Attribution] = []
    for part in cover.parts:
        ranks = {rank: run.stretches[rank] for rank, host in run.rank_host.items() if host in part.hosts}
        attributions += [attribute(curve, ranks, run.windows, PHASES) for curve in part.curves]
    why = [one.why for one in attributions if one.method == "refused"]
    if cover.missing:
        why = [f"no readings of {', '.join(cover.missing)}"]
    condition_number = max((one.condition for one in attributions if one.condition is not None), default=None)
    if why:
        return refused(why[0], condition_number)
    joules = {phase: math.fsum(one.joules[phase] for one in attributions) for phase in PHASES}
    errors = {phase: math.hypot(*(one.error_J[phase] for one in attributions)) for phase in PHASES}
    methods = " and ".join(sorted({one.method for one in attributions}))
    return EnergyShares(
        AttributionRecord(method=methods, why=attributions[0].why, condition_number=condition_number),
        StateJoulesRecord(**_states(joules)),
        [PhaseJoulesRecord(phase=phase, joules=joules[phase], standard_error_J=errors[phase]) for phase in PHASES],
        [RankJoulesRecord(rank=rank, **_states(spent)) for rank, spent in sorted(_by_rank(attributions).items())],
    )


def _by_rank(attributions: Sequence[Attribution]) -> dict[int, dict[Phase, float]]:
    """Joules of each rank by phase, over all sources of its host."""
    by_rank: dict[int, dict[Phase, float]] = {}
    for one in attributions:
        for rank, spent in one.by_rank.items():
            total = by_rank.setdefault(rank, dict.fromkeys(PHASES, 0.0))
            total.update({phase: total[phase] + spent[phase] for phase in PHASES})
    return by_rank


def _states(phases: Mapping[Phase, float]) -> dict[str, float]:
    computed = math.fsum(joules for phase, joules in phases.items() if phase not in STATES)
    return {"compute_J": computed, "communicate_J": phases["communicate"], "wait_J": phases["wait"]}
