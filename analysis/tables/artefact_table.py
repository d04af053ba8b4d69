"""The artefact description: which command makes each figure and table, from which records, how long it takes, on what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import pandas as pd

from analysis.study.study import Study
from analysis.study.study_record import StudyRecord
from analysis.tables.citation import about
from analysis.tables.table import CODE, Column, Table, TableRow

NAMED_RECORDS = 3
MODELS = "Source and licence of data and checkpoints are beside them, in the folders of data and weights that have their names"


class Figure(Protocol):
    """The facts of a figure that the table has."""

    @property
    def name(self) -> str:
        """The name of its files."""

    @property
    def title(self) -> str:
        """Its title."""

    @property
    def points(self) -> tuple[str, ...]:
        """The names of the records that it is from; empty: all good ones."""


def artefacts(study: Study, figures: Sequence[Figure], tables: Sequence[Table], command: str) -> Table:
    """One row for each figure and table of a report.

    Args:
        study: The study.
        figures: The figures.
        tables: The tables.
        command: The command that makes them all.

    Returns:
        Columns ``kind``, ``name``, ``title``, ``command``, ``from``, ``execution_s`` (s, null where not recorded), ``records``.
    """
    seconds = {record.point.name: execution_s(record) for record in study.good}
    all_of_it = list(seconds)
    rows = [_row("figure", figure.name, figure.title, figure.points or all_of_it, seconds) for figure in figures]
    rows += [_row("table", table.name, table.title, all_of_it, seconds) for table in tables]
    rows = [{**row, "command": command} for row in rows]
    data = pd.DataFrame(rows, columns=["kind", "name", "title", "command", "from", "execution_s", "records"])
    columns = (
        Column("name", "File", kind=CODE),
        Column("title", "Shows"),
        Column("from", "Records"),
        Column("execution_s", "Execution", "s", "number"),
    )
    caption = (
        f"All are made from the records of study {study.name} by: {command}. Execution is the time that recording those "
        "records took; the records' commands are in reproduce.sh."
    )
    return Table("artefacts", "Figures and tables, and the records that they are from", caption, columns, data)


def _row(kind: str, name: str, title: str, records: Sequence[str], seconds: Mapping[str, float | None]) -> TableRow:
    spent = [seconds.get(record) for record in records]
    known = [value for value in spent if value is not None]
    few = len(records) <= NAMED_RECORDS
    return {
        "kind": kind,
        "name": f"{'figures' if kind == 'figure' else 'tables'}/{name}",
        "title": title,
        "from": ", ".join(records) if few else f"{len(records)} points",
        "execution_s": round(sum(known), 1) if len(known) == len(records) and records else None,
        "records": " ".join(records),
    }


def execution_s(record: StudyRecord) -> float | None:
    """How long a point took from its start to its end.

    Args:
        record: The record, good or not.

    Returns:
        Seconds; null where the record does not tell its start or its end.
    """
    begin, end = record.environment.started, record.environment.finished
    if not begin or not end:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


def reproduction(study: Study, devices: Table, software: Table, command: str) -> Table:
    """Commands, times, hardware, software, data and licence: all that running the study again takes.

    Args:
        study: The study.
        devices: The table of its devices.
        software: The table of its software.
        command: The command that makes the report.

    Returns:
        Columns ``item`` and ``content``, both text.
    """
    rows = [
        ("Execution", "sh reproduce.sh"),
        ("Analysis", command),
        ("Expected time", _expected(study)),
        ("Hardware", "; ".join(_hardware(row) for row in devices.data.to_dict("records")) or "not recorded"),
        ("Software", "; ".join(f"{row['software']} {row['version']}" for row in software.data.to_dict("records"))),
        ("Data and models", f"{_once(_work(record) for record in study.records)}. {MODELS}."),
        ("Licence", f"{about().get('license', 'see LICENSE')}; how to cite: edgejoule.bib"),
    ]
    columns = (Column("item", "Item"), Column("content", "Content"))
    caption = f"Study {study.name}: {len(study.records)} points, {len(study.good)} of them valid."
    return Table("reproduction", "To run it again", caption, columns, pd.DataFrame(rows, columns=["item", "content"]))


def _expected(study: Study) -> str:
    seconds = [execution_s(record) for record in study.records]
    known = [value for value in seconds if value is not None]
    if not known:
        return "not recorded"
    whole = f"Execution {duration(sum(known))} for {len(known)} points, the longest {duration(max(known))}"
    missing = len(seconds) - len(known)
    return f"{whole}{f' ({missing} did not record it)' if missing else ''}. Set-up and analysis are not recorded."


def duration(seconds: float) -> str:
    """A time in the unit that suits it: ``90 s``, ``12 min``, ``3.5 h``.

    Args:
        seconds: The time, s.

    Returns:
        The number and its unit.
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _hardware(row: Mapping[Any, Any]) -> str:
    return f"{row['hosts']}: {row['board']}, {row['cpu']}, {row['cores']} cores, {row['memory_GiB']} GiB, link {row['link']}"


def _work(record: StudyRecord) -> str:
    point = record.point
    weights = f"checkpoint {point.checkpoint}" if point.weights == "pretrained" else f"{point.weights} weights"
    return f"model {point.model} ({weights}) on task {point.task}"


def _once(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))
