"""The Gantt figure of a pipeline's schedule: what it shows, and that nothing in it overlaps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from analysis.figures.schedule_gantt import draw
from analysis.plotting.figure_style import DrawnFigure, close, drawing
from analysis.plotting.page_layouts import IEEE
from analysis.study.configuration_labels import short_label
from analysis.study.study import Study
from analysis.study.study_record import in_study
from bench.record.record import Record
from tests.records import make_record


def drawn(*records: dict[str, Any]) -> list[DrawnFigure]:
    """Figures of records that have one label by their strategy and ranks, in the order of their repeats."""
    typed = [Record.from_dict(record) for record in records]
    found = draw(Study("test", Path("test"), tuple(in_study(r, short_label(r.point), None) for r in typed), ()), IEEE)
    for figure in found:
        close(figure)
    return found


def test_both_panels_are_there_and_the_table_has_every_interval() -> None:
    record = make_record("pipeline", schedule=True)
    (found,) = drawn(record)
    schedule = record["time"]["schedule"]
    assert found.name == f"schedule_interleaved_{record['point']['hash']}"
    assert "step 7" in found.caption
    assert "free messages" in found.caption
    assert list(found.data.columns) == ["panel", "rank_or_stage", "action", "start_s", "end_s"]
    for panel, axes in zip(("predicted", "measured"), found.figure.axes, strict=True):
        side = schedule[panel]
        rows = found.data[found.data["panel"] == panel]
        assert rows.drop(columns="panel").to_numpy().tolist() == side["intervals"]
        title = f"{panel.capitalize()}: bubble {100 * side['bubble']:.1f} % of {side['duration_s']:.3g} s"
        assert axes.get_title("left") == title
        assert [bar.get_x() for bar in axes.patches] == [start for _, _, start, _ in side["intervals"]]
        assert [bar.get_width() for bar in axes.patches] == [end - start for _, _, start, end in side["intervals"]]
    above, below = found.figure.axes
    assert above.get_xlim() == below.get_xlim()
    assert [label.get_text() for label in above.get_yticklabels()] == ["stage 0", "stage 1"]
    assert [label.get_text() for label in below.get_yticklabels()] == ["rank 0", "rank 1"]


def test_kinds_differ_by_hatch_and_virtual_stages_by_tone() -> None:
    (found,) = drawn(make_record("pipeline", schedule=True))
    bars = found.figure.axes[0].patches
    rows = found.data[found.data["panel"] == "predicted"]
    looks = {action: (bar.get_facecolor(), bar.get_hatch()) for action, bar in zip(rows["action"], bars, strict=True)}
    assert len({looks[action] for action in ("F0", "F0.1", "B0", "B0.1")}) == 4
    assert looks["F0"] == looks["F1"]
    assert looks["F0"][1] == looks["F0.1"][1] != looks["B0"][1]
    shown = [text.get_text() for text in found.figure.legends[0].get_texts()]
    assert sorted(shown) == ["backward", "forward", "virtual stage 0", "virtual stage 1"]


def test_numbers_stay_inside_their_bars_and_the_legend_outside_the_data() -> None:
    """A bar too narrow for its number has none."""
    record = make_record("pipeline", schedule=True)
    record["time"]["schedule"]["measured"]["intervals"].append([1, "F19", 0.0, 0.001])
    (found,) = drawn(record)
    with drawing(IEEE):
        found.figure.draw_without_rendering()
    for axes in found.figure.axes:
        for bar, text in zip(axes.patches, axes.texts, strict=True):
            box, inner = bar.get_window_extent(), text.get_window_extent()
            assert not text.get_visible() or (box.x0 <= inner.x0 and inner.x1 <= box.x1)
    below = found.figure.axes[1].texts
    assert [text.get_text() for text in below if not text.get_visible()] == ["19"]
    legend = found.figure.legends[0].get_window_extent()
    assert legend.y0 >= found.figure.axes[0].get_tightbbox().y1


def test_one_figure_for_each_configuration_of_its_first_good_repeat() -> None:
    records = [make_record("pipeline", repeat, schedule=True) for repeat in range(3)]
    records[0]["status"] = "invalid"
    other = make_record("pipeline", schedule=True)
    other["point"]["hash"] = "other"
    found = drawn(*records, other, make_record("data"), make_record("pipeline"))
    assert [figure.name for figure in found] == ["schedule_interleaved_other", "schedule_interleaved_pipemode"]
    assert "(repeat 0)" in found[0].caption
    assert "(repeat 1)" in found[1].caption
    assert found[1].data["end_s"].max() == records[1]["time"]["schedule"]["measured"]["duration_s"]


def test_ranks_name_the_stage_that_they_share() -> None:
    record = make_record("pipeline", schedule=True)
    measured = record["time"]["schedule"]["measured"]["intervals"]
    measured += [[2, *interval[1:]] for interval in measured if interval[0] == 1]
    record["plan"]["placement"] = [{"rank": rank, "stage": [stage, 2]} for rank, stage in enumerate((0, 1, 1))]
    (found,) = drawn(record)
    labels = [label.get_text() for label in found.figure.axes[1].get_yticklabels()]
    assert labels == ["rank 0, stage 0", "rank 1, stage 1", "rank 2, stage 1"]
