"""The report of monitored programs: a page that opens offline, its figures and tables as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.monitored.monitored_figures import figures
from analysis.monitored.monitored_study import MonitoredStudy
from analysis.monitored.monitored_tables import hosts_table, regions_table, runs_table
from analysis.page.content.check_rows import Row
from analysis.page.content.report_content import picture
from analysis.page.html_page import MOST_DATA_ROWS, templates, view
from analysis.plotting.figure_style import close
from analysis.plotting.page_layouts import Layout
from analysis.study.count_phrases import counted
from analysis.tables.latex import floats
from analysis.tables.table import CODE, NUMBER, significant

WORST_FIRST = ("failed", "warned", "passed", "skipped")


def write_monitored_report(study: MonitoredStudy, out: Path, formats: Sequence[str], layout: Layout) -> Path:
    """Write ``out``/index.html, figures/, data/ and tables/.

    Args:
        study: The runs.
        out: Folder of the report, which need not be there.
        formats: Endings of the files of figures.
        layout: Sizes and fonts.

    Returns:
        The path of the page.
    """
    for name in ("figures", "data", "tables"):
        (out / name).mkdir(parents=True, exist_ok=True)
    pictures = []
    for drawn in figures(study, layout):
        pictures.append(picture(drawn, "Figures", out, formats, layout))
        close(drawn)
    tables = [table for table in (runs_table(study), regions_table(study), hosts_table(study)) if len(table.data)]
    for table in tables:
        table.data.to_csv(out / "tables" / f"{table.name}.csv", index=False)
        (out / "tables" / f"{table.name}.tex").write_text(floats(table), encoding="utf-8")
    page = (
        templates()
        .get_template("monitored.html.j2")
        .render(
            study=study,
            lead=lead(study),
            sentences=sentences(study),
            pictures=pictures,
            tables=tables,
            view=view,
            data_view=lambda one: view(one.table, MOST_DATA_ROWS, "data"),
            checks=check_rows(study),
            problems=problems(study),
            not_measured=not_measured(study),
            number=NUMBER,
            code=CODE,
        )
    )
    (out / "index.html").write_text(page, encoding="utf-8")
    return out / "index.html"


def lead(study: MonitoredStudy) -> str:
    """What the page is about.

    Args:
        study: The runs.

    Returns:
        One sentence.
    """
    good = sum(run.good for run in study.runs)
    return f"Energy of programs under edgejoule monitor: {counted(len(study.runs), 'run')}, {good} of them valid."


def sentences(study: MonitoredStudy) -> list[str]:
    """The answer in words: joules of each command, and its largest region.

    Args:
        study: The runs.

    Returns:
        One sentence a command.
    """
    lines = []
    regions = regions_table(study).data
    for row in runs_table(study).data.itertuples(index=False):
        interval = f" [{significant(row.energy_J_low)}, {significant(row.energy_J_high)}]"
        line = f"{row.command}: {significant(row.energy_J)} J{interval}, {significant(row.time_s)} s, {row.energy}"
        inner = regions[(regions["command"] == row.command) & regions["energy_J"].notna()]
        if len(inner):
            largest = inner.loc[inner["energy_J"].astype(float).idxmax()]
            line += f"; most in {largest['region']} ({significant(float(largest['share']))} %)"
        lines.append(f"{line}.")
    return lines


def check_rows(study: MonitoredStudy) -> list[Row]:
    """Each check over all runs: the worst verdict, how often, and what was found.

    Args:
        study: The runs.

    Returns:
        Rows in the order of the checks.
    """
    checks = [(run.record.name, check) for run in study.runs for check in run.record.checks]
    rows = []
    for name in dict.fromkeys(check.name for _, check in checks):
        mine = [(run, check) for run, check in checks if check.name == name]
        worst = next(status for status in WORST_FIRST if any(check.status == status for _, check in mine))
        counts = pd.Series([check.status for _, check in mine]).value_counts()
        listed = ", ".join(f"{counts[status]} {status}" for status in WORST_FIRST if status in counts)
        details = [f"{run}: {check.detail}" for run, check in mine if check.status == worst]
        rows.append(Row(name, worst, listed, tuple(details[:3]), tuple(details[3:])))
    return rows


def problems(study: MonitoredStudy) -> list[str]:
    """Runs that are not good, regions without joules, and folders that are no records.

    Args:
        study: The runs.

    Returns:
        One line each.
    """
    bad = [f"{run.record.name}: {run.record.status}. {run.record.reason}" for run in study.runs if run.record.status != "ok"]
    lost = [f"{run.record.name}: {line}" for run in study.runs for line in run.record.not_attributed]
    return [*bad, *lost, *study.problems]


def not_measured(study: MonitoredStudy) -> list[str]:
    """Parts of the system that the energy does not contain.

    Args:
        study: The runs.

    Returns:
        One line each.
    """
    return list(dict.fromkeys(line for run in study.runs for line in run.record.energy.coverage.not_measured))
