"""Which processors of this machine boards run on: two threads of a core share it, and one is faster while the other rests."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from bench.common.user_error import UserError

SIBLINGS = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def processors(asked: Sequence[int] | None, usable: Collection[int], dilated: bool, root: Path) -> tuple[int, ...] | None:
    """The processors that boards are confined to.

    Args:
        asked: ``emulated.cpus`` of the inventory; None: not given.
        usable: The processors that this process may run on.
        dilated: Whether the boards stand for what their classes train: then one thread of each core is used.
        root: The folder in the place of ``/``.

    Returns:
        Their numbers; None: all, as no two are known to be threads of one core. A virtual machine may hide that.

    Raises:
        UserError: A processor is asked for that is not usable.
    """
    if asked is not None:
        missing = sorted(set(asked) - set(usable))
        if missing:
            raise UserError(f"emulated.cpus has {missing[0]}, and this process may run on {_listed(usable)}; use some of these")
        return tuple(sorted(set(asked)))
    if not dilated:
        return None
    cores: dict[str, int] = {}
    for cpu in sorted(usable):
        path = root / SIBLINGS.format(cpu)
        cores.setdefault(path.read_text().strip() if path.is_file() else str(cpu), cpu)
    return tuple(cores.values()) if len(cores) < len(usable) else None


def _listed(cpus: Collection[int]) -> str:
    return ", ".join(str(cpu) for cpu in sorted(cpus))
