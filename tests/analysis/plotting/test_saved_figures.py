"""Files of figures: the same bytes whichever other formats are written."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.figures import energy_time
from analysis.page.parallel_drawing import FEWEST_RECORDS, draw_all, processes_for
from analysis.plotting.figure_style import DrawnFigure, close, drawing, lay_out, save
from analysis.plotting.page_layouts import IEEE
from analysis.study.study import load_study
from tests.analysis.made_studies import paper_study, with_traces
from tests.analysis.studies import full, study
from tests.records import make_record

pytestmark = pytest.mark.slow


def made() -> DrawnFigure:
    (drawn,) = energy_time.draw(study(full()), IEEE)
    return drawn


@pytest.fixture
def figure() -> Iterator[DrawnFigure]:
    drawn = made()
    yield drawn
    close(drawn)


def test_a_format_does_not_depend_on_the_others(tmp_path: Path) -> None:
    for name, formats in (("together", ("svg", "pdf", "png")), ("alone", ("png",)), ("turned", ("pdf", "svg"))):
        drawn = made()
        save(drawn, tmp_path / name, formats, IEEE)
        close(drawn)
    for path in (*(tmp_path / "alone").iterdir(), *(tmp_path / "turned").iterdir()):
        assert path.read_bytes() == (tmp_path / "together" / path.name).read_bytes()


def test_a_settled_figure_stays_where_it_is(figure: DrawnFigure) -> None:
    """As it would be laid out with each format, to within a point: on a screen letters are of whole dots, two of a point."""
    with drawing(IEEE):
        lay_out(figure.figure)
        (axes,) = figure.figure.axes
        before = axes.get_position().get_points() * figure.figure.get_size_inches() * 72
        other = made()
        other.figure.savefig(io.BytesIO(), format="svg")
        points = other.figure.axes[0].get_position().get_points() * figure.figure.get_size_inches() * 72
        close(other)
    np.testing.assert_allclose(before, points, atol=1.0)


def test_several_processes_write_the_same_files(tmp_path: Path) -> None:
    """Figures of all kinds, in the same order, with the same bytes."""
    loaded = load_study(with_traces(tmp_path / "study", paper_study()))
    found = {}
    for processes in (1, 3):
        out = tmp_path / str(processes)
        for name in ("figures", "data"):
            (out / name).mkdir(parents=True)
        found[processes] = draw_all(loaded, out, ("svg",), IEEE, processes)
    assert len(found[1]) > 20
    for one, other in zip(found[1], found[3], strict=True):
        assert (one.name, one.caption, one.data_url, one.points) == (other.name, other.caption, other.data_url, other.points)
        pd.testing.assert_frame_equal(one.table.data, other.table.data)
    for path in (tmp_path / "1").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "3" / path.relative_to(tmp_path / "1")).read_bytes(), path.name


def test_what_goes_wrong_in_a_process_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="data"):
        draw_all(study(full()), tmp_path, ("svg",), IEEE, 2)


def test_small_studies_are_drawn_by_one_process() -> None:
    records = [make_record("data", repeat) for repeat in range(FEWEST_RECORDS)]
    assert processes_for(study(records[:-1])) == 1
    assert processes_for(study(records)) == min(4, len(os.sched_getaffinity(0)))
