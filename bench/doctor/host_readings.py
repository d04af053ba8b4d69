"""The readings of one host, as its rank hands them to rank 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.joules.channel import Trace


@dataclass(frozen=True)
class HostReadings:
    """The power readings of one host.

    Attributes:
        label: The host's name in the inventory.
        board: Its board class.
        boot_id: The kernel's identifier of this boot.
        processor: The name that MPI gives to the machine.
        traces: Readings of each opened source.
        left_out: Sources that were not opened, each with its ``source`` and ``reason``.
        sampler_cpu: Share of one core that the sampler took while it read; None where nothing was read.
        problem: Why a run would end on this host; None where it would not.
    """

    label: str
    board: str
    boot_id: str
    processor: str
    traces: tuple[Trace, ...] = ()
    left_out: tuple[Mapping[str, str], ...] = ()
    sampler_cpu: float | None = None
    problem: str | None = None
