"""Files of figures: the same bytes whichever other formats are written."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from analysis.figures import energy_time
from analysis.style import IEEE, Drawn, close, drawing, save, settle
from tests.analysis.studies import full, study


def made() -> Drawn:
    (drawn,) = energy_time.draw(study(full()), IEEE)
    return drawn


@pytest.fixture
def figure() -> Iterator[Drawn]:
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


def test_a_settled_figure_stays_where_it_is(figure: Drawn) -> None:
    """As it would be laid out with each format, to within a point: on a screen letters are of whole dots, two of a point."""
    with drawing(IEEE):
        settle(figure.figure)
        (axes,) = figure.figure.axes
        before = axes.get_position().get_points() * figure.figure.get_size_inches() * 72
        other = made()
        other.figure.savefig(io.BytesIO(), format="svg")
        points = other.figure.axes[0].get_position().get_points() * figure.figure.get_size_inches() * 72
        close(other)
    np.testing.assert_allclose(before, points, atol=1.0)
