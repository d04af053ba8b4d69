"""How ranks will communicate where that is ``auto``, as a profile lets expect it: by the rules that ranks decide by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.config.comm_config import CommConfig
from bench.prediction.cluster_profile import Profile, all_reduce_s
from strategies.comm.comm_choice import GroupFacts, RankCores, choose_progress, choose_wait
from strategies.comm.comm_options import AUTO
from strategies.comm.eager_limit import ASSUMED
from strategies.plan.shapes import Plan


def expected_comm(comm: CommConfig, plan: Plan, profile: Profile, hosts: Sequence[str]) -> CommConfig:
    """The configuration with the progress and the wait that are to be expected. One for all axes: those of all ranks.

    Args:
        comm: As configured.
        plan: The plan of the ranks.
        profile: What was measured of their hosts.
        hosts: The host's name of each rank.

    Returns:
        The same without ``auto``, but for the all-reduce: ``fastest_all_reduce_s`` has its time.
    """
    shared = len(set(hosts)) == 1
    per_rank = [(profile.host(host).cores / hosts.count(host), profile.host(host).threads) for host in set(hosts)]
    cores, threads = min(per_rank, key=lambda one: one[0] - one[1])
    facts = GroupFacts(
        ranks=len(hosts),
        shared_memory=shared,
        cores=RankCores(cores, threads, "the profile"),
        message_bytes=max((-(-volume.payload_bytes // volume.calls) for volume in plan.volumes), default=None),
        eager=ASSUMED[shared],
    )
    progress = choose_progress("world", AUTO, facts)[0] if comm.progress in (None, AUTO) else comm.progress
    return replace(comm, progress=progress, wait=choose_wait("world", AUTO, facts)[0] if comm.wait == AUTO else comm.wait)


def fastest_all_reduce_s(
    algorithm: str, profile: Profile, payload_bytes: float, ranks: int, latency_s: float, rate_byte_s: float
) -> float:
    """Seconds of an all-reduce; under ``auto`` those of the fastest algorithm that the profile has.

    Args:
        algorithm: As ``comm.all_reduce`` names it.
        profile: Says how far each algorithm stays behind its formula.
        payload_bytes: Size of the reduced data.
        ranks: How many take part.
        latency_s: Time of an empty message, s.
        rate_byte_s: Rate of the slowest link, byte/s.

    Returns:
        Seconds.
    """
    names = (list(profile.all_reduce) or ["mpi"]) if algorithm == AUTO else [algorithm]
    return min(
        all_reduce_s(name, payload_bytes, ranks, latency_s, rate_byte_s) * profile.factor(name, payload_bytes) for name in names
    )
