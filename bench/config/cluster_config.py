"""The ``cluster`` block: hosts, what starts the ranks on them, and the links of emulated boards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.config.config_field import setting
from bench.config.dilation_config import MUST, is_dilation

LAUNCHERS = ("mpirun", "srun")
BINDINGS = ("none", "core", "socket")
ALLOCATIONS = ("slurm",)
REVERSE = "reverse"


def _reverse_or_list(value: Any) -> bool:
    return isinstance(value, (str, list, tuple)) and bool(value)


@dataclass(frozen=True)
class ClusterConfig:
    """One cluster as its file in ``conf/cluster`` and the command line give it (``docs/how-to/clusters.md``)."""

    name: str = setting("local", "name of the cluster in records")
    hostfile: str | None = setting("hostfiles/local", "inventory of the hosts; null: those of the allocation")
    board: str = setting("x86-mini-pc", "class of the hosts for which the inventory names none")
    interface: str | None = setting(None, "network of MPI's TCP traffic, such as 192.168.1.0/24")
    oversubscribe: bool = setting(False, "allow more ranks than slots")
    mpirun: str | None = setting(None, "path of mpirun; null: the one beside this Python, else on PATH")
    hosts: list | None = setting(
        None,
        "names of the hosts that take part; null: all of the inventory",
        check=bool,
        must="null or a list of hosts, such as [pi-1,pi-3]",
    )
    order: Any = setting(
        None,
        "who is next to whom in a ring or a pipeline; null: the inventory's order; reverse; or all names",
        check=_reverse_or_list,
        must="null, reverse, or a list of all hosts",
    )
    bind: str | None = setting(
        "none", "ranks to processors: none, core (one for each rank), socket", choices=BINDINGS, use=", ".join(BINDINGS)
    )
    env: Mapping[str, Any] | None = setting(
        None, "variables for all ranks, with their values", must="null or variables with values, such as {OMP_PROC_BIND: close}"
    )
    forward: list | None = setting(
        None,
        "names of variables whose values go to all ranks and are written nowhere",
        must="null or a list of names of variables, such as [HF_TOKEN]",
    )
    launcher: str | None = setting(
        "mpirun", "mpirun, or srun inside a SLURM allocation", choices=LAUNCHERS, use=", ".join(LAUNCHERS)
    )
    allocation: str | None = setting(
        None, "slurm: the hosts are those of the allocation that this runs in", choices=ALLOCATIONS, use="slurm, null"
    )
    link: str | None = setting(None, "link of every emulated board, a file in conf/link; null: as in the inventory")
    link_rate_bit_s: float | None = setting(
        None,
        "rate of every emulated board's link; null: as the link says",
        unit="bits per second",
        least=1e4,
        must="a number of bits per second of at least 1e4, such as 1.0e+8",
    )
    dilation: Any = setting(
        None,
        "seconds of this machine for one second of emulated boards: class, none or a number; null: as in the inventory",
        check=is_dilation,
        must=f"null, {MUST}",
    )
    device: str | None = setting(
        None, "device of their class that emulated boards stand for; null: as in the inventory", choices=("cpu", "gpu")
    )
    link_delay_s: float | None = setting(
        None,
        "one way over one link of emulated boards; needs the kernel's netem",
        unit="seconds",
        least=0,
        most=10,
        must="a number of seconds of at most 10, one way over one link",
    )
