"""Power of every host while the ranks work: one sampler process a host, its readings gathered on rank 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bench.common.user_error import UserError
from bench.energy.sampling.sampler import Home, Sampler
from bench.joules.channel import Trace
from bench.joules.integration import window_needed_s

if TYPE_CHECKING:
    from mpi4py import MPI


def wanted_sources(config: Mapping[str, Any]) -> list[str]:
    """``energy.source`` as a list of names; empty for ``meters``, which asks for nothing but meters."""
    given = config["source"]
    names = [given] if isinstance(given, str) else list(given)
    return [] if names == ["meters"] else names


def root_of(root: str, host: str) -> str:
    """The root of sys, proc and programs on a host: ``%h`` stands for its name, as in ssh's configuration."""
    return str(root).replace("%h", host)


def meters_of(label: str, labels: Sequence[str], meters: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The meters that host ``label`` reads in a run on ``labels``.

    A meter is read by its ``reader`` where that takes part, else by the first of its hosts that does; one that has none of
    the hosts and nothing else is not read.
    """
    found = {}
    for name, meter in meters.items():
        own = [host for host in labels if host in meter["hosts"]]
        if not own and not (meter["includes"] and not meter["hosts"]):
            continue
        reader = meter["reader"] if meter["reader"] in labels else (own or list(labels))[0]
        if reader == label:
            found[name] = dict(meter)
    return found


class EnergySession:
    """The samplers of all hosts. Every method but ``stop`` is collective.

    ``config`` has ``source`` (a name or names, auto, measured, meters, none), ``root`` (``%h`` stands for the host's
    name), ``period_s``, ``meters`` and ``calibration`` by host; ``boards`` the board descriptions by name. The lowest
    rank of each host owns its sampler.
    """

    def __init__(self, comm: MPI.Comm, config: Mapping[str, Any], boards: Mapping[str, Any], home: Home) -> None:
        self.comm, self.config, self.home = comm, config, replace(home, rank=comm.Get_rank())
        # A host is its boot id and its name: cloned images share names, boards emulated on one machine the boot id.
        homes = comm.allgather((home.boot_id, home.name, home.label))
        owner = [found[:2] for found in homes].index((home.boot_id, home.name)) == comm.Get_rank()
        self.labels = list(dict.fromkeys(label for _, _, label in homes))
        self.sampler: Sampler | None = None
        self.traces: list[Trace] = []
        if config["source"] == "none":
            return
        metered = {host for meter in config["meters"].values() for host in meter["hosts"]}
        without = [label for label in self.labels if label not in metered]
        if config["source"] == "meters" and without:
            raise UserError(
                f"energy=meters, but no meter has {', '.join(without)}; describe one under meters:, or use energy=auto"
            )
        if owner:
            self.sampler = Sampler(
                wanted_sources(config),
                boards[home.board],
                root_of(config["root"], home.label),
                config["period_s"],
                meters_of(home.label, self.labels, config["meters"]),
                home.label in metered,
            )

    def start(self) -> None:
        """Start the samplers. Raises the same UserError on all ranks when one host has no readable source."""
        error = None
        if self.sampler is not None:
            try:
                self.sampler.start()
            except UserError as problem:
                error = f"{self.home.label}: {problem}"
        errors = [found for found in self.comm.allgather(error) if found]
        if errors:
            self.stop()
            raise UserError(errors[0])

    def window_needed_s(self) -> float:
        """The longest window that any host's source needs for 60 readings and 1 %, by the power since the start."""
        needed = 0.0
        if self.sampler is not None:
            powers = self.sampler.powers_W()
            for about, channels, watts in zip(self.sampler.about["sources"], self.sampler.channels, powers, strict=True):
                if about["check_of"] is None:
                    needed = max(needed, window_needed_s(channels, about["period_s"], watts))
        return float(max(self.comm.allgather(needed)))

    def stop(self) -> None:
        """End the samplers and keep their readings. Not collective, and safe after a failure."""
        if self.sampler is not None:
            if "sources" in self.sampler.about:
                covers = {name: meter["hosts"] for name, meter in self.config["meters"].items()}
                calibration = self.config["calibration"].get(self.home.label, {})
                self.traces = self.sampler.stop(self.home, covers, calibration)
            self.sampler.kill()
            self.sampler = None

    def gather(self) -> list[Trace] | None:
        """All traces on rank 0, in the order of their ranks; None elsewhere."""
        gathered = self.comm.gather(self.traces)
        return None if gathered is None else [trace for traces in gathered for trace in traces]
