"""Power of every host while the ranks work: one sampler process a host, its readings gathered on rank 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.cluster.board_class import BoardClass
from bench.common.user_error import UserError
from bench.energy.sampling.energy_settings import EnergySettings
from bench.energy.sampling.host_identity import HostIdentity
from bench.energy.sampling.meter_entry import MeterEntry
from bench.energy.sampling.sampler import Sampler
from bench.joules.channel import Trace
from bench.joules.reading_uncertainty import window_needed_s

if TYPE_CHECKING:
    from mpi4py import MPI


def root_of(root: str, host: str) -> str:
    """The root of sys, proc and programs on a host.

    Args:
        root: A path, in which ``%h`` stands for the host's name, as in ssh's configuration.
        host: The host's name in the inventory.

    Returns:
        The path with the name in it.
    """
    return str(root).replace("%h", host)


def meters_of(label: str, labels: Sequence[str], meters: Mapping[str, MeterEntry]) -> dict[str, MeterEntry]:
    """The meters that one host reads in a run.

    A meter is read by its ``reader`` where that takes part, else by the first of its hosts that does; one that has none of
    the hosts and nothing else is not read.

    Args:
        label: The host's name in the inventory.
        labels: Names of all hosts of the run.
        meters: All meters of the inventory, by name.

    Returns:
        Those that ``label`` reads, by name.
    """
    to_read = {}
    for name, meter in meters.items():
        taking_part = [host for host in labels if host in meter.hosts]
        if not taking_part and not (meter.includes and not meter.hosts):
            continue
        reader = meter.reader if meter.reader in labels else (taking_part or list(labels))[0]
        if reader == label:
            to_read[name] = meter
    return to_read


class EnergySession:
    """The samplers of all hosts; the lowest rank of each host owns its sampler. Every method but ``stop`` is collective.

    Their processes begin to load at once; ``start`` waits until they read.

    Args:
        comm: All ranks.
        settings: What is read on which host.
        boards: The board classes, by name.
        home: The host of this rank.

    Raises:
        UserError: ``energy=meters``, and a host is behind none.
    """

    def __init__(self, comm: MPI.Comm, settings: EnergySettings, boards: Mapping[str, BoardClass], home: HostIdentity) -> None:
        self.comm, self.settings, self.home = comm, settings, replace(home, rank=comm.Get_rank())
        # A host is its boot id and its name: cloned images share names, boards emulated on one machine the boot id.
        homes = comm.allgather((home.boot_id, home.name, home.label))
        owner = [other[:2] for other in homes].index((home.boot_id, home.name)) == comm.Get_rank()
        self.labels = list(dict.fromkeys(label for _, _, label in homes))
        self.sampler: Sampler | None = None
        self.traces: list[Trace] = []
        if settings.source == "none":
            return
        without = [label for label in self.labels if label not in settings.metered]
        if settings.source == "meters" and without:
            raise UserError(
                f"energy=meters, but no meter has {', '.join(without)}; describe one under meters:, or use energy=auto"
            )
        if owner:
            self.sampler = Sampler(
                settings.own_sources,
                boards[home.board],
                root_of(settings.root, home.label),
                settings.period_s,
                meters_of(home.label, self.labels, settings.meters),
                home.label in settings.metered,
            )
            self.sampler.begin()

    def start(self) -> None:
        """Start the samplers.

        Raises:
            UserError: The same on all ranks, when one host has no readable source.
        """
        error = None
        if self.sampler is not None:
            try:
                self.sampler.start()
            except UserError as problem:
                error = f"{self.home.label}: {problem}"
        errors = [other for other in self.comm.allgather(error) if other]
        if errors:
            self.stop()
            raise UserError(errors[0])

    def window_needed_s(self) -> float:
        """The longest window that any host's source needs for 60 readings and 1 %, by the power since the start, in seconds."""
        needed_s = 0.0
        if self.sampler is not None:
            powers = self.sampler.powers_W()
            for source, watts in zip(self.sampler.reading.sources, powers, strict=True):
                if source.check_of is None:
                    needed_s = max(needed_s, window_needed_s(source.channels, source.period_s, watts))
        return float(max(self.comm.allgather(needed_s)))

    def stop(self) -> None:
        """End the samplers and keep their readings. Not collective, and safe after a failure."""
        if self.sampler is not None:
            if self.sampler.answer is not None:
                calibration = self.settings.calibration.get(self.home.label, {})
                self.traces = self.sampler.stop(self.home, self.settings.covers, calibration)
            self.sampler.kill()
            self.sampler = None

    def gather(self) -> list[Trace] | None:
        """All traces on rank 0, in the order of their ranks; None elsewhere."""
        gathered = self.comm.gather(self.traces)
        return None if gathered is None else [trace for traces in gathered for trace in traces]
