"""A figure or a table is one file, also one that is not ours: a folder of plug-ins adds it to the report."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.plotting.figure_registry import ReportFigure, report_figure, report_figures
from analysis.study.study import Study
from bench.common.paths import PROJECT
from strategies.common.registry import PLUGIN_FOLDERS
from tests.analysis.studies import full, write_study

pytestmark = pytest.mark.slow

FIGURE = '''
"""The number of records as a bar."""

import pandas as pd

from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import DrawnFigure, drawing, new_figure


@report_figure("record_count", section="Of our own", order=15)
def draw(study, layout):
    """One bar."""
    with drawing(layout):
        figure, axes = new_figure(layout)
        axes.bar([0], [len(study.records)])
    data = pd.DataFrame({"records": [len(study.records)]})
    return [DrawnFigure("record_count", "Number of records", "How many records there are.", figure, data)]
'''

TABLE = '''
"""The number of records as a table."""

import pandas as pd

from analysis.tables.table import NUMBER, Column, Table
from analysis.tables.table_registry import study_table


@study_table("record_count", order=15)
def record_count(study, options):
    """One row."""
    data = pd.DataFrame({"records": [len(study.records)]})
    return Table("record_count", "Number of our records", "", (Column("records", "Records", kind=NUMBER),), data)
'''


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a small study, made with a folder of plug-ins."""
    folder = tmp_path_factory.mktemp("plugged_in")
    plugins = folder / "plugins"
    plugins.mkdir()
    (plugins / "record_count.py").write_text(FIGURE)
    (plugins / "record_count_table.py").write_text(TABLE)
    study = write_study(folder / "study", full(1))
    command = [sys.executable, "-m", "analysis", "report", str(study), "--out", str(folder / "report"), "--format", "svg"]
    environment = {**os.environ, PLUGIN_FOLDERS: str(plugins)}
    subprocess.run(command, cwd=PROJECT, env=environment, check=True, capture_output=True, text=True)
    return folder / "report"


def test_a_figure_from_outside_is_among_the_files_and_on_the_page(report: Path) -> None:
    assert (report / "figures" / "record_count.svg").read_text().startswith("<?xml")
    assert (report / "data" / "record_count.csv").read_text() == "records\n4\n"
    page = (report / "index.html").read_text()
    assert "How many records there are." in page
    assert page.index("Quality</h3>") < page.index("Of our own</h3>"), "a section that is not ours comes last"


def test_a_figure_from_outside_has_its_place_by_its_order(report: Path) -> None:
    """Between the first two of ours, whose orders are 10 and 20: also in the table of artefacts."""
    listed = (report / "tables" / "artefacts.csv").read_text().splitlines()
    names = [line.split(",")[1].removeprefix("figures/") for line in listed[1:] if line.startswith("figure,")]
    assert names[:3] == ["energy_time_modelled", "record_count", "energy_bars_modelled"]


def test_a_table_from_outside_is_among_the_files_and_on_the_page(report: Path) -> None:
    assert (report / "tables" / "record_count.csv").read_text() == "records\n4\n"
    assert r"\input{record_count}" in (report / "tables" / "all.tex").read_text()
    page = (report / "index.html").read_text()
    assert page.index("Number of our records") < page.index("Factors and levels"), "its order is lower"


def test_two_figures_of_one_name_are_refused() -> None:
    def draw(study: Study, layout: object) -> list[object]:
        return []

    assert report_figures()
    register = report_figure("scaling", section="Scaling", order=1)
    with pytest.raises(ValueError, match=r"two of kind figure are named scaling: in analysis\.figures\.rank_scaling and in"):
        register(draw)  # type: ignore[arg-type]


def test_a_figure_keeps_the_words_of_its_function() -> None:
    (scaling,) = [figure for figure in report_figures() if figure.name == "scaling"]
    assert isinstance(scaling, ReportFigure)
    assert scaling.__module__ == "analysis.figures.rank_scaling"
    assert "number of ranks" in str(scaling.__doc__)
