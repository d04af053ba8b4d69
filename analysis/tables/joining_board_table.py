"""The joules and the seconds of a sample that each board adds when it joins."""

from __future__ import annotations

from analysis.statistics.marginal_boards import marginal_costs
from analysis.study.count_phrases import repeat_counts
from analysis.study.study import Study
from analysis.tables.table import NUMBER, Column, Table, join
from analysis.tables.table_registry import TableOptions, study_table

COLUMNS = (
    Column("strategy", "Strategy"),
    Column("boards", "Boards", kind=NUMBER),
    Column("added", "Joined"),
    Column("per_sample_J", "Energy", "J/sample", NUMBER),
    Column("added_J_per_sample", "Added", "J/sample", NUMBER),
    Column("seconds_per_sample", "Time", "s/sample", NUMBER),
    Column("added_s_per_sample", "Added", "s/sample", NUMBER),
    Column("n", "n", kind=NUMBER),
    Column("note", "Note"),
)


@study_table("participants", order=20)
def participants(study: Study, options: TableOptions) -> Table | None:
    """The marginal joules of every board; None where no boards join one after the other.

    Args:
        study: The study that the report is about.
        options: Choices of the report; none matters here.

    Returns:
        A row for each board of each strategy and work.
    """
    data = marginal_costs(study)
    if data.empty:
        return None
    work_columns = [Column(key, key.capitalize()) for key in ("kind", "model", "task") if data[key].nunique() > 1]
    kinds = sorted(set(data["kind"]) - {"none"})
    energy = f"energy is {join(kinds)}, of all boards that take part" if kinds else "no energy was asked for"
    counts = repeat_counts(data["n"])
    notes = data["note"].fillna("").astype(str).str.strip()
    shown = [
        column
        for column in COLUMNS
        if column.key in ("strategy", "n") or (data[column.key].notna() & (data[column.key] != "")).any()
    ]
    caption = (
        f"Medians of {counts} repeats; added is the difference from the row above, where fewer boards take part; {energy}. "
        f"{'A difference that is not shown has a note.' if (notes != '').any() else ''}"
    ).strip()
    return Table("participants", "What each board that joins adds", caption, (*work_columns, *shown), data)
