"""The probe for printing finds what is wrong, and every figure of every layout passes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.plotting.figure_registry import report_figures
from analysis.plotting.figure_style import DrawnFigure, close, drawing
from analysis.plotting.page_layouts import IEEE, LAYOUTS
from analysis.study.study import load_study
from tests.analysis.made_studies import paper_study, rich_record, with_traces
from tests.analysis.print_ready import assert_grey_safe, assert_print_ready, overlaps

pytestmark = pytest.mark.slow

UNITLESS = ("Training loss", "Optimizer step", "Validation accuracy", "Validation perplexity")

FOUR = ("single", "data", "tensor", "pipeline")


def test_the_probe_sees_what_is_wrong() -> None:
    """Texts on each other, beyond the edge, and a legend on the data are found; a clean figure has none."""
    figure, axes = plt.subplots(figsize=(3.5, 2.6), layout="constrained")
    axes.plot([0, 1], [0, 1], label="line")
    assert overlaps(figure) == []
    first = axes.text(0.5, 0.5, "one")
    axes.text(0.5, 0.5, "two")
    axes.text(1.5, 0.5, "far outside of it")
    axes.legend()
    figure.draw_without_rendering()
    found = overlaps(figure)
    assert any("'one' on 'two'" in line for line in found)
    assert any("cut off" in line for line in found)
    assert "a legend lies on the data" in found
    first.set_visible(False)
    assert not any("'one'" in line for line in overlaps(figure))
    plt.close(figure)


@pytest.mark.parametrize(("apart_px", "touching"), [(26, False), (6, True)])
def test_turned_labels_are_compared_as_turned(apart_px: float, touching: bool) -> None:
    """Parallel names at 35 degrees: upright boxes around them would overlap at both distances, the letters at one only."""
    figure = Figure(figsize=(4, 3), dpi=100)
    for number in range(2):
        figure.text((150 + number * apart_px) / 400, 0.5, "a long name of a thing", rotation=35, fontsize=8)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.texts]
    assert boxes[0].overlaps(boxes[1])
    assert bool(overlaps(figure)) is touching


@pytest.fixture
def legend_of() -> Iterator[Callable[..., DrawnFigure]]:
    """A figure with a line for each of the given looks."""
    made = []

    def make(*looks: dict[str, Any], bars: bool = False) -> DrawnFigure:
        figure, axes = plt.subplots()
        made.append(figure)
        for number, look in enumerate(looks):
            if bars:
                axes.add_patch(Rectangle((number, 0), 1, 1, **look, label=str(number)))
            else:
                axes.plot([0, 1], [number, 1], **look, label=str(number))
        axes.legend()
        return DrawnFigure("made", "", "", figure, pd.DataFrame())

    yield make
    for figure in made:
        plt.close(figure)


ORANGE, BLUE = "#D55E00", "#0072B2"  # nearly the same grey


@pytest.mark.parametrize(
    ("safe", "bars", "one", "other"),
    [
        (False, False, {"color": ORANGE}, {"color": BLUE}),
        (True, False, {"color": ORANGE}, {"color": BLUE, "linestyle": "--"}),
        (True, False, {"color": ORANGE, "marker": "o"}, {"color": BLUE, "marker": "s"}),
        (True, False, {"color": ORANGE, "marker": "o"}, {"color": BLUE, "marker": "o", "markerfacecolor": "none"}),
        (True, False, {"color": ORANGE}, {"color": ORANGE}),
        (False, True, {"facecolor": ORANGE}, {"facecolor": BLUE}),
        (True, True, {"facecolor": ORANGE}, {"facecolor": BLUE, "hatch": "//"}),
        (True, True, {"facecolor": "#000000"}, {"facecolor": "#bbbbbb"}),
    ],
)
def test_colour_alone_does_not_tell_apart(
    safe: bool, bars: bool, one: dict[str, Any], other: dict[str, Any], legend_of: Callable[..., DrawnFigure]
) -> None:
    """Two series of unlike colour need another marker, dash, hatch or tone; two of one colour are one thing."""
    figure = legend_of(one, other, bars=bars)
    if safe:
        assert_grey_safe(figure)
    else:
        with pytest.raises(AssertionError, match="'0' and '1' differ only in colour"):
            assert_grey_safe(figure)


def test_fonts_are_those_of_the_layout_while_they_are_measured(tmp_path: Path) -> None:
    """Measured in another font than the printed one, texts have another width, and the probe proves nothing."""
    (drawn,) = report_figures()[0](load_study(with_traces(tmp_path / "s", [rich_record("data")])), IEEE)
    label = drawn.figure.axes[0].xaxis.label
    assert_print_ready(drawn, IEEE, UNITLESS)
    measured = label.get_window_extent().width
    with drawing(IEEE):
        label.set_text(label.get_text() + " ")  # nothing remembered
        assert label.get_window_extent().width == pytest.approx(measured, abs=4)
    close(drawn)


def four_strategies() -> list[dict[str, Any]]:
    return [rich_record(strategy, repeat) for repeat in range(3) for strategy in FOUR]


def thirty_configurations() -> list[dict[str, Any]]:
    """Two models, a single board and four strategies on up to five boards; one of them ran out of memory."""
    records = paper_study(ranks=(2, 3, 4, 5))[: 2 * 17]
    lost = rich_record(
        "data", status="oom", reason="out of memory on rank 0", ranks=6, point={"model": "gpt2-mini", "task": "lm"}
    )
    return [*records, lost]


def nine_repeats() -> list[dict[str, Any]]:
    return [rich_record(strategy, repeat) for repeat in range(9) for strategy in FOUR]


def measured_and_modelled() -> list[dict[str, Any]]:
    return [rich_record(s, repeat, kind=kind) for kind in ("measured", "modelled") for repeat in range(2) for s in FOUR[:3]]


STUDIES: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "four strategies": four_strategies,
    "thirty configurations": thirty_configurations,
    "nine repeats": nine_repeats,
    "one point": lambda: [rich_record("data")],
    "measured and modelled": measured_and_modelled,
}


# The narrowest and the widest layout are the ones in which many configurations could find no room.
PAIRS = [(which, name) for which in STUDIES for name in LAYOUTS if which != "thirty configurations" or name != "ieee"]


@pytest.mark.parametrize(("which", "name"), PAIRS)
def test_figures_of_every_layout_are_ready(which: str, name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    study = load_study(with_traces(tmp_path / "study", STUDIES[which]()))
    found = [figure for draw in report_figures() for figure in draw(study, layout)]
    assert len({figure.name for figure in found}) == len(found), "two figures would be written to one file"
    for figure in found:
        assert_print_ready(figure, layout, unitless=UNITLESS)
        close(figure)
