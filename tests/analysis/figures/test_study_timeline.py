"""What ran when: segments at the times of the records, failures marked, drift against each configuration's own median."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pandas as pd
import pytest
from matplotlib.dates import date2num

from analysis.figures.study_timeline import STATUSES, draw, time_ticks
from analysis.plotting.figure_style import DrawnFigure, close
from analysis.plotting.page_layouts import IEEE, LAYOUTS, Layout
from strategies.base import appearances
from tests.analysis.print_ready import assert_print_ready
from tests.analysis.studies import drawn_by, study
from tests.records import make_record

BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


def drawn(records: Sequence[dict[str, Any]], layout: Layout = IEEE) -> list[DrawnFigure]:
    return drawn_by(draw, records, layout)


def at(record: dict[str, Any], minutes: float, lasted_s: float = 60.0) -> dict[str, Any]:
    begin = BEGIN + timedelta(minutes=minutes)
    record["environment"] |= {"started": begin.isoformat(), "finished": (begin + timedelta(seconds=lasted_s)).isoformat()}
    return record


def campaign(repeats: int = 3) -> list[dict[str, Any]]:
    """Two configurations in turn, every two minutes; the second repeat of data runs out of time."""
    runs = []
    for repeat in range(repeats):
        runs.append(at(make_record("single", repeat), 4 * repeat))
        status = {"status": "timeout", "reason": "no end after 600 s"} if repeat == 1 else {}
        runs.append(at(make_record("data", repeat, **status), 4 * repeat + 2, lasted_s=90))
    return runs


def test_segments_stand_at_the_times_of_their_records() -> None:
    (found,) = drawn(campaign())
    axes = found.figure.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["single", "data n=2"]
    begins = [date2num(BEGIN + timedelta(minutes=minutes)) for minutes in (0, 4, 8, 2, 6, 10)]
    assert [bar.get_x() for bar in axes.patches] == pytest.approx(begins, abs=1e-9)
    assert [86400 * bar.get_width() for bar in axes.patches] == pytest.approx([60] * 3 + [90] * 3, abs=1e-3)
    rows = [round(bar.get_y() + bar.get_height() / 2, 6) for bar in axes.patches]
    assert rows == [0, 0, 0, 1, 1, 1]
    assert found.figure.axes[-1].get_xlabel() == "Time of day on 2026-03-01 (UTC)"
    assert "6 points over civil time" in found.caption


def test_failures_have_a_mark_and_a_reason() -> None:
    (found,) = drawn(campaign())
    (mark,) = found.figure.axes[0].lines
    assert mark.get_marker() == STATUSES["timeout"]["marker"]
    assert mark.get_xdata()[0] == pytest.approx(date2num(BEGIN + timedelta(minutes=6, seconds=45)))
    assert mark.get_ydata()[0] == 1
    row = found.data[found.data["status"] == "timeout"].iloc[0]
    assert row[["label", "repeat", "reason", "duration_s"]].tolist() == ["data n=2", 1, "no end after 600 s", 90.0]
    assert row["started"] == "2026-03-01T12:06:00+00:00"
    assert "5 ok, 1 timeout" in found.caption
    assert {text.get_text() for text in found.figure.legends[0].get_texts()} == {"ok", "timeout", "single", "data"}


def test_every_status_has_a_marker_that_no_strategy_has() -> None:
    assert set(STATUSES) == {"invalid", "oom", "timeout", "failed", "interrupted"}
    markers = [sign["marker"] for sign in STATUSES.values()]
    strategies = [look.marker for look in appearances().values()]
    assert len({*markers, *strategies}) == len(markers) + len(strategies)
    runs = [at(make_record("data", n, status, "why"), 2 * n) for n, status in enumerate(STATUSES)]
    (found,) = drawn(runs)
    assert [line.get_marker() for line in found.figure.axes[0].lines] == markers
    assert len(found.figure.axes) == 1
    assert "a drift cannot be seen" in found.caption


def test_drift_is_against_the_median_of_the_own_configuration() -> None:
    """Repeats take 1, 1.02 and 1.04 times as long in ten steps: 102 %, 100 % and 98.08 % of the median. With two good repeats
    the median lies between them. What is invalid is no part of it."""
    runs = [at(make_record("single", r, steps=10), 2 * r) for r in range(3)]
    runs += [at(make_record("data", r, steps=10, samples_per_s=rate), 10 + 2 * r) for r, rate in ((0, 50.0), (1, 30.6))]
    runs.append(at(make_record("data", 2, "invalid", "hot", samples_per_s=500.0), 20))
    (found,) = drawn(runs)
    shares = found.data["of_median_percent"]
    assert shares.tolist()[:3] == pytest.approx([102, 100, 100 * 1.02 / 1.04])
    assert shares.tolist()[3:5] == pytest.approx([125, 75])
    assert pd.isna(shares.tolist()[5])
    points = [line for line in found.figure.axes[1].lines if line.get_linestyle() == "None"]
    assert sorted(y for line in points for y in line.get_ydata()) == pytest.approx(sorted(shares.dropna()))


def test_one_repeat_of_each_shows_no_drift() -> None:
    (found,) = drawn([at(make_record("single"), 0), at(make_record("data"), 2)])
    assert len(found.figure.axes) == 1
    assert found.data["of_median_percent"].isna().all()
    assert "No configuration has several good repeats" in found.caption


def test_points_without_times_are_counted() -> None:
    runs = campaign()
    del runs[0]["environment"]["started"]
    runs[2]["environment"]["finished"] = "yesterday"
    (found,) = drawn(runs)
    assert len(found.data) == 4
    assert "Left out: 2 points whose records do not say when they ran" in found.caption
    assert len(found.points) == 4
    assert drawn([make_record("data"), make_record("single")]) == []


def test_many_configurations_share_the_row_of_their_strategy() -> None:
    runs = [at(make_record(s, point={"batch": n}), n) for n in range(1, 31) for s in ("data", "pipeline")]
    (found,) = drawn(runs)
    assert [tick.get_text() for tick in found.figure.axes[0].get_yticklabels()] == ["data", "pipeline"]
    assert "The 60 configurations of each strategy share a row" in found.caption
    assert found.data["label"].nunique() == 60


@pytest.mark.parametrize(
    ("lasts_s", "step_s"), [(7, 2), (60, 15), (3600, 900), (5 * 3600, 7200), (40 * 3600, 43200), (30 * 86400, 8 * 86400)]
)
def test_ticks_are_round_times(lasts_s: float, step_s: float) -> None:
    """At most five, as fine as that allows: an hour has quarters of an hour."""
    begin = pd.Timestamp(BEGIN)
    ticks = time_ticks(begin, begin + pd.Timedelta(seconds=lasts_s), 5)
    assert 2 <= len(ticks) <= 5
    assert {round(86400 * (b - a)) for a, b in itertools.pairwise(ticks)} == {step_s}
    assert all(round(86400 * tick) % step_s == 0 for tick in ticks)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_ready_for_print(layout: Layout) -> None:
    """A campaign of an hour with everything that goes wrong; one over days; one of seconds; long names."""
    statuses = ["ok", "ok", *STATUSES]
    cases: list[list[dict[str, Any]]] = [campaign(2), [], [], []]
    for number in range(42):
        status, strategy = statuses[number % 7], ("single", "data", "tensor", "pipeline")[number % 4]
        about = {"status": status, "reason": None if status == "ok" else "why"}
        cases[1].append(at(make_record(strategy, number // 8, ranks=1 if strategy == "single" else 2, **about), number))
        cases[2].append(at(make_record(strategy, number // 8), 300 * number))
    for number in range(36):
        about = {"options": {"schedule": f"schedule-{number % 3}", "virtual_stages": number}, "batch": number}
        cases[3].append(at(make_record("pipeline", point=about), number / 12, lasted_s=4))
    for runs in cases:
        (found,) = draw(study(runs), layout)
        assert_print_ready(found, layout)
        close(found)
