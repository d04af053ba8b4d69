"""Whether all hosts run the same code, and whether each is quiet, before a point starts."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.common.paths import PROJECT
from bench.record.check_record import Check
from bench.record.checks import finding, skipped
from bench.record.environment_record import HostRecord

PACKAGES = ("bench", "strategies")
"""Packages that ranks import. conf and analysis are the launch host's alone."""
SUFFIXES = (".py", ".json")
LOOK_S, SETTLE_S = 0.3, 0.1
MOST_BUSY = 0.15
IDLE_COLUMNS = (3, 4)  # idle and iowait of the first line of /proc/stat
COLUMNS = 8  # guests are in user already


def code_hash(project: Path = PROJECT) -> str:
    """Hash of paths and contents of the packages that ranks import, as this interpreter finds them.

    Args:
        project: The folder that holds these packages.

    Returns:
        The first twelve hexadecimal digits of the SHA-256.
    """
    digest = hashlib.sha256()
    files = [path for package in PACKAGES for path in (project / package).rglob("*") if path.suffix in SUFFIXES]
    for path in sorted(files, key=lambda path: path.relative_to(project).as_posix()):
        digest.update(f"{path.relative_to(project).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def busy_share(root: Path = Path("/"), seconds: float = LOOK_S, sleep: Callable[[float], None] = time.sleep) -> float | None:
    """The share of this host's cores that was busy; time that a hypervisor took counts as busy.

    Only what else runs is seen if the caller's own processes sleep meanwhile.

    Args:
        root: Where proc is.
        seconds: Length of the observation, s.
        sleep: Waits for a number of seconds.

    Returns:
        A share from 0 to 1; None where the kernel does not tell.
    """
    before = _ticks(root)
    sleep(seconds)
    after = _ticks(root)
    if before is None or after is None:
        return None
    passed = [b - a for a, b in zip(before, after, strict=True)]
    whole = sum(passed)
    return None if whole <= 0 else max(0.0, 1 - sum(passed[column] for column in IDLE_COLUMNS) / whole)


def busy_together(barrier: Callable[[], object], look: bool, root: Path = Path("/")) -> float | None:
    """``busy_share`` while all ranks sleep. Collective.

    Args:
        barrier: MPI's, over all ranks.
        look: Whether this rank observes its host.
        root: Where proc is.

    Returns:
        The busy share, 0 to 1; None on ranks that do not look and where the kernel does not tell.
    """
    barrier()
    time.sleep(SETTLE_S)  # the barrier itself spins, and its last ranks leave it later than the first
    if look:
        return busy_share(root)
    time.sleep(LOOK_S + SETTLE_S)
    return None


def _ticks(root: Path) -> list[int] | None:
    try:
        words = (root / "proc/stat").read_text().split("\n", 1)[0].split()
        return [int(word) for word in words[1 : 1 + COLUMNS]] if words[0] == "cpu" and len(words) > COLUMNS else None
    except (OSError, ValueError, IndexError):
        return None


def same_code(hosts: Sequence[HostRecord]) -> Check:
    """Every host ran the same code: a rank with another version computes something else, or moves other bytes.

    Args:
        hosts: All hosts of the run.

    Returns:
        Failed where hashes differ or a host tells none; skipped where no host tells one.
    """
    known = {host.host: host.code_hash for host in hosts if host.code_hash}
    if not known:
        return skipped("same code on all hosts", "no host tells its code")
    values = set(known.values())
    by_value = "; ".join(f"{value} on {', '.join(n for n, v in known.items() if v == value)}" for value in sorted(values))
    return finding("same code on all hosts", len(values) == 1 and len(known) == len({host.host for host in hosts}), by_value)


def quiet_before(hosts: Sequence[HostRecord]) -> Check:
    """Nothing else computed on the hosts when the point started, before any work of its own.

    Args:
        hosts: All hosts of the run, with their busy shares before it.

    Returns:
        Warned where more than 15 % of a host's cores were busy; skipped where no host tells its load.
    """
    known = {host.host: host.busy_before for host in hosts if host.busy_before is not None}
    if not known:
        return skipped("quiet before start", "no host tells its load")
    text = ", ".join(f"{name} {100 * share:.0f} %" for name, share in known.items())
    return finding("quiet before start", max(known.values()) <= MOST_BUSY, f"{text} of the cores were busy", "warned")
