"""Sensitivity: one figure for each number that is varied by itself, in the unit that fits, with what goes along in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.figures.number_sensitivity import draw
from analysis.plotting.figure_style import DrawnFigure, close
from analysis.plotting.page_layouts import IEEE, LAYOUTS, Layout
from analysis.plotting.sweep_lines import lines_by_figure
from analysis.study.sweeps import short_labels, sweep
from tests.analysis.print_ready import assert_print_ready
from tests.analysis.studies import drawn_by, study_of
from tests.records import make_record


def drawn(records: Sequence[dict[str, Any]], layout: Layout = IEEE) -> list[DrawnFigure]:
    return drawn_by(draw, records, layout)


def batches(repeats: int = 1, levels: tuple[int, ...] = (8, 16, 32), **changes: Any) -> list[dict[str, Any]]:
    """Throughput of data parallelism is the batch, of a pipeline 10 samples/s and half the batch."""
    return [
        make_record(strategy, repeat, samples_per_s=rate, watts=20.0, **{**changes, "point": {"batch": batch}})
        for repeat in range(repeats)
        for batch in levels
        for strategy, rate in (("data", float(batch)), ("pipeline", 10 + batch / 2))
    ]


def lengths() -> list[dict[str, Any]]:
    records = []
    for batch, seq in ((16, 32), (8, 64), (4, 128)):
        record = make_record("data", samples_per_s=1000 / seq, watts=20.0, point={"batch": batch, "seq": seq})
        record["time"]["tokens_per_s"] = seq * record["time"]["samples_per_s"]
        record["energy"]["per_token_J"] = record["energy"]["per_sample_J"] / seq
        records.append(record)
    return records


def medians(figure: DrawnFigure, panel: int, line: int) -> tuple[list[float], list[float]]:
    """What is drawn as the ``line``-th line of medians: the joined ones, or open markers."""
    shown = [own for own in figure.figure.axes[panel].lines if own.get_markerfacecolor() == "none" and len(own.get_xdata())]
    return list(shown[line].get_xdata()), list(shown[line].get_ydata())


def test_medians_are_drawn_at_their_levels() -> None:
    """Repeats are 2 % slower each: the median of three is the second. Watts over it are joules."""
    (figure,) = drawn(batches(3))
    first = make_record("data", 0, samples_per_s=8.0)["time"]["samples_per_s"] / 8
    second = make_record("data", 1, samples_per_s=8.0)["time"]["samples_per_s"] / 8
    assert second < first
    x, y = medians(figure, 0, 0)
    assert x == [8, 16, 32]
    assert y == pytest.approx([8 * second, 16 * second, 32 * second], rel=1e-12)
    _, joules = medians(figure, 1, 0)
    assert joules == pytest.approx([20 / v for v in y], rel=1e-12)
    assert medians(figure, 0, 1)[1] == pytest.approx([v * second for v in (14, 18, 26)], rel=1e-2)
    assert len(figure.data) == 18
    assert list(figure.data.columns) == ["strategy", "repeat", "batch", "samples_per_s", "per_sample_J", "kind", "line"]
    assert figure.figure.axes[1].get_ylabel() == "Energy per sample (J), modelled"
    assert "There are n = 3 repeats: too few" in figure.caption


def test_every_repeat_is_drawn_and_six_have_intervals() -> None:
    (few,) = drawn(batches(3))
    (many,) = drawn(batches(6))
    for figure, bars in ((few, 0), (many, 6)):
        axes = figure.figure.axes[0]
        dots = sum(len(line.get_xdata()) for line in axes.lines if line.get_markersize() == 2.5)
        assert dots == len(figure.data)
        assert len(axes.collections) == bars


def test_the_batch_that_shrinks_as_sequences_grow_has_no_figure_of_its_own() -> None:
    (figure,) = drawn(lengths())
    assert figure.name == "sensitivity_seq_modelled_minilm_reviews"
    assert "Batch shrinks as seq grows (16, 8, 4): the same tokens in a step." in figure.caption
    assert [axes.get_ylabel() for axes in figure.figure.axes] == ["Throughput (tokens/s)", "Energy per token (J), modelled"]
    assert {"batch", "tokens_per_s", "per_token_J"} <= set(figure.data)
    assert medians(figure, 0, 0)[0] == [32, 64, 128]


def test_a_product_of_lengths_and_batches_has_both() -> None:
    records = [make_record("data", point={"batch": batch, "seq": seq}) for batch in (8, 16, 32) for seq in (32, 64, 128)]
    first, second = drawn(records)
    assert (first.name.split("_")[1], second.name.split("_")[1]) == ("seq", "batch")
    assert "grows (" not in first.caption + second.caption
    assert second.figure.axes[0].get_ylabel() == "Throughput (tokens/s)", "samples of other lengths are no one unit"


def test_weak_scaling_is_no_sensitivity_to_the_batch() -> None:
    assert drawn([make_record("data", ranks=ranks, point={"batch": 8 * ranks}) for ranks in (2, 3, 4)]) == []
    assert drawn([make_record("data"), make_record("pipeline")]) == []


def test_learning_rates_are_no_sensitivity() -> None:
    assert drawn([make_record("data", point={"lr": lr}) for lr in (1e-5, 5e-5, 1e-4)]) == []


def test_two_levels_are_not_joined() -> None:
    (figure,) = drawn(batches(levels=(8, 16)))
    shown = [line for line in figure.figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert {line.get_linestyle() for line in shown} == {"None"}
    assert "two show no trend" in figure.caption


def test_without_energy_there_is_one_panel_that_says_so() -> None:
    (figure,) = drawn(batches(kind="none"))
    assert len(figure.figure.axes) == 1
    assert "no energy was asked for" in figure.caption
    assert "per_sample_J" not in figure.data


def test_measured_and_modelled_are_drawn_apart() -> None:
    found = drawn(batches() + batches(kind="measured"))
    assert [set(figure.data["kind"]) for figure in found] == [{"measured"}, {"modelled"}]


def many() -> list[dict[str, Any]]:
    """Four lines on two, three and four ranks: 36 configurations, twelve lines."""
    schedules = {"data": ({},), "pipeline": tuple({"schedule": name} for name in ("gpipe", "1f1b", "interleaved"))}
    return [
        make_record(strategy, ranks=ranks, samples_per_s=10.0 + batch + ranks, point={"batch": batch, "options": options})
        for ranks in (2, 3, 4)
        for batch in (8, 16, 32)
        for strategy, all_options in schedules.items()
        for options in all_options
    ]


def test_many_lines_are_split_so_that_strategies_stay_together() -> None:
    found = drawn(many())
    assert [figure.name.split("_reviews_")[1] for figure in found] == ["ranks_2", "ranks_3", "ranks_4"]
    assert all(set(figure.data["strategy"]) == {"data", "pipeline"} for figure in found)
    assert all("ranks=" in figure.caption for figure in found)
    assert sum(len(figure.data) for figure in found) == 36


def test_lines_are_named_by_what_tells_them_apart() -> None:
    """The mesh follows from the ranks: it is not named beside them."""
    points = study_of("test", Path("test"), many(), []).points
    series = sweep(points, "batch").series
    names = short_labels(series)
    assert len(set(names)) == 12
    assert "data ranks=2" in names
    assert "pipeline ranks=3 schedule=gpipe" in names
    for setting, own in lines_by_figure(sweep(points, "batch")):
        assert short_labels(own)[0] == "data", setting


def test_what_differs_only_by_name_is_split_by_number() -> None:
    """More strategies than a figure holds, and nothing else to split by: nothing is left out."""
    records = [make_record("data", point={"batch": batch}) for batch in (8, 16, 32)]
    many_names = []
    for number in range(10):
        for record in records:
            own = {
                **record,
                "point": {**record["point"], "strategy": f"own{number}", "hash": f"{number}{record['point']['batch']}"},
            }
            many_names.append({**own, "point": {**own["point"], "name": f"p{number}-{record['point']['batch']}"}})
    found = drawn(many_names)
    assert [figure.data["line"].nunique() for figure in found] == [8, 2]


def test_a_range_that_hides_the_small_is_drawn_in_logarithms() -> None:
    records = [make_record("data", samples_per_s=rate, point={"batch": b}) for b, rate in ((8, 1.0), (16, 10.0), (32, 100.0))]
    (figure,) = drawn(records)
    assert figure.figure.axes[0].get_yscale() == "log"
    assert drawn(batches())[0].figure.axes[0].get_ylim()[0] == 0


@pytest.mark.parametrize("name", LAYOUTS)
def test_it_goes_into_a_paper_as_it_is(name: str) -> None:
    layout = LAYOUTS[name]
    for records in (batches(6, levels=(4, 8, 12, 16, 24, 32, 64)), many()):
        for figure in draw(study_of("test", Path("test"), records, []), layout):
            assert_print_ready(figure, layout)
            close(figure)


def test_levels_are_ticks() -> None:
    (figure,) = drawn(batches(levels=(8, 16, 32)))
    axes = figure.figure.axes[-1]
    assert list(axes.get_xticks()) == [8, 16, 32]
    assert np.all(np.diff([text.get_position()[0] for text in axes.get_xticklabels()]) > 0)
    assert axes.get_xlabel() == "Samples in a step (count)"
