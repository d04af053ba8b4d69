"""Choices: what has no order is compared level by level, and nothing that differs otherwise is pooled or compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from analysis.figures.unordered_choices import draw, with_split
from analysis.plotting.figure_style import DrawnFigure, close
from analysis.plotting.page_layouts import IEEE, LAYOUTS, Layout
from tests.analysis.print_ready import assert_print_ready
from tests.analysis.studies import drawn_by, study_of
from tests.records import make_record

SPLITS = {"data": ("shares", [20, 12]), "pipeline": ("stages", [[0, 2], [2, 6]])}


def drawn(records: Sequence[dict[str, Any]], layout: Layout = IEEE) -> list[DrawnFigure]:
    return drawn_by(draw, records, layout)


def waits(repeats: int = 1, **changes: Any) -> list[dict[str, Any]]:
    """Polling is as slow as 40 of 50 samples/s and draws 20 of 40 watts: 0.5 J against 0.8 J per sample."""
    return [
        make_record(strategy, repeat, samples_per_s=rate, watts=watts, **{**changes, "point": {"wait": wait}})
        for repeat in range(repeats)
        for wait, rate, watts in (("spin", 50.0, 40.0), ("poll", 40.0, 20.0))
        for strategy in ("data", "pipeline")
    ]


def splits(repeats: int = 1) -> list[dict[str, Any]]:
    return [
        make_record(strategy, repeat, samples_per_s=rate, watts=20.0, point={"options": {option: given}})
        for repeat in range(repeats)
        for strategy, (option, planned) in SPLITS.items()
        for given, rate in ((None, 20.0), (planned, 40.0))
    ]


def test_levels_are_compared_by_ratios_with_what_they_are_ratios_of() -> None:
    (figure,) = drawn(waits())
    factor = make_record("data", samples_per_s=50.0)["time"]["samples_per_s"] / 50
    expected = (
        f"data: spin has 1.60 x the energy per sample ({0.8 / factor:.3g} against {0.5 / factor:.3g} J) and 0.80 x the time "
        "per step (0.64 against 0.8 s) of poll."
    )
    assert figure.name == "choice_wait_modelled_minilm_reviews"
    assert expected in figure.caption
    assert "energy is modelled" in figure.caption
    assert list(figure.data.columns) == ["strategy", "repeat", "wait", "per_sample_J", "step_s", "kind", "line"]
    assert len(figure.data) == 4


def test_every_repeat_and_median_stands_on_the_row_of_its_line() -> None:
    (figure,) = drawn(waits(3))
    axes = figure.figure.axes[1]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["data", "pipeline"]
    assert axes.get_ylim() == (1.5, -0.5), "from top to bottom"
    opened = {
        (line.get_marker(), round(line.get_ydata()[0])): line.get_xdata()[0]
        for line in axes.lines
        if line.get_markersize() == 6.5
    }
    slower = make_record("data", 1, samples_per_s=40.0)["time"]["step_s"]["median"]
    assert opened[("o", 0)] == pytest.approx(slower, rel=1e-12)
    assert len(opened) == 4
    assert sum(len(line.get_xdata()) for line in axes.lines if line.get_markersize() == 2.5) == 12
    assert [text.get_text() for text in figure.figure.legends[0].get_texts()] == ["poll", "spin"]


def test_repeats_that_overlap_show_no_difference() -> None:
    """Repeats are 2 % apart: 50 and 50.5 samples/s cannot be told apart by three of them."""
    records = [
        make_record("data", repeat, samples_per_s=rate, watts=20.0, point={"wait": wait})
        for repeat in range(3)
        for wait, rate in (("spin", 50.0), ("poll", 50.5))
    ]
    (figure,) = drawn(records)
    assert "repeats overlap: no difference is shown" in figure.caption
    assert "overlap" not in drawn(waits(3))[0].caption
    assert "overlap" not in drawn(waits(6))[0].caption


def test_even_and_planned_splits_of_all_strategies_are_one_choice() -> None:
    (figure,) = drawn(splits(2))
    assert figure.title == "Even against planned split"
    assert set(figure.data["split"]) == {"even", "planned"}
    assert "data, planned: shares=[20,12]." in figure.caption
    assert "pipeline, planned: stages=[[0,2],[2,6]]." in figure.caption
    assert set(figure.data[figure.data["split"] == "planned"]["option.shares"].dropna()) == {"[20,12]"}
    assert "data: planned has 0.50 x the energy per sample" in figure.caption
    assert [text.get_text() for text in figure.figure.legends[0].get_texts()] == ["even", "planned"]


def test_options_that_only_one_strategy_has_do_not_split_it() -> None:
    """As in real records: an option of another strategy is missing, not a value."""
    records = splits()
    for record in records:
        own = {"data": {"zero": 0}, "pipeline": {"schedule": "1f1b", "virtual_stages": 2}}[record["point"]["strategy"]]
        record["point"]["options"].update(own)
    (figure,) = drawn(records)
    assert figure.title == "Even against planned split"
    assert set(figure.data["line"]) == {"data", "pipeline"}


def test_several_planned_splits_of_one_line_are_told_apart() -> None:
    records = [
        make_record("data", samples_per_s=rate, point={"options": {"shares": shares}})
        for shares, rate in ((None, 20.0), ([20, 12], 40.0), ([24, 8], 30.0))
    ]
    (figure,) = drawn(records)
    assert set(figure.data["split"]) == {"even", "planned 1", "planned 2"}
    other = make_record("data", point={"options": {"shares": [1, 31]}, "cluster": "else"})
    points = with_split(study_of("test", Path("test"), [*records[:2], other], []).points)
    assert sorted(points["split"]) == ["even", "planned", "planned"], "each is the only one of its line"


def test_an_option_that_is_not_set_is_a_level_of_the_strategies_that_have_it() -> None:
    records = [make_record("data", point={"options": {"wire": wire}}) for wire in (None, "float16", "bfloat16")]
    (figure,) = drawn([*records, make_record("pipeline")])
    assert set(figure.data["strategy"]) == {"data"}
    assert [text.get_text() for text in figure.figure.legends[0].get_texts()] == ["unset", "bfloat16", "float16"]
    assert figure.name.startswith("choice_wire_")


def test_numbers_of_options_are_levels_in_their_order() -> None:
    """A null beside them makes pandas take them for floats."""
    records = [make_record("data", point={"options": {"depth": depth}}) for depth in (10, 9)]
    (figure,) = drawn([*records, make_record("pipeline")])
    assert [text.get_text() for text in figure.figure.legends[0].get_texts()] == ["9", "10"]


def test_what_is_swept_or_follows_is_no_choice() -> None:
    """Batches are swept, more ranks are no choice, and a strategy's own way to communicate is not compared with another's."""
    batches = [make_record("data", point={"batch": b, "options": {"bucket_bytes": 1000 * b}}) for b in (8, 16, 32)]
    assert drawn(batches) == []
    assert drawn([make_record("data", ranks=n, point={"wait": w}) for n, w in ((2, "spin"), (4, "poll"))]) == []
    assert (
        drawn([make_record("data", point={"progress": "thread"}), make_record("pipeline", point={"progress": "inline"})]) == []
    )
    assert drawn([make_record("data"), make_record("pipeline")]) == []


def test_what_changes_with_a_choice_is_said_and_shown_once() -> None:
    records = [
        make_record("data", samples_per_s=rate, point={"device": device, "dtype": dtype})
        for device, dtype, rate in (("cpu", "float64", 10.0), ("cuda", "float32", 400.0))
    ]
    (figure,) = drawn(records)
    assert figure.name.startswith("choice_device_")
    assert "What changes with it, by the table: dtype." in figure.caption
    assert set(figure.data["dtype"]) == {"float32", "float64"}
    assert figure.figure.axes[1].get_xscale() == "log", "40 times as fast"


def test_throughput_takes_the_place_of_steps_of_different_size() -> None:
    records = [make_record("data", point={"wait": w, "batch": b}) for w in ("spin", "poll") for b in (8, 16)]
    (figure,) = (found for found in drawn(records) if "wait" in found.name)
    assert "samples_per_s" in figure.data
    assert {"data batch=8", "data batch=16"} == set(figure.data["line"])


def test_measured_and_modelled_are_drawn_apart_and_no_energy_as_time_alone() -> None:
    found = drawn(waits() + waits(kind="measured") + waits(kind="none"))
    assert [set(figure.data["kind"]) for figure in found] == [{"measured"}, {"modelled"}, {"none"}]
    assert [len(figure.figure.axes) for figure in found] == [2, 2, 1]
    assert "no energy was asked for" in found[2].caption


def many() -> list[dict[str, Any]]:
    """Sixty configurations of a choice of three."""
    return [
        make_record("pipeline", ranks=ranks, point={"all_reduce": way, "batch": batch, "options": {"schedule": schedule}})
        for ranks in (2, 4)
        for batch in (8, 16)
        for schedule in ("gpipe", "1f1b", "interleaved", "zero_bubble", "other")
        for way in ("mpi", "ring", "recursive_doubling")
    ]


def test_many_lines_are_split_and_none_is_lost() -> None:
    found = [figure for figure in drawn(many()) if "all_reduce" in figure.name]
    assert [figure.data["line"].nunique() for figure in found] == [10, 10], "by ranks, or by batch: the fewest figures"
    assert sum(len(figure.data) for figure in found) == 60
    assert all("20 comparisons are in the table" in figure.caption for figure in found)


@pytest.mark.parametrize("name", LAYOUTS)
def test_it_goes_into_a_paper_as_it_is(name: str) -> None:
    layout = LAYOUTS[name]
    for records in (waits(6), splits(), many()[:15]):
        for figure in draw(study_of("test", Path("test"), records, []), layout):
            assert_print_ready(figure, layout)
            close(figure)
