"""The headline table: on the terminal, as CSV and as LaTeX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.records import Study
from analysis.statistics import summarise

COLUMNS: Mapping[str, tuple[str, str]] = {
    "samples_per_s": ("samples/s", "{:.3g}"),
    "step_s": ("s/step", "{:.3g}"),
    "per_sample_J": ("J/sample", "{:.3g}"),
    "edp_Js": ("EDP (J s)", "{:.2e}"),
    "power_W": ("W", "{:.1f}"),
    "peak_MiB": ("peak MiB", "{:.0f}"),
    "metric": ("metric", "{:.3f}"),
}


def headline(study: Study) -> pd.DataFrame:
    """One row for each configuration and kind of energy: medians of its repeats, and intervals where they exist."""
    frame, rows = study.points, []
    for (label, kind), group in frame.groupby(["label", "kind"], sort=False):
        row: dict[str, Any] = {"configuration": label, "n": len(group), "energy": kind}
        for column in COLUMNS:
            values = group[column].dropna().tolist()
            found = summarise(values) if values else None
            row[column] = None if found is None else found.median
            row[f"{column}_low"], row[f"{column}_high"] = (None, None) if found is None else (found.low, found.high)
        rows.append(row)
    return pd.DataFrame(rows)


def shown(study: Study) -> pd.DataFrame:
    """The headline table as text, with the metric's name and intervals in brackets."""
    table = headline(study)
    metric = study.points["metric_name"]
    text = table[["configuration", "n"]].astype(str) if not table.empty else table
    for column, (title, form) in COLUMNS.items():
        if table.empty or table[column].isna().all():
            continue
        title = " or ".join(dict.fromkeys(metric)) if column == "metric" else title
        text[title] = [_cell(row, column, form) for _, row in table.iterrows()]
    if not table.empty:
        text["energy"] = table["energy"]
    return text


def _cell(row: pd.Series, column: str, form: str) -> str:
    if pd.isna(row[column]):
        return "-"
    text = form.format(row[column])
    low, high = row[f"{column}_low"], row[f"{column}_high"]
    return text if pd.isna(low) else f"{text} [{form.format(low)}, {form.format(high)}]"


def latex(study: Study) -> str:
    """The headline table for a paper (booktabs)."""
    text = shown(study)
    caption = "Medians of the repeats" + (", 95 % intervals in brackets." if _has_interval(study) else ".")
    body: str = text.to_latex(index=False, escape=True, caption=caption, label=f"tab:{study.name}", position="t")
    return body


def _has_interval(study: Study) -> bool:
    table = headline(study)
    return not table.empty and bool(table["step_s_low"].notna().any())
