"""Power modes: each line in the order of the power drawn, what nothing beats is marked, and the caption's ratios are right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from analysis.figures.power_mode_tradeoff import draw, mode_name
from analysis.plotting.figure_style import DrawnFigure, close
from analysis.plotting.page_layouts import IEEE, LAYOUTS, Layout
from tests.analysis.print_ready import assert_print_ready
from tests.analysis.studies import drawn_by, study_of
from tests.records import make_record

MODES = {"MAXN": (40.0, 80.0), "10W": (10.0, 30.0), "25W": (30.0, 45.0)}
"""Samples/s and watts: 2 J, 3 J and 1.5 J per sample."""


def modes(repeats: int = 1, strategies: dict[str, float] | None = None, **changes: Any) -> list[dict[str, Any]]:
    return [
        make_record(s, repeat, ranks=4, samples_per_s=speed * rate, watts=watts, **{**changes, "point": {"power_mode": mode}})
        for repeat in range(repeats)
        for mode, (rate, watts) in MODES.items()
        for s, speed in (strategies or {"data": 1.0, "pipeline": 0.8}).items()
    ]


def drawn(records: Sequence[dict[str, Any]], layout: Layout = IEEE) -> list[DrawnFigure]:
    return drawn_by(draw, records, layout)


def curve(figure: DrawnFigure, strategy: str) -> list[tuple[float, float]]:
    """The line whose marker is the strategy's."""
    shape = {"data": "o", "pipeline": "D"}[strategy]
    (found,) = (
        line for line in figure.figure.axes[0].lines
        if line.get_marker() == shape and line.get_markersize() == 6.5 and line.get_zorder() == 2
    )  # fmt: skip
    return list(zip(found.get_xdata(), found.get_ydata(), strict=True))


def test_modes_are_joined_in_the_order_of_their_power() -> None:
    """10 W draws 30, 25 W 45 and MAXN 80 watts."""
    (figure,) = drawn(modes())
    factor = make_record("data", samples_per_s=40.0)["time"]["samples_per_s"] / 40
    rates, joules = zip(*curve(figure, "data"), strict=True)
    assert rates == pytest.approx([10 * factor, 30 * factor, 40 * factor], rel=1e-12)
    assert joules == pytest.approx([3 / factor, 1.5 / factor, 2 / factor], rel=1e-12)


def test_what_nothing_beats_is_marked_and_named() -> None:
    """All modes of a slower pipeline are beaten by data parallelism in the same mode, its 10 W by its 25 W."""
    (figure,) = drawn(modes())
    best = figure.data[figure.data["on_pareto_front"]]
    assert set(zip(best["line"], best["power_mode"], strict=True)) == {("data", "MAXN"), ("data", "25W")}
    assert "No mode of any line beats data MAXN, data 25W in both." in figure.caption
    (rings,) = (line for line in figure.figure.axes[0].lines if line.get_markersize() == 12)
    assert len(rings.get_xdata()) == 2


def test_the_caption_has_ratios_with_what_they_are_ratios_of() -> None:
    """25 W: 1.5 of 2 J and 30 of 40 samples/s; of the pipeline 0.8 x the rates at the same watts."""
    (figure,) = drawn(modes(strategies={"data": 1.0}))
    factor = make_record("data", samples_per_s=40.0)["time"]["samples_per_s"] / 40
    expected = (
        f"data: 25W is the most frugal ({1.5 / factor:.3g} J per sample at {30 * factor:.3g} samples/s), MAXN the fastest "
        f"({2 / factor:.3g} J per sample at {40 * factor:.3g} samples/s); the frugal one needs 0.75 x the energy and trains "
        "0.75 x as fast."
    )
    assert expected in figure.caption
    assert "energy is modelled" in figure.caption


def test_a_mode_that_is_both_is_said_to_be_both() -> None:
    records = [r for r in modes(strategies={"data": 1.0}) if r["point"]["power_mode"] != "MAXN"]
    (figure,) = drawn(records)
    assert "25W is the fastest" in figure.caption
    assert "and the most frugal" in figure.caption
    assert "Two modes are not joined." in figure.caption
    (line,) = (own for own in figure.figure.axes[0].lines if own.get_markersize() == 6.5)
    assert line.get_linestyle() == "None"


def test_grey_lines_are_lines_of_equal_power() -> None:
    (figure,) = drawn(modes())
    axes = figure.figure.axes[0]
    powers = set()
    for line in axes.lines:
        if line.get_zorder() == 0.5:
            products = line.get_xdata() * line.get_ydata()
            assert products == pytest.approx(products[0], rel=1e-12)
            powers.add(f"{products[0]:g} W")
    assert len(powers) >= 2
    assert powers & {text.get_text() for text in axes.texts}


def test_points_without_a_mode_are_left_out_and_counted() -> None:
    (figure,) = drawn([*modes(), make_record("data", ranks=4)])
    assert "Left out: 1 of 7 points" in figure.caption
    assert len(figure.data) == 6
    assert drawn([make_record("data"), make_record("pipeline")]) == []
    assert drawn(modes(kind="none")) == []


def test_measured_and_modelled_are_drawn_apart_and_six_repeats_have_intervals() -> None:
    found = drawn(modes(6) + modes(kind="measured"))
    assert [set(figure.data["kind"]) for figure in found] == [{"measured"}, {"modelled"}]
    assert [len(figure.figure.axes[0].collections) for figure in found] == [0, 12], "one along each axis, of six modes"


def test_modes_by_board_class_are_named_by_mode() -> None:
    assert mode_name('{"jetson-orin-nano": "15W", "jetson-xavier-nx": "10W"}') == "15W/10W"
    assert mode_name("MAXN_SUPER") == "MAXN_SUPER"
    records = modes(strategies={"data": 1.0})
    for record in records:
        record["point"]["power_mode"] = {"nano": record["point"]["power_mode"], "nx": "10W"}
    (figure,) = drawn(records)
    assert {"MAXN/10W", "10W/10W", "25W/10W"} <= {text.get_text() for text in figure.figure.axes[0].texts}


@pytest.mark.parametrize("name", LAYOUTS)
def test_it_goes_into_a_paper_as_it_is(name: str) -> None:
    """With every mode named, where nothing else is written."""
    layout = LAYOUTS[name]
    for repeats, strategies in ((7, {"data": 1.0, "pipeline": 0.98}), (1, {"data": 1.0, "pipeline": 0.9, "tensor": 0.7})):
        (figure,) = draw(study_of("test", Path("test"), modes(repeats, strategies), []), layout)
        assert_print_ready(figure, layout)
        shown = [text.get_text() for text in figure.figure.axes[0].texts]
        assert [shown.count(mode) for mode in MODES] == [len(strategies)] * 3
        assert "No room" not in figure.caption
        close(figure)


def test_many_modes_are_split_and_none_is_lost() -> None:
    records = [
        make_record(
            s, ranks=ranks, samples_per_s=(3 + mode + n) * ranks, watts=20.0 + 5 * mode, point={"power_mode": f"{mode}W"}
        )
        for ranks in (2, 3, 4)
        for n, s in enumerate(("data", "pipeline", "tensor", "sequence"))
        for mode in range(5)
    ]
    found = drawn(records)
    assert len(found) == 3
    assert sum(len(figure.data) for figure in found) == 60
