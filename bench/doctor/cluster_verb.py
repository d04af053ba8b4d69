"""The verb ``cluster``: can these hosts run together, do they have the same, how fast are their links, are they quiet?"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from bench.cluster.board_class import BoardClass
from bench.common import terminal_table
from bench.common.exit_codes import FAILED
from bench.common.paths import DATA, PROJECT
from bench.common.terminal_table import si
from bench.common.user_error import UserError
from bench.common.weight_files import checkpoint_dir
from bench.config.host_config import Host
from bench.doctor import doctor_verb
from bench.doctor.cluster_findings import findings
from bench.doctor.cluster_report import ClusterReport, ClusterStart, HostReport
from bench.doctor.mpirun_jobs import over_mpirun
from bench.doctor.rank_orders import ClusterOrder
from bench.doctor.ssh_probe import reach
from bench.point import resolved_point

HELP = """usage: python -m bench.doctor cluster [cluster=NAME] [cluster.KEY=VALUE ...] [doctor.megabytes=4]

Logs in to every host, starts one rank on each through MPI as a run would, and compares: code, Python, libraries, MPI; measures
rate and latency of every pair of hosts, the clocks, the load by others; looks at disk, memory, power supply, throttling
and governors. Changes nothing on any host.

  doctor.megabytes=4    of the messages that measure the links
  doctor.timeout_s=120  of the whole look over mpirun, besides what the links need

Examples:
  python -m bench.doctor cluster
  python -m bench.doctor cluster cluster=two-boards
  python -m bench.doctor cluster cluster=emulated2 cluster.link_rate_bit_s=1.0e+8
"""
DEFAULTS = {"megabytes": 4.0, "timeout_s": 120.0}
MODULE = "bench.doctor.cluster_ranks"
SLOW_BIT_S = 1e7
TRANSFERS = 6.0  # of one pair: three in each direction
SOFTWARE = ("host", "machine", "class", "Python", "torch", "numpy", "mpi4py", "MPI", "code")
STATE = (
    *("host", ">cores", ">memory", ">free", ">disk free", "governor", ">hottest", "throttled", "supply", ">busy", ">load"),
    ">other runs",
)


def main(words: Sequence[str]) -> int:
    """Compose, reach, visit, print; 1 where a run would fail or be invalid. Raises UserError and Hydra's errors."""
    overrides, options = doctor_verb.split(words, DEFAULTS)
    if not 0 < options["megabytes"] <= 1000 or options["timeout_s"] <= 0:
        raise UserError("doctor.megabytes must be above 0 and at most 1000, doctor.timeout_s above 0, such as 4 and 120")
    plain = doctor_verb.composed(overrides)
    cluster, boards = resolved_point.cluster_of(plain)
    expected = expected_bit_s(cluster, boards)
    conclusions = [] if "emulated" in cluster or cluster["allocation"] else reach(cluster, sys.executable, str(PROJECT))
    paths, lacking = paths_of(plain)
    conclusions += lacking
    hosts = tuple(Host(**host) for host in cluster["hosts"])
    order = ClusterOrder(hosts, str(plain["energy"]["root"]), tuple(paths), options["megabytes"])
    limit_s = options["timeout_s"] + links_s(len(hosts), options["megabytes"], expected)
    if any(finding.status == "FAIL" for finding in conclusions):  # mpirun would say the same, in more words
        doctor_verb.show([*conclusions, doctor_verb.Finding("WARN", "MPI was not started: mend what failed first")])
        return FAILED
    answer = over_mpirun(cluster, order.to_json(), MODULE, limit_s, slots=ranks_each(cluster))
    if answer.report is None:
        conclusions.append(doctor_verb.Finding("FAIL", str(answer.trouble)))
    else:
        report = ClusterReport.from_json(answer.report)
        show(report, cluster["name"])
        start = ClusterStart(answer.launcher, answer.took_s)
        conclusions += findings(report, start, expected, cluster["name"], emulated="emulated" in cluster)
    print()
    doctor_verb.show(conclusions)
    return doctor_verb.exit_code(conclusions)


def ranks_each(cluster: Mapping[str, Any]) -> int:
    """Ranks on each host: one, and two on a lone host that takes them, so that there is somebody to talk to.

    Args:
        cluster: The ``cluster`` block of the point.

    Returns:
        1 or 2.
    """
    hosts = cluster["hosts"]
    return min(2, hosts[0]["slots"]) if len(hosts) == 1 else 1


def expected_bit_s(cluster: Mapping[str, Any], boards: Mapping[str, BoardClass]) -> dict[str, float | None]:
    """The rate of each host's link: as it is emulated, else that of its class's port.

    Args:
        cluster: The ``cluster`` block of the point.
        boards: The board classes by name.

    Returns:
        Bit/s by the host's name; None where it is not known.
    """
    if "emulated" in cluster:
        return {board["name"]: board["link"]["rate_bit_s"] for board in cluster["emulated"]["boards"]}
    ports = {name: None if board.network_bit_s is None else board.network_bit_s.value for name, board in boards.items()}
    return {Host(**host).label: ports[host["board"]] for host in cluster["hosts"]}


def links_s(hosts: int, megabytes: float, expected: Mapping[str, float | None]) -> float:
    """How long the links of all pairs may take, with much to spare.

    Args:
        hosts: How many ends there are, each pair of which is measured.
        megabytes: Size of a message, 1e6 bytes.
        expected: Rate of each host's link, bit/s; None where it is not known.

    Returns:
        A limit, s.
    """
    slowest = min([rate for rate in expected.values() if rate], default=SLOW_BIT_S)
    return hosts * (hosts - 1) / 2 * (1 + 3 * TRANSFERS * megabytes * 8e6 / min(slowest, 1e9))


def paths_of(plain: Mapping[str, Any]) -> tuple[list[str], list[doctor_verb.Finding]]:
    """Folders that every host must have under the same path.

    Args:
        plain: The composed configuration.

    Returns:
        The folders, and findings about those that are missing here.
    """
    paths, checkpoint = [str(DATA)], plain["model"]["checkpoint"]
    if checkpoint is None:
        return paths, []
    try:
        return [*paths, str(checkpoint_dir(str(checkpoint)))], []
    except UserError as error:
        return paths, [doctor_verb.Finding("WARN", f"weights: {error}")]


def show(report: ClusterReport, cluster: str) -> None:
    """Print the tables of the hosts and of the links between them.

    Args:
        report: The state of all hosts and their links.
        cluster: The cluster's name.
    """
    hosts, several = report.hosts, len(report.hosts) > 1
    print()
    terminal_table.show(f"Software of cluster {cluster}", SOFTWARE, [_software(host) for host in hosts])
    print()
    terminal_table.show("State", STATE, [_state(host) for host in hosts])
    if not report.links:
        return
    print()
    title = "Links: one message at a time" if several else "Within the host: one message at a time"
    rows = [(link.first, link.second, link.there_bit_s, link.back_bit_s, link.latency_s) for link in report.links]
    terminal_table.show_links(title, rows)


def _software(host: HostReport) -> list[str]:
    packages = host.packages
    return [
        host.label,
        f"{host.processor} ({host.architecture})",
        host.board,
        host.python,
        *(str(packages.get(name, "-")) for name in ("torch", "numpy", "mpi4py")),
        host.mpi.split(",")[0],
        host.code_hash,
    ]


def _state(host: HostReport) -> list[str]:
    throttle = host.throttle
    slowed = None if throttle is None else ", ".join(throttle.now) or ("since boot" if throttle.since_boot else "no")
    supplies = [f"{s.type} {'on' if s.online else 'off'}" for s in host.supplies if s.online is not None]
    return [
        host.label,
        str(host.cores),
        si(host.memory_bytes, "B"),
        si(host.memory_free_bytes, "B"),
        si(host.disk_free_bytes, "B"),
        "+".join(host.governors) or "-",
        "-" if host.hottest_C is None else f"{host.hottest_C:.0f} C",
        slowed or "-",
        ", ".join(supplies) or "-",
        "-" if host.busy is None else f"{100 * host.busy:.0f} %",
        "-" if host.load_1min is None else f"{host.load_1min:.2f}",
        str(len(host.leftovers)),
    ]


VERB = doctor_verb.Verb(
    "cluster", "can the hosts run together: ssh, MPI, code, libraries, links, clocks, load, supply", HELP, main
)
