"""Which host a process is on: what tells it apart from all others, and the names that it goes by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HostIdentity:
    """One host of a run.

    ``name`` is its processor name in MPI and ``boot_id`` the kernel's; only both together tell hosts apart, for cloned
    images share the name and boards emulated on one machine the boot id. ``board`` is its class, ``label`` its name in the
    inventory, ``rank`` one of its ranks.
    """

    name: str
    boot_id: str
    board: str
    label: str
    rank: int = 0
