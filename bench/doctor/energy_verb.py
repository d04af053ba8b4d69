"""The verb ``energy``: the power sources of each host of a cluster, their total, and repairs. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.common import terminal_table
from bench.common.terminal_table import si
from bench.common.user_error import UserError
from bench.config.host_config import Host
from bench.doctor import doctor_verb
from bench.doctor.energy_findings import findings
from bench.doctor.energy_ranks import here
from bench.doctor.host_energy_report import ChannelReport, EnergyReport, HostEnergyReport, SourceReport
from bench.doctor.mpirun_jobs import LOCAL, over_mpirun
from bench.doctor.rank_orders import EnergyOrder
from bench.energy.sampling.energy_settings import energy_settings
from bench.point import resolved_point

HELP = """usage: python -m bench.doctor energy [cluster=NAME] [energy=NAME] [energy.KEY=VALUE ...] [doctor.seconds=3]

Starts the sampler on every host of the cluster for a few seconds and says what was read, which channels make the total
and why others do not, what is not measured, how long a window must be for 1 %, and what to mend.

  doctor.seconds=3     how long to read
  doctor.timeout_s=120 of the whole look over mpirun

Examples:
  python -m bench.doctor energy
  python -m bench.doctor energy cluster=two-boards energy=measured
  python -m bench.doctor energy cluster.hostfile=my_hosts.yaml energy.calibration=calibration/ doctor.seconds=20
"""
DEFAULTS = {"seconds": 3.0, "timeout_s": 120.0}
MODULE = "bench.doctor.energy_ranks"


def main(words: Sequence[str]) -> int:
    """Compose, look, print; 1 where a run would fail or be invalid. Raises UserError and Hydra's errors."""
    overrides, options = doctor_verb.split(words, DEFAULTS)
    if not 0 < options["seconds"] < 3600:
        raise UserError(f"doctor.seconds={options['seconds']:g} must be a positive number of seconds, such as 3")
    plain = doctor_verb.composed(overrides)
    cluster, boards = resolved_point.cluster_of(plain)
    settings = energy_settings(
        plain["energy"], cluster["inventory"], resolved_point.hostfile_of(plain) or resolved_point.NO_HOSTFILE
    )
    order = EnergyOrder(tuple(Host(**host) for host in cluster["hosts"]), boards, settings, options["seconds"])
    report, trouble = look_at(cluster, order, options["timeout_s"] + options["seconds"])
    conclusions = [doctor_verb.Finding("FAIL", trouble)] if trouble else []
    if report is not None:
        show(report, cluster["name"])
        conclusions += findings(report, settings, plain["window_s"], emulated="emulated" in cluster)
    print()
    doctor_verb.show(conclusions)
    return doctor_verb.exit_code(conclusions)


def look_at(cluster: Mapping[str, Any], order: EnergyOrder, limit_s: float) -> tuple[EnergyReport | None, str | None]:
    """Have every host of the order read its power.

    Args:
        cluster: The ``cluster`` block of the point.
        order: The hosts and the energy settings.
        limit_s: Time after which mpirun is ended, s.

    Returns:
        The report, or None and a line that says what went wrong.

    Raises:
        UserError: The ranks cannot be started.
    """
    if is_here(cluster):
        return here(order), None
    values = order.to_json()
    answer = over_mpirun(cluster, values, MODULE, limit_s, values["energy"])
    return None if answer.report is None else EnergyReport.from_json(answer.report), answer.trouble


def is_here(cluster: Mapping[str, Any]) -> bool:
    """Whether a cluster is this machine alone: no mpirun is needed.

    Args:
        cluster: The ``cluster`` block of the point.

    Returns:
        True for one host with this machine's address and interpreter that is not emulated.
    """
    hosts = cluster["hosts"]
    return len(hosts) == 1 and hosts[0]["address"] in LOCAL and not hosts[0]["python"] and "emulated" not in cluster


def show(report: EnergyReport, cluster: str) -> None:
    """Print the tables: host by host, then the total of the cluster.

    Args:
        report: The energy sources of all hosts.
        cluster: The cluster's name.
    """
    for host in report.hosts:
        _show_host(host)
    rows = [
        [
            " + ".join(part.hosts),
            part.kind,
            ", ".join(part.levels),
            _watts(part.watts),
            " + ".join(part.channels),
        ]
        for part in report.parts
    ]
    rows += [[host, "nothing", "-", "-", "-"] for host in report.missing]
    print()
    terminal_table.show(f"The total of cluster {cluster}", ("hosts", "kind", "level", ">now", "channels"), rows)
    for other in report.others:
        print(f"  {other.name}: {other.counting}")
    clock = report.clock
    if clock is not None:
        shared = "the hosts share a clock" if clock.hosts_share_a_clock else f"clocks: within {si(clock.bound_s, 's')}"
        print(f"  {shared}")


def _show_host(host: HostEnergyReport) -> None:
    print(f"\n{host.label} (board class {host.board})")
    channels = [(source, channel) for source in host.sources for channel in source.channels]
    if channels:
        columns = ("source", "channel", "kind", "level", ">1 raw", ">renewed", ">step", ">accuracy", ">now", "counted")
        terminal_table.show("channels", columns, [_channel_row(source, channel) for source, channel in channels])
        reading_columns = ("source", "kind", ">read every", ">reached", ">one reading", ">errors", ">1 % needs", "calibrated")
        terminal_table.show("sources", reading_columns, [_source_row(source) for source in host.sources])
    for source, channel in channels:
        inside = f"; contains {', '.join('all of its hosts' if c == '*' else c for c in channel.contains)}"
        print(f"  {_name(source)}/{channel.id}: {channel.scope}{inside if channel.contains else ''}")
    for left in host.left_out:
        print(f"  left out: {left.source}: {left.why}")
    if host.not_measured:
        print(f"  not measured: {', '.join(host.not_measured)}")
    if host.sampler_cpu is not None:
        print(f"  the sampler takes {100 * host.sampler_cpu:.2f} % of one core")


def _channel_row(source: SourceReport, channel: ChannelReport) -> list[str]:
    accuracy = channel.accuracy
    return [
        _name(source),
        channel.id,
        channel.kind,
        channel.level,
        si(channel.scale, channel.unit),
        si(channel.update_s, "s") if channel.update_s else "at once",
        si(channel.step, channel.unit),
        "unknown" if accuracy is None else f"{100 * accuracy:g} %",
        _watts(channel.watts),
        channel.counted,
    ]


def _source_row(source: SourceReport) -> list[str]:
    reached = source.reached_Hz
    return [
        _name(source),
        source.kind,
        si(source.period_s, "s"),
        "-" if reached is None else f"{reached:.3g} /s",
        si(source.read_s, "s"),
        str(source.errors),
        f"{source.window_s:.0f} s",
        source.calibrated or "no",
    ]


def _name(source: SourceReport) -> str:
    return f"{source.meter} ({source.source})" if source.meter else source.source


def _watts(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f} W"


VERB = doctor_verb.Verb("energy", "what measures on each host, what makes the total, and what to mend", HELP, main)
