"""Joules of the whole job beside those of a step, and joules per board."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from analysis.statistics.repeat_summary import summarise
from analysis.study.comparability import WorkKey, records_by_work, works
from analysis.study.configuration_labels import names_in
from analysis.study.energy_words import energy_words
from analysis.study.job_joules import OTHER, STAGES, job_joules
from analysis.study.study import Study
from analysis.study.study_record import MeasuredStudyRecord
from analysis.tables.table import NUMBER, Column, Table, TableRow, join
from analysis.tables.table_registry import TableOptions, study_table

LEAST_SHARE = 1e-3
"""Of the whole: stages that are less in every configuration stand in the CSV only."""
ENERGY_KIND = Column("kind", "Energy")


def configurations(study: Study) -> Iterator[tuple[WorkKey, str, list[MeasuredStudyRecord]]]:
    """The configurations that have energy.

    Args:
        study: The study that the report is about.

    Yields:
        The work, the name of the configuration and its good records, in the order of the study.
    """
    for key, records in records_by_work(study.good).items():
        if key.kind == "none":
            continue
        names = names_in(list(dict.fromkeys(record.label for record in records)))
        for label, name in names.items():
            yield key, name, [record for record in records if record.label == label]


def work_columns(data: pd.DataFrame) -> list[Column]:
    """Columns that tell works apart, where there are several; whether energy is measured or modelled is always said.

    Args:
        data: Rows with ``work`` and ``kind``.

    Returns:
        The columns in front of the others.
    """
    return [
        *([Column("work", "Work")] if data["work"].nunique() > 1 else []),
        Column("configuration", "Configuration"),
        ENERGY_KIND,
    ]


@study_table("job_joules", order=14)
def job_table(study: Study, options: TableOptions) -> Table | None:
    """Medians of the joules of each stage of a run, of all of it and of one step.

    Args:
        study: The study that the report is about.
        options: Choices of the report; none matters here.

    Returns:
        A row for each configuration whose points have their readings beside them; None where none has.
    """
    rows: list[TableRow] = []
    without = 0
    for key, name, records in configurations(study):
        jobs = [(record, job) for record in records if (job := job_joules(record)) is not None]
        without += len(records) - len(jobs)
        if not jobs:
            continue
        steps = [record.energy.total_J / record.time.steps for record, _ in jobs if record.energy.total_J is not None]
        whole = [job.whole_J for _, job in jobs]
        row: TableRow = {"work": key.name, "configuration": name, "kind": key.kind, "n": len(jobs)}
        row |= _summary("step_J", steps) | _summary("whole_J", whole)
        row |= {stage: summarise([job.stages[stage] for _, job in jobs]).median for stage in STAGES}
        row["seconds"] = summarise([job.seconds for _, job in jobs]).median
        row["unread_s"] = summarise([job.unread_s for _, job in jobs]).median
        rows.append(row)
    if not rows:
        return None
    data = pd.DataFrame(rows)
    shown = [stage for stage in STAGES if (data[stage] > LEAST_SHARE * data["whole_J"]).any()]
    columns = (
        *work_columns(data),
        Column("n", "n", kind=NUMBER),
        Column("step_J", "One step", "J", NUMBER, interval=True),
        Column("whole_J", "Whole job", "J", NUMBER, interval=True, print_interval=True),
        *(Column(stage, stage.capitalize(), "J", NUMBER) for stage in shown),
        Column("seconds", "Whole job", "s", NUMBER),
        Column("unread_s", "Not read", "s", NUMBER),
    )
    return Table("job_joules", "Joules of the whole job", _caption(study, data, without), columns, data)


def kinds_of(study: Study) -> str:
    """The kinds of energy in a study, in words, with the model's uncertainty.

    Args:
        study: The study that the report is about; with energy.

    Returns:
        ``measured``, or ``modelled as raspberry-pi-4 (uncertain by 30 %, ...)``; both where it has both.
    """
    return join(list(dict.fromkeys(energy_words(work.points) for work in works(study.points, with_energy=True))))


def _caption(study: Study, data: pd.DataFrame, without: int) -> str:
    kinds = kinds_of(study)
    other = " Other: between stages." if (data[OTHER] > LEAST_SHARE * data["whole_J"]).any() else ""
    left = f" {without} point(s) have no readings of the whole run beside their record and are left out." if without else ""
    return (
        f"Medians over repeats; energy is {kinds}, of all hosts, idle power included. Stages add up to the whole (those below "
        "0.1 % stand in the CSV); the timed one is what all other tables are about. Start-up: from the first reading to the "
        f"first rest, without sending weights (replication).{other} Not read: before sensors were open and after they were "
        f"closed; its joules are in no column.{left}"
    )


@study_table("board_joules", order=16)
def board_table(study: Study, options: TableOptions) -> Table | None:
    """Medians of the joules of each board in the timed windows.

    Args:
        study: The study that the report is about.
        options: Choices of the report; none matters here.

    Returns:
        A row for each configuration and meter; None where no point has several.
    """
    rows: list[TableRow] = []
    for key, name, records in configurations(study):
        hosts = dict.fromkeys(host.host for record in records for host in record.energy.by_host)
        for host in hosts if len(hosts) > 1 else ():
            rows.append({"work": key.name, "configuration": name, "kind": key.kind, **_board(host, records)})
    if not rows:
        return None
    data = pd.DataFrame(rows)
    columns = (
        *work_columns(data),
        Column("host", "Board"),
        Column("board", "Class"),
        Column("level", "Read at"),
        Column("n", "n", kind=NUMBER),
        Column("step_J", "Energy per step", "J", NUMBER, interval=True, print_interval=True),
        Column("share_percent", "Of all", "%", NUMBER),
        Column("power_W", "Power", "W", NUMBER),
        Column("idle_W", "Idle", "W", NUMBER),
    )
    kinds = kinds_of(study)
    caption = (
        f"Medians over repeats, of the timed windows; energy is {kinds}, idle power included. A meter of several boards is one "
        "row: it does not tell them apart."
    )
    return Table("board_joules", "Joules per board", caption, columns, data)


def _board(name: str, records: Sequence[MeasuredStudyRecord]) -> TableRow:
    """One board's medians, with where its power is read."""
    parts = [(record, host) for record in records for host in record.energy.by_host if host.host == name]
    steps = [host.total_J / record.time.steps for record, host in parts if host.total_J is not None]
    shares = [100 * host.total_J / record.energy.total_J for record, host in parts if host.total_J and record.energy.total_J]
    idle = [host.idle_W for _, host in parts if host.idle_W is not None]
    first = parts[0][1]
    return {
        "host": name,
        "board": first.board,
        "level": join(first.levels) if first.levels else "",
        "n": len(parts),
        **_summary("step_J", steps),
        "share_percent": summarise(shares).median if shares else None,
        "power_W": summarise([host.mean_power_W for _, host in parts]).median,
        "idle_W": summarise(idle).median if idle else None,
    }


def _summary(name: str, values: Sequence[float]) -> TableRow:
    """The median of repeats with the ends of its interval, null below six."""
    if not values:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    summary = summarise(values)
    return {name: summary.median, f"{name}_low": summary.low, f"{name}_high": summary.high}
