"""The whole job's joules by stages: one bar for each configuration, as long as what the plug read, and fit for print."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.figures.breakdown import draw_job
from analysis.plotting.figure_style import close
from analysis.plotting.page_layouts import IEEE, LAYOUTS
from tests.analysis.print_ready import assert_grey_safe, assert_print_ready
from tests.analysis.studies import full, study
from tests.analysis.tables.test_job_and_supply import END_S, long_point, metered


def test_a_bar_is_the_whole_job(tmp_path: Path) -> None:
    records = [long_point(), long_point("data", ("pi-1",)), long_point("tensor", ("pi-1",))]
    made = metered(tmp_path, records)
    (figure,) = draw_job(made, IEEE)
    whole = figure.data.filter(like="job_").sum(axis=1)
    assert figure.name == "job_breakdown_measured"
    assert whole.tolist() == pytest.approx([10 * END_S] * 3)
    assert figure.figure.axes[0].get_xlabel() == "Energy of the job (J), measured"
    close(figure)
    for layout in LAYOUTS.values():
        (figure,) = draw_job(made, layout)
        assert_print_ready(figure, layout)
        assert_grey_safe(figure)
        close(figure)


def test_without_readings_there_is_no_figure() -> None:
    assert draw_job(study(full()), IEEE) == []
