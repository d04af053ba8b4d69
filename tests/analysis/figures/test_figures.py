"""What the figures show is what the records say: numbers by hand, nothing pooled, nothing left out without a word."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.figures import (
    breakdown,
    energy_time,
    learning_curves,
    loss_by_step,
    peak_memory,
    predicted_measured,
    schedule_gantt,
    step_time_spread,
    traffic_bars,
)
from analysis.plotting.figure_style import DrawnFigure, close, drawing
from analysis.plotting.page_layouts import IEEE, LAYOUTS
from analysis.study.study import Study
from tests.analysis.made_studies import paper_study, rich_record
from tests.analysis.studies import study_of
from tests.records import make_record

FOUR = ("single", "data", "tensor", "pipeline")


@pytest.fixture
def drawn() -> Iterator[Any]:
    """Figures of records by name; closed after the test."""
    made: list[DrawnFigure] = []

    def draw(function: Any, records: list[dict[str, Any]], layout: str = "ieee") -> dict[str, DrawnFigure]:
        found = function(study(records), LAYOUTS[layout])
        made.extend(found)
        return {figure.name: figure for figure in found}

    yield draw
    for figure in made:
        close(figure)


def study(records: list[dict[str, Any]]) -> Study:
    return study_of("made", Path("made"), records, [])


def lines_of(axes: Any, **looks: Any) -> list[Any]:
    return [line for line in axes.lines if all(line.properties()[key] == value for key, value in looks.items())]


# Energy against time


def test_faint_lines_are_of_equal_power_and_equal_product(drawn: Any) -> None:
    """Along each line rate times J per sample is the watts that it names, or J per sample over rate the J s."""
    figure = drawn(energy_time.draw, paper_study())["energy_time_modelled_minilm_reviews"].figure
    (axes,) = figure.axes
    scale = {"W": 1.0, "J s": 1.0, "mJ s": 1e-3}
    named = [text.get_text().partition(" ") for text in axes.texts if text.get_text().endswith((" W", " s"))]
    for dash, product, units in ((":", lambda x, y: x * y, ("W",)), ("-.", lambda x, y: y / x, ("J s", "mJ s"))):
        lines = lines_of(axes, linestyle=dash)
        found = sorted(float(product(*point)) for line in lines for point in line.get_xydata()[:1])
        for line in lines:
            values = [product(x, y) for x, y in line.get_xydata()]
            assert max(values) == pytest.approx(min(values), rel=1e-12)
        assert found == pytest.approx(sorted(float(value) * scale[unit] for value, _, unit in named if unit in units))
        assert 1 <= len(found) <= 3


def test_names_of_faint_lines_are_outside_of_the_data(drawn: Any) -> None:
    for figure in drawn(energy_time.draw, paper_study()).values():
        (axes,) = figure.figure.axes
        with drawing(IEEE):
            figure.figure.draw_without_rendering()
            for text in axes.texts:
                if text.get_text().endswith((" W", " s")):
                    assert not text.get_window_extent().overlaps(axes.get_window_extent().padded(-2)), text.get_text()


def test_ranks_stand_beside_the_markers(drawn: Any) -> None:
    """Of 13 configurations the 12 with more than one rank have their number, on no marker and on no other number."""
    figures = drawn(energy_time.draw, paper_study())
    assert set(figures) == {"energy_time_modelled_minilm_reviews", "energy_time_modelled_gpt2_mini_lm"}
    for figure in figures.values():
        (axes,) = figure.figure.axes
        numbers = [text for text in axes.texts if text.get_text() in "234" and text.get_text()]
        assert sorted(text.get_text() for text in numbers) == sorted("234" * 4)
        assert [text.get_text() for text in figure.figure.legends[0].get_texts()] == [
            "single", "data", "sequence", "tensor", "pipeline",
        ]  # fmt: skip
        assert "Numbers beside the markers are ranks." in figure.caption
        with drawing(IEEE):
            figure.figure.draw_without_rendering()
            medians = [axes.transData.transform(line.get_xydata()[0]) for line in lines_of(axes, markerfacecolor="none")]
            assert len(medians) == 13
            for text in numbers:
                box = text.get_window_extent()
                assert not any(box.contains(*place) for place in medians)
            for one, other in itertools.combinations(numbers, 2):
                assert not one.get_window_extent().padded(-2).overlaps(other.get_window_extent().padded(-2))


def test_crowded_numbers_move_apart(drawn: Any) -> None:
    """Fifteen configurations within 4 %: each number finds a place on no marker and on no other number, or the caption says
    which did not."""
    records = [
        rich_record(strategy, ranks=n, samples_per_s=20 * (1 + 0.002 * n + 0.004 * place), watts=30 + 0.02 * n)
        for place, strategy in enumerate(("data", "tensor", "pipeline"))
        for n in range(2, 7)
    ]
    (figure,) = drawn(energy_time.draw, records).values()
    (axes,) = figure.figure.axes
    with drawing(IEEE):
        figure.figure.draw_without_rendering()
        numbers = [text for text in axes.texts if text.get_text() and text.get_text() in "23456"]
        boxes = [text.get_window_extent().padded(-1.5) for text in numbers]
        medians = [axes.transData.transform(line.get_xydata()[0]) for line in lines_of(axes, markerfacecolor="none")]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    assert not any(box.contains(*place) for box in boxes for place in medians)
    assert len(numbers) == 15 or f"No room for a sign beside {15 - len(numbers)}" in figure.caption


def test_other_factors_have_a_key(drawn: Any) -> None:
    records = [
        rich_record(strategy, ranks=4, samples_per_s=5.0 + batch, point={"batch": batch})
        for strategy in ("data", "pipeline")
        for batch in (8, 16)
    ]
    (figure,) = drawn(energy_time.draw, records).values()
    shown = [text.get_text() for text in figure.figure.legends[0].get_texts()]
    assert sorted(shown) == ["1: batch=8", "2: batch=16", "data", "pipeline"]
    signs = [text.get_text() for text in figure.figure.axes[0].texts if text.get_text() in ("1", "2")]
    assert sorted(signs) == ["1", "1", "2", "2"]


# Where time and energy go


def test_phases_add_up_and_each_repeat_has_its_dot(drawn: Any) -> None:
    """Data parallel takes 32/38 s, 2 % more with each repeat: 0.842, 0.859, 0.876; 22 % of the mean is forward."""
    figures = drawn(breakdown.draw_time, [rich_record(s, repeat) for repeat in range(3) for s in FOUR])
    assert set(figures) == {"time_breakdown", "time_phases"}
    row = figures["time_phases"].data.set_index("label").loc["data n=2"]
    steps_s = [rich_record("data", repeat)["time"]["window_s"] / 12 for repeat in range(3)]
    assert row["forward_s"] == pytest.approx(0.22 * sum(steps_s) / 3, rel=1e-12)
    pieces = ["forward_s", "backward_s", "optimizer_s", "other_s", "communicate_s", "wait_s"]
    assert row[pieces].sum() == pytest.approx(sum(steps_s) / 3, rel=1e-12)
    (axes,) = figures["time_phases"].figure.axes
    dots = [line.get_xdata().tolist() for line in axes.lines if line.get_marker() == "o"]
    assert dots[1] == pytest.approx(steps_s, rel=1e-12)
    ends = [max(bar.get_x() + bar.get_width() for bar in bars) for bars in itertools.zip_longest(*axes.containers)]
    assert ends[1] == pytest.approx(sum(steps_s) / 3, rel=1e-12)


def test_an_estimate_below_zero_is_drawn_left_of_it(drawn: Any) -> None:
    """Least squares may give a small phase less than nothing: shown as found, and the rest still adds up to the whole."""
    record = rich_record("data")
    total, samples = record["energy"]["total_J"], record["time"]["samples"]
    for row in record["energy"]["phases"]:
        row["joules"] = {"optimizer": -0.05, "forward": 0.33}.get(row["phase"], row["joules"] / total) * total
    figure = drawn(breakdown.draw_energy, [record])["energy_phases_modelled"]
    (axes,) = figure.figure.axes
    bars = {tuple(bar.get_hatch() or "")[:1]: bar for bars in axes.containers for bar in bars}
    assert bars[("x",)].get_x() == 0.0
    assert bars[("x",)].get_width() == pytest.approx(-0.05 * total / samples)
    assert "left of zero" in figure.caption


def test_another_model_is_another_figure(drawn: Any) -> None:
    figures = drawn(breakdown.draw_time, paper_study())
    assert set(figures) == {
        f"time_{what}_{work}" for what in ("breakdown", "phases") for work in ("minilm_reviews", "gpt2_mini_lm")
    }
    one = figures["time_breakdown_gpt2_mini_lm"]
    assert one.caption.startswith("gpt2-mini on lm. ")
    assert set(one.points) == {r["point"]["name"] for r in paper_study() if r["point"]["model"] == "gpt2-mini"}


def test_measured_and_modelled_times_are_not_pooled(drawn: Any) -> None:
    """They are of other boards, although both times are measured."""
    records = [rich_record("data", kind=kind, samples_per_s=speed) for kind, speed in (("measured", 10), ("modelled", 40))]
    figures = drawn(breakdown.draw_time, records)
    means = [figures[f"time_breakdown_{kind}"].data["compute_s"].iloc[0] for kind in ("measured", "modelled")]
    assert means == pytest.approx([0.8 * rich_record("data", samples_per_s=s)["time"]["window_s"] / 12 for s in (10, 40)])


# Learning


def test_loss_against_joules_and_seconds(drawn: Any) -> None:
    (figure,) = drawn(learning_curves.draw_loss, [rich_record("data", repeat) for repeat in range(3)]).values()
    joules, seconds = figure.figure.axes
    assert (joules.get_xlabel(), seconds.get_xlabel()) == ("Training energy (J), modelled", "Training time (s)")
    record = rich_record("data", 1)  # of three repeats the second is of median length
    strong = [line for line in joules.lines if line.get_linewidth() > 1]
    assert len(strong) == len(joules.lines) == 1
    assert [len(others.get_paths()) for others in joules.collections] == [2]
    assert strong[0].get_xdata().tolist() == record["learning"]["curve"]["energy_J"]
    loss = record["learning"]["curve"]["loss"]
    assert strong[0].get_ydata()[5] == pytest.approx(sum(loss[3:8]) / 5)
    assert "Strong: the repeat of median length" in figure.caption


def test_without_energy_there_is_the_time(drawn: Any) -> None:
    (figure,) = drawn(learning_curves.draw_loss, [rich_record("data", kind="none")]).values()
    assert figure.name == "loss_time"
    assert [axes.get_xlabel() for axes in figure.figure.axes] == ["Training time (s)"]
    assert figure.data["energy_J"].isna().all()


@pytest.mark.parametrize(("evaluations", "dash"), [(1, "None"), (2, "None"), (3, "-")])
def test_two_evaluations_make_no_line(evaluations: int, dash: str, drawn: Any) -> None:
    record = rich_record("data")
    record["learning"]["evaluations"] = record["learning"]["evaluations"][:evaluations]
    (figure,) = drawn(learning_curves.draw_metric, [record]).values()
    assert {line.get_linestyle() for line in figure.figure.axes[0].lines} == {dash}


def test_every_curve_is_inside_its_panel(drawn: Any) -> None:
    """Panels share their axes: what a later one shows must not lie beyond the limits that an earlier one set."""
    for figure in drawn(learning_curves.draw_loss, paper_study()).values():
        assert len(figure.figure.axes) == 8
        for axes in figure.figure.axes:
            paths = [path.vertices for others in axes.collections for path in others.get_paths()]
            right = max(vertices[:, 0].max() for vertices in (*paths, *(line.get_xydata() for line in axes.lines)))
            assert right <= axes.get_xlim()[1]


def test_only_what_learns_the_same_is_compared(drawn: Any) -> None:
    """Two batches, each of two strategies; one strategy's losses are 2e-5 off at one step of the smaller batch."""
    records = [make_record(s, point={"batch": batch}) for s in ("data", "pipeline") for batch in (16, 32)]
    for record in records:
        if record["point"]["batch"] == 32:
            record["learning"]["curve"]["loss"] = [0.5 - 0.01 * step for step in range(12)]
    records[0]["learning"]["curve"]["loss"][7] += 2e-5
    (figure,) = drawn(loss_by_step.draw, records).values()
    assert [axes.get_title("left") for axes in figure.figure.axes] == ["batch=16", "batch=32"]
    assert "2.0e-05 with batch=16; 0.0e+00 with batch=32" in figure.caption
    assert [len(axes.lines) for axes in figure.figure.axes] == [2, 2]


def test_lines_that_coincide_are_marked_at_other_steps(drawn: Any) -> None:
    (figure,) = drawn(loss_by_step.draw, [make_record(strategy) for strategy in FOUR]).values()
    marked = [set(range(*line.get_markevery()[:1], 12, line.get_markevery()[1])) for line in figure.figure.axes[0].lines]
    assert len(marked) == 4
    assert set.union(*marked) == set(range(12))
    assert sum(map(len, marked)) == 12


# Memory, bytes, predictions


def test_what_ran_out_of_memory_is_marked(drawn: Any) -> None:
    records = [rich_record("data", repeat) for repeat in range(3)]
    records.append(rich_record("data", status="oom", reason="out of memory on rank 3", ranks=4))
    (figure,) = drawn(peak_memory.draw, records).values()
    (axes,) = figure.figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["data n=2", "data n=4"]
    assert [text.get_text() for text in axes.texts] == ["OOM"]
    assert "Out of memory: data n=4." in figure.caption
    bars = sorted(bar.get_width() for bar in axes.patches if bar.get_alpha())
    peaks = [sorted(rich_record("data", r)["memory"]["peak_bytes"][rank] for r in range(3))[1] for rank in (0, 1)]
    assert bars == pytest.approx([peak / 2**20 for peak in peaks])


def test_a_study_that_only_ran_out_of_memory_says_so(drawn: Any) -> None:
    (figure,) = drawn(peak_memory.draw, [rich_record("data", status="oom", reason="out of memory on rank 0")]).values()
    assert [text.get_text() for text in figure.figure.axes[0].texts] == ["OOM"]
    assert figure.caption.endswith("Out of memory: data n=2.")
    assert figure.data["out_of_memory"].all()


def test_six_repeats_have_an_interval_beside_their_bar(drawn: Any) -> None:
    (figure,) = drawn(peak_memory.draw, [rich_record("data", repeat) for repeat in range(6)]).values()
    marks = lines_of(figure.figure.axes[0], marker="|")
    peaks = [rich_record("data", repeat)["memory"]["peak_bytes"][0] / 2**20 for repeat in (0, 5)]
    assert marks[0].get_xdata().tolist() == pytest.approx(peaks)
    assert "95 % intervals by rank" in figure.caption


def test_many_operations_are_summed_and_exceptions_named(drawn: Any) -> None:
    """Three ranks of data parallelism moved 8 bytes more than the formula: the sum differs and a row of its own says where."""
    records = [record for record in paper_study(ranks=(2, 3, 4, 5)) if record["point"]["model"] == "minilm"]
    (odd,) = (r for r in records if (r["point"]["strategy"], r["point"]["ranks"]) == ("data", 3))
    odd["traffic"]["payload_bytes"]["data.all_reduce.backward"] += 8
    (figure,) = drawn(traffic_bars.draw, records).values()
    names = [label.get_text() for label in figure.figure.axes[0].get_yticklabels()]
    assert len(names) == 17
    assert names[1:3] == ["data n=3", "data n=3: data.all_reduce.backward"]
    assert "1 of 32 differs: data.all_reduce.backward of data n=3" in figure.caption
    theory, measured = figure.figure.axes[0].lines
    sequence = names.index("sequence n=2")
    assert theory.get_xdata()[sequence] == pytest.approx((2 * 9_437_184 + 90_264_584) / 1e6)
    assert measured.get_xdata()[1] - theory.get_xdata()[1] == pytest.approx(8e-6)


def test_an_operation_that_theory_does_not_know_is_shown(drawn: Any) -> None:
    record = rich_record("data")
    record["traffic"]["payload_bytes"]["data.broadcast.forward"] = 1000
    (figure,) = drawn(traffic_bars.draw, [record]).values()
    assert "1 of 2 differs: data.broadcast.forward of data n=2" in figure.caption
    assert figure.data.set_index("operation").loc["data.broadcast.forward", "theory_bytes"] == 0


def test_errors_of_predictions(drawn: Any) -> None:
    """Peaks 1.18 times and activations 1.03 times what was predicted: 15.3 % and 2.9 % of the measured; bytes exact. Bubbles
    are shares, so their difference counts."""
    (figure,) = drawn(predicted_measured.draw, [rich_record(strategy) for strategy in FOUR]).values()
    assert [axes.get_title("left") for axes in figure.figure.axes if axes.get_visible()] == [
        "Peak memory of a rank", "Activations of a rank", "Bytes of an operation", "Pipeline schedule", "Pipeline bubble",
    ]  # fmt: skip
    assert "15 % for the peak memory of ranks (n = 7)" in figure.caption
    assert "2.9 % for the activations of ranks (n = 7)" in figure.caption
    assert "0 % for the bytes of operations (n = 5)" in figure.caption
    sides = rich_record("pipeline")["time"]["schedule"]
    late = 100 * (1 - sides["predicted"]["duration_s"] / sides["measured"]["duration_s"])
    wider = 100 * (sides["measured"]["bubble"] - sides["predicted"]["bubble"])
    assert f"{late:.2g} % for the duration of pipeline schedules (n = 1)" in figure.caption
    assert f"{wider:.2g} percentage points for the bubble of pipelines (n = 1)" in figure.caption


def predicted_record(kind: str) -> dict[str, Any]:
    """Half a second and 10 J were predicted of a step."""
    record = rich_record("data", kind=kind)
    ranks = [{"host": "pi-1", "compute_s": 0.5, "exchange_s": 0.0, "wait_s": 0.0}]
    about = {"file": "shelf.json", "made": "2026-11-29", "git": None, "kind": "by parts"}
    record["plan"]["predicted"] = {
        "step_s": 0.5, "step_J": 10.0, "split": "planned", "ranks": ranks, "joules_by_host": {"pi-1": 10.0}, "profile": about,
    }  # fmt: skip
    return record


@pytest.mark.parametrize(("kind", "against"), [("modelled", "Modelled from the run (J)"), ("measured", "Measured (J)")])
def test_time_and_energy_of_a_step_that_a_profile_predicted(kind: str, against: str, drawn: Any) -> None:
    """Joules are only as measured as the record's."""
    record = predicted_record(kind)
    step_s, joules = record["time"]["step_s"]["median"], record["energy"]["per_sample_J"] * record["point"]["batch"]
    (figure,) = drawn(predicted_measured.draw, [record]).values()
    time, energy = figure.figure.axes[:2]
    assert [time.get_title("left"), energy.get_title("left")] == ["Time of a step", "Energy of a step"]
    assert [time.get_xlabel(), energy.get_xlabel()] == ["Measured (s)", against]
    rows = figure.data.set_index("quantity")
    assert rows.loc["step_s", ["predicted", "measured"]].tolist() == pytest.approx([0.5, step_s])
    assert rows.loc["step_J", ["predicted", "measured"]].tolist() == pytest.approx([10.0, joules])
    assert rows.loc["step_s", "of"] == "by shelf.json, planned shares"
    assert f"{100 * abs(0.5 - step_s) / step_s:.2g} % for the time of a step (n = 1)" in figure.caption
    assert ("Energy was not measured" in figure.caption) == (kind == "modelled")


def test_a_prediction_without_watts_is_of_time_alone(drawn: Any) -> None:
    record = predicted_record("modelled")
    record["plan"]["predicted"] |= {"step_J": None, "joules_by_host": None}
    (figure,) = drawn(predicted_measured.draw, [record]).values()
    assert set(figure.data["quantity"]) >= {"step_s"}
    assert "step_J" not in set(figure.data["quantity"])


def test_what_has_no_logarithm_is_counted(drawn: Any) -> None:
    record = rich_record("data")
    record["traffic"]["payload_bytes"] = {"data.all_reduce.backward": 0}
    (figure,) = drawn(predicted_measured.draw, [record]).values()
    assert "Not drawn, since one side is zero: 1 rows of the table." in figure.caption
    assert len(figure.figure.axes[0].lines[0].get_xdata()) == 2


# Steps


def test_every_step_of_every_repeat_is_a_point(drawn: Any) -> None:
    records = [rich_record(s, repeat) for s in FOUR for repeat in range(3)]
    records[0]["time"]["step_s"]["values"] = [1 + 0.01 * step**2 for step in range(12)]
    (figure,) = drawn(step_time_spread.draw, records).values()
    (axes,) = figure.figure.axes
    dots = np.concatenate([found.get_offsets()[:, 0] for found in axes.collections])
    assert sorted(dots) == pytest.approx(sorted(figure.data["step_s"]))
    assert len(dots) == 4 * 3 * 12
    boxes = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    first, third = np.quantile(figure.data[figure.data["label"] == "single"]["step_s"], [0.25, 0.75])
    assert boxes[0] == (pytest.approx(first), pytest.approx(third - first))


def test_schedules_have_letters_of_print_size(drawn: Any) -> None:
    (figure,) = drawn(schedule_gantt.draw, [rich_record("pipeline")]).values()
    sizes = {text.get_fontsize() for axes in figure.figure.axes for text in axes.texts}
    assert sizes == {8.0}
