"""The record's ``environment`` block."""

from __future__ import annotations

from dataclasses import replace

from bench.conditions.environment import collect_code
from bench.record.environment_record import EnvironmentRecord, HostRecord, MpiRecord, RankRecord
from bench.run.gathered_run import GatheredRun
from bench.timeline.rank_report import RankFacts


def environment_block(gathered: GatheredRun) -> EnvironmentRecord:
    """Code, machines and ranks, and the command that started the point.

    Args:
        gathered: The run that is over.

    Returns:
        The block; hosts in the order of their first ranks.
    """
    first, facts, overrides = gathered.reports[0].facts, gathered.facts, gathered.config.overrides
    return replace(
        collect_code(),
        mpi=MpiRecord(library=first.mpi, thread_level=first.thread_level),
        hosts=_hosts(gathered),
        ranks=[_rank(report.facts) for report in gathered.reports],
        command=gathered.config.command,
        overrides=None if overrides is None else list(overrides),
        # To the microsecond: it is where the common axis of events and power begins, for meters that tell civil time.
        started=facts.started.isoformat(timespec="microseconds"),
        finished=facts.finished.isoformat(timespec="milliseconds"),
    )


def _hosts(gathered: GatheredRun) -> list[HostRecord]:
    """Every host as its first rank found it, before and after."""
    hosts = []
    for report in gathered.reports:
        if report.facts.machine is not None:
            before, after = report.host_states
            hosts.append(replace(report.facts.machine, before=before, after=after, mode=report.mode))
    return hosts


def _rank(facts: RankFacts) -> RankRecord:
    return RankRecord(
        rank=facts.rank,
        host=facts.host,
        processor=facts.processor,
        pid=facts.pid,
        affinity=facts.affinity,
        threads=facts.threads,
    )
