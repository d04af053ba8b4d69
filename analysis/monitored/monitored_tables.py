"""Tables of monitored programs: runs, hosts, regions. Numbers of repeats are medians with intervals, as those of points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

import pandas as pd

from analysis.monitored.monitored_study import WITH_JOULES, MonitoredStudy, Repeats
from analysis.statistics.repeat_summary import summarise
from analysis.tables.table import NUMBER, Column, Table, TableRow
from bench.common.median_interval import SMALLEST_N

Z = 1.96
INTERVALS = (
    f"Medians of the runs. In brackets 95 %: by rank between runs where there are {SMALLEST_N} or more of them; with fewer "
    "only what the sensors leave unknown (1.96 standard uncertainties), without the spread between runs."
)


def with_interval(values: Sequence[float], errors: Sequence[float]) -> tuple[float, float, float]:
    """The median of repeats with its 95 % interval.

    Args:
        values: At least one.
        errors: The standard uncertainty of each.

    Returns:
        Median and bounds: by rank from six values on, else by the median of the uncertainties.
    """
    summary = summarise(values)
    if summary.low is not None and summary.high is not None:
        return summary.median, summary.low, summary.high
    half = Z * median(errors)
    return summary.median, summary.median - half, summary.median + half


def runs_table(study: MonitoredStudy) -> Table:
    """One row a command: joules, seconds, watts of its good runs.

    Args:
        study: The runs.

    Returns:
        The table.
    """
    rows = [_runs_row(repeats) for repeats in study.repeats]
    columns = (
        Column("command", "Command"),
        Column("runs", "Runs", kind=NUMBER),
        Column("energy_J", "Energy", "J", NUMBER, 4, interval=True, print_interval=True),
        Column("time_s", "Time", "s", NUMBER, 4, interval=True),
        Column("power_W", "Mean power", "W", NUMBER, 4),
        Column("dynamic_J", "Above idle", "J", NUMBER, 4, interval=True),
        Column("energy", "Energy is"),
    )
    return Table("runs", "Runs", INTERVALS, columns, pd.DataFrame(rows, columns=list(rows[0]) if rows else _keys(columns)))


def _keys(columns: Sequence[Column]) -> list[str]:
    return [column.key for column in columns]


def _runs_row(repeats: Repeats) -> TableRow:
    energies = [run.record.energy for run in repeats.runs]
    joules = with_interval([one.total_J or 0.0 for one in energies], [one.uncertainty_J or 0.0 for one in energies])
    seconds = with_interval([run.record.seconds for run in repeats.runs], [0.0] * len(energies))
    row: TableRow = {"command": repeats.label, "runs": len(repeats.runs)}
    row |= {"energy_J": joules[0], "energy_J_low": joules[1], "energy_J_high": joules[2]}
    several = len(energies) >= SMALLEST_N
    row |= {"time_s": seconds[0], "time_s_low": seconds[1] if several else None, "time_s_high": seconds[2] if several else None}
    row["power_W"] = median([one.mean_power_W or 0.0 for one in energies])
    dynamic = [one for one in energies if one.dynamic_J is not None]
    low = high = value = None
    if len(dynamic) == len(energies):
        value, low, high = with_interval(
            [one.dynamic_J or 0.0 for one in dynamic], [one.dynamic_uncertainty_J or 0.0 for one in dynamic]
        )
    row |= {"dynamic_J": value, "dynamic_J_low": low, "dynamic_J_high": high}
    row["energy"] = f"{repeats.kind} ({energies[0].source})"
    return row


def regions_table(study: MonitoredStudy) -> Table:
    """One row a region of a command, over all ranks.

    Args:
        study: The runs.

    Returns:
        The table; without rows where no program named regions.
    """
    rows = [row for repeats in study.repeats for row in _region_rows(repeats)]
    columns = (
        Column("command", "Command"),
        Column("region", "Region"),
        Column("calls", "Calls", kind=NUMBER),
        Column("time_s", "Time, all ranks", "s", NUMBER, 4),
        Column("energy_J", "Energy", "J", NUMBER, 4, interval=True, print_interval=True),
        Column("share", "Of the run", "%", NUMBER, 3),
        Column("method", "Found by"),
    )
    caption = (
        f"Joules of regions over all ranks and hosts; those of a region contain those inside of it. {INTERVALS} Of regions the "
        "standard error of the attribution, without the sensor's own."
    )
    return Table("regions", "Regions", caption, columns, pd.DataFrame(rows, columns=list(rows[0]) if rows else _keys(columns)))


def _region_rows(repeats: Repeats) -> Iterator[TableRow]:
    names = dict.fromkeys(total.region for run in repeats.runs for total in run.record.regions)
    for name in names:
        pairs = [(run.record, total) for run in repeats.runs for total in run.record.regions if total.region == name]
        known = [(record, total) for record, total in pairs if total.joules is not None]
        value = low = high = share = None
        if known:
            value, low, high = with_interval(
                [total.joules or 0.0 for _, total in known], [total.standard_error_J or 0.0 for _, total in known]
            )
            share = 100 * median([(total.joules or 0.0) / (record.energy.total_J or 1.0) for record, total in known])
        first = pairs[0]
        methods = {
            one.method if known else f"refused: {one.why}" for one in first[0].region_methods if one.depth == first[1].depth
        }
        yield {
            "command": repeats.label,
            "region": name,
            "calls": round(median([total.calls for _, total in pairs])),
            "time_s": median([total.seconds for _, total in pairs]),
            "energy_J": value,
            "energy_J_low": low,
            "energy_J_high": high,
            "share": share,
            "method": "; ".join(sorted(methods)) or None,
        }


def hosts_table(study: MonitoredStudy) -> Table:
    """One row a host of each run, also of runs that are not good.

    Args:
        study: The runs.

    Returns:
        The table.
    """
    rows: list[TableRow] = []
    for run in study.runs:
        record = run.record
        shown = record.status in WITH_JOULES
        for host in record.energy.by_host:
            u_J = host.uncertainty_J
            rows.append(
                {
                    "run": record.name,
                    "status": record.status,
                    "host": host.host,
                    "energy_J": host.total_J if shown else None,
                    "energy_J_low": host.total_J - Z * u_J if shown else None,
                    "energy_J_high": host.total_J + Z * u_J if shown else None,
                    "power_W": host.mean_power_W if shown else None,
                    "idle_W": host.idle_W,
                    "source": host.meter or host.source,
                    "level": ", ".join(host.levels),
                    "quality": host.quality,
                }
            )
    columns = (
        Column("run", "Run"),
        Column("host", "Host"),
        Column("energy_J", "Energy", "J", NUMBER, 4, interval=True),
        Column("power_W", "Mean power", "W", NUMBER, 4),
        Column("idle_W", "Idle", "W", NUMBER, 4),
        Column("source", "Source"),
        Column("level", "Metered at"),
        Column("quality", "Readings"),
        Column("status", "Run is"),
    )
    caption = "Every host over its own window; in brackets 1.96 standard uncertainties. Joules of invalid runs are not shown."
    return Table("hosts", "Hosts", caption, columns, pd.DataFrame(rows, columns=list(rows[0]) if rows else _keys(columns)))
