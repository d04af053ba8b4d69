"""What communication costs in time: the share of a step in which ranks do not compute because of it."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from analysis.statistics.repeat_summary import summarise
from analysis.study.comparability import Work, works
from analysis.study.configuration_labels import names_in
from analysis.study.study import Study
from analysis.tables.table import CODE, NUMBER, Column, Table, TableRow
from analysis.tables.table_registry import TableOptions, study_table

MB = 1e6
COLUMNS = (
    Column("configuration", "Configuration"),
    Column("n", "n", kind=NUMBER),
    Column("wire_MB", "Sent in a step", "MB", NUMBER),
    Column("exposed", "Exposed", "%", NUMBER, interval=True, print_interval=True),
    Column("communicate", "Moving data", "%", NUMBER),
    Column("wait", "Waiting", "%", NUMBER),
    Column("most", "Most of it in", kind=CODE),
)
CAPTION = (
    "Exposed is the share of a step in which a rank moves data or waits for other ranks and does not compute, mean over ranks; "
    "what runs beside the computation is not in it. Medians of repeats, with 95 % intervals by rank from six repeats on."
)


@study_table("communication", order=25)
def communication(study: Study, options: TableOptions) -> Table | None:
    """Every configuration of more than one rank; None where there is none.

    Args:
        study: The study that the report is about.
        options: Choices of the report; none matters here.

    Returns:
        A row for each configuration; ``_low`` and ``_high`` are the ends of 95 % intervals, null below six repeats.
    """
    data = pd.DataFrame([row for work in works(study.points) for row in _rows(work)])
    if data.empty:
        return None
    several = [Column(key, key.capitalize()) for key in ("work", "kind") if data[key].nunique() > 1]
    shown = [column for column in COLUMNS if column.key != "most" or data["most"].notna().any()]
    return Table("communication", "Communication", CAPTION, (*several, *shown), data)


def _rows(work: Work) -> Iterator[TableRow]:
    several = work.points[work.points["ranks"] > 1]
    names = names_in(list(dict.fromkeys(several["label"])))
    for label, group in several.groupby("label", sort=False):
        exposed = summarise((100 * group["exposed_share"]).tolist())
        most = group["exposed_most"].dropna()
        yield {
            "work": work.name,
            "kind": work.kind,
            "configuration": names[str(label)],
            "n": len(group),
            "wire_MB": group["wire_bytes"].median() / MB,
            "exposed": exposed.median,
            "exposed_low": exposed.low,
            "exposed_high": exposed.high,
            "communicate": (100 * group["communicate_s"] / _step_s(group)).median(),
            "wait": (100 * group["wait_s"] / _step_s(group)).median(),
            "most": None if most.empty else str(most.mode().iloc[0]),
        }


def _step_s(group: pd.DataFrame) -> pd.Series:
    """Mean seconds of a step, of which the states are parts."""
    return group["compute_s"] + group["communicate_s"] + group["wait_s"]
