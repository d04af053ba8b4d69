"""Failures in the report: the timeline, the parts of the recovery, the table, and what other figures make of such records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analysis.figures import breakdown, failure_timeline, power_over_time
from analysis.page.answer.answer_text import answers
from analysis.plotting.figure_style import close
from analysis.plotting.page_layouts import LAYOUTS
from analysis.study.study import load_study
from analysis.tables.failure_table import failures
from bench.record.record_file import problem
from tests.analysis.made_studies import failing_record, rich_record, with_traces
from tests.analysis.print_ready import assert_print_ready
from tests.analysis.studies import drawn_by, study


def records(repeats: int = 3, **changes: Any) -> list[dict[str, Any]]:
    return [failing_record(strategy, repeat, **changes) for repeat in range(repeats) for strategy in ("data", "pipeline")]


def test_made_records_are_records() -> None:
    assert [problem(record) for record in records(1)] == [None, None]


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_the_timeline(layout: Any, tmp_path: Path) -> None:
    """Steps, copies and parts of the recovery in seconds from the failure; power of four boards before, of three after."""
    found = failure_timeline.draw(load_study(with_traces(tmp_path / "study", records())), layout)
    (drawn,) = found
    assert_print_ready(drawn, layout)
    close(drawn)
    assert drawn.name == "failure_timeline_modelled"
    data = drawn.data[drawn.data["label"] == "pipeline n=4"]
    parts = {row.what: (row.start_s, row.end_s) for row in data.itertuples() if not row.what.startswith(("step", "power"))}
    assert parts == {
        "copy": (-5.0, -4.0), "notice": (0, 0.25), "shrink": (0.25, 0.375), "rebuild": (0.375, 0.875), "redo": (0.875, 2.875),
    }  # fmt: skip
    assert [tuple(row) for row in data[data["what"] == "copy"][["start_s", "end_s"]].to_numpy()] == [(-14, -13), (-5, -4)]
    steps = data[data["what"].str.startswith("step")]
    assert list(steps["samples_per_s"].astype(float).round(6).unique()) == [64, 128, 51.2]
    watts = data[data["what"] == "power"]
    before, after = watts[watts["start_s"] < 0]["power_W"], watts[watts["start_s"] >= 0]["power_W"]
    assert before.min() > 26 > after.max()
    assert watts["end_s"].max() > 10
    assert "pipeline n=4: rank 3 on pi-4, 8 steps lost, 2.9 s until the others trained on" in drawn.caption
    assert drawn.caption.count("rank 3 on pi-4") == 2
    assert "modelled" in drawn.caption


def test_without_a_trace_there_is_no_power() -> None:
    (drawn,) = drawn_by(failure_timeline.draw, records(1))
    assert len(drawn.figure.axes) == 2
    assert "Power" not in drawn.caption
    assert drawn.data["power_W"].isna().all()


def test_the_parts_of_the_recovery_add_up() -> None:
    """Means over repeats, of which the first takes 2 s for the lost steps, the others 3 s and 4 s; 15 W."""
    time, energy = drawn_by(breakdown.draw_recovery, records())
    assert (time.name, energy.name) == ("failure_time_modelled", "failure_energy_modelled")
    row = time.data[time.data["label"] == "data n=4"].iloc[0]
    parts = [row[f"recovery_{part}_s"] for part in ("notice", "shrink", "rebuild", "redo")]
    assert parts == pytest.approx([0.25, 0.125, 0.5, 3.0])
    joules = energy.data[energy.data["label"] == "data n=4"].iloc[0]
    assert joules["recovery_redo_J"] == pytest.approx(45)
    assert "modelled" in energy.figure.axes[0].get_xlabel()


def test_no_energy_and_no_failure() -> None:
    (time,) = drawn_by(breakdown.draw_recovery, records(1, kind="none"))
    assert time.name == "failure_time_none"
    plain = [rich_record("data", repeat) for repeat in range(2)]
    assert drawn_by(breakdown.draw_recovery, plain) == drawn_by(failure_timeline.draw, plain) == []
    assert failures(study(plain)) is None
    # Beside points in which nothing failed, those are not drawn as if they had recovered at once.
    time, _ = drawn_by(breakdown.draw_recovery, [*records(1), *plain])
    assert list(time.data["label"]) == ["data n=4", "pipeline n=4"]
    assert "Not known for: data n=2." in time.caption


def test_the_table() -> None:
    table = failures(study(records(6)))
    assert table is not None
    assert list(table.data["configuration"]) == ["data n=4", "pipeline n=4"]
    row = table.data.iloc[1]
    # Repeats take 2.875 s to 7.875 s; six give an interval of the median, from the first to the last.
    assert (row["n"], row["recovery_s"], row["recovery_s_low"], row["recovery_s_high"]) == (6, 5.375, 2.875, 7.875)
    assert row["recovery_J"] == pytest.approx(15 * 5.375)
    assert (row["lost_steps"], row["copy_MB"], row["copy_s"]) == (8, 270, 1.0)
    assert table.data.iloc[0]["copy_MB"] == 0
    assert row["copies"] == pytest.approx(32 * 24 / 14)
    assert row["after"] == pytest.approx(51.2)
    assert row["after_J"] == pytest.approx(15 * 12.5 / 640)
    assert "modelled, after the failure that of the boards that are left" in table.caption
    none = failures(study(records(1, kind="none")))
    assert none is not None
    assert not [column for column in none.columns if column.unit.startswith("J")]


def test_the_answer_in_words() -> None:
    (found,) = answers(study(records(6)))
    assert found.others[-1] == (
        "pipeline n=4: after a rank was killed the other 3 trained on within 5.38 s and 80.6 J (modelled), 8 lost steps done "
        "again (95 % interval 2.88 to 7.88 s, n = 6)."
    )
    (found,) = answers(study(records(1, kind="none")))
    assert found.others[-1].endswith("trained on within 2.88 s, 8 lost steps done again (one repeat).")
    (found,) = answers(study([rich_record("data"), rich_record("single")]))
    assert not any("killed" in sentence for sentence in found.others)


def test_two_ranks_that_fail_are_two_configurations() -> None:
    other = failing_record("data")
    other["point"] |= {"hash": "another", "name": "another", "fault": {**other["point"]["fault"], "rank": 2}}
    (drawn,) = drawn_by(failure_timeline.draw, [failing_record("data"), other])
    assert list(dict.fromkeys(drawn.data["label"])) == ["data n=4 fault.rank=2", "data n=4 fault.rank=3"]


def test_power_over_time_ends_with_the_board_that_failed(tmp_path: Path) -> None:
    """A sum of all boards needs all of them."""
    found = power_over_time.draw(load_study(with_traces(tmp_path / "study", records(1))), LAYOUTS["ieee"])
    (drawn,) = found
    close(drawn)
    assert drawn.data["time_s"].max() == pytest.approx(44.0 - 2.0, abs=0.5)
