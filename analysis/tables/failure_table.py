"""The cost of a failure, and of the copies of the state that make it survivable."""

from __future__ import annotations

import pandas as pd

from analysis.statistics.repeat_summary import summarise
from analysis.study.comparability import works
from analysis.study.configuration_labels import names_in
from analysis.study.study import Study
from analysis.tables.table import NUMBER, Column, Table, TableRow, join
from analysis.tables.table_registry import TableOptions, study_table

MB = 1e6
COLUMNS = (
    Column("configuration", "Configuration"),
    Column("n", "n", kind=NUMBER),
    Column("recovery_s", "Recovery", "s", NUMBER, interval=True, print_interval=True),
    Column("recovery_J", "Recovery", "J", NUMBER, interval=True),
    Column("lost_steps", "Steps lost", kind=NUMBER),
    Column("copy_MB", "Copy", "MB", NUMBER),
    Column("copy_s", "Copy", "s", NUMBER),
    Column("before", "Before", "samples/s", NUMBER),
    Column("copies", "With copies", "samples/s", NUMBER),
    Column("after", "After", "samples/s", NUMBER),
    Column("before_J", "Before", "J/sample", NUMBER),
    Column("after_J", "After", "J/sample", NUMBER),
)
MEDIANS = {
    "lost_steps": "lost_steps", "copy_s": "copy_s", "before": "samples_per_s", "copies": "copies_samples_per_s",
    "after": "after_samples_per_s", "before_J": "per_sample_J", "copies_J": "copies_per_sample_J",
    "after_J": "after_per_sample_J",
}  # fmt: skip


@study_table("failures", order=30)
def failures(study: Study, options: TableOptions) -> Table | None:
    """Every configuration in which a rank was killed; None where none was.

    Args:
        study: The study that the report is about.
        options: Choices of the report; none matters here.

    Returns:
        A row for each configuration; ``_low`` and ``_high`` are the ends of 95 % intervals, null below six repeats.
    """
    rows = []
    for work in works(study.points):
        failed = work.points[work.points["recovery_s"].notna()]
        names = names_in(list(dict.fromkeys(failed["label"])))
        for label, group in failed.groupby("label", sort=False):
            row: TableRow = {"work": work.name, "kind": work.kind, "configuration": names[str(label)], "n": len(group)}
            for column in ("recovery_s", "recovery_J"):
                values = group[column].dropna().tolist()
                summary = summarise(values) if values else None
                row |= {
                    column: None if summary is None else summary.median,
                    f"{column}_low": None if summary is None else summary.low,
                    f"{column}_high": None if summary is None else summary.high,
                }
            row["copy_MB"] = group["copy_bytes"].median() / MB
            row |= {key: _median(group[column]) for key, column in MEDIANS.items()}
            rows.append(row)
    if not rows:
        return None
    data = pd.DataFrame(rows)
    several = [Column(key, key.capitalize()) for key in ("work", "kind") if data[key].nunique() > 1]
    kinds = sorted(set(data["kind"]) - {"none"})
    energy = f"Energy is {join(kinds)}, after the failure that of the boards that are left." if kinds else ""
    shown = [column for column in COLUMNS if not (column.unit.startswith("J") and data[column.key].isna().all())]
    caption = (
        "Medians, with 95 % intervals by rank from six repeats on. Recovery: from the death of a rank to the first new step of "
        "the others, the lost steps done again included. Copy: what all ranks send for one copy of the state, and how long "
        f"training stands still for it; the rate with copies has them in it. {energy}"
    ).strip()
    return Table("failures", "Failures", caption, (*several, *shown), data)


def _median(values: pd.Series) -> float | None:
    known = values.dropna().astype(float)
    return None if known.empty else float(known.median())
