"""Replication: what the weights took, what the links allow, and how much training costs as much."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from analysis.figures.replication_cost import draw
from analysis.plotting.figure_style import DrawnFigure, close
from analysis.plotting.page_layouts import IEEE, LAYOUTS, Layout
from tests.analysis.print_ready import assert_print_ready
from tests.analysis.studies import drawn_by, study_of
from tests.records import make_record

RATE = 8e6


def sent(
    strategy: str = "data", repeat: int = 0, seconds: float = 20.0, megabytes: float = 30.0, joules: float | None = 100.0,
    rates: Sequence[float] = (RATE,) * 4, **changes: Any,
) -> dict[str, Any]:  # fmt: skip
    """Weights that came over links of 1 MB/s to three other boards; repeats are a second slower each."""
    hosts = [f"pi-{i}" for i in range(4)]
    links = [
        {"host": host, "switch": None, "name": "slow", "rate_bit_s": rate, "delay_s": None, "loss": None}
        for host, rate in zip(hosts, rates, strict=True)
    ]
    point = {"hosts": hosts, "network": {"kind": "emulated", "links": links, "uplink": None}, **changes.pop("point", {})}
    record = make_record(strategy, repeat, **{"ranks": 4, "samples_per_s": 40.0, "watts": 20.0, **changes}, point=point)
    record["replication"] = {
        "seconds": seconds + repeat, "payload_bytes": int(1e6 * megabytes), "kind": record["energy"]["kind"], "joules": joules,
        "uncertainty_J": 1.0, "quality": "interpolated",
    }  # fmt: skip
    return record


def drawn(records: Sequence[dict[str, Any]], layout: Layout = IEEE) -> list[DrawnFigure]:
    return drawn_by(draw, records, layout)


def test_links_bound_the_time() -> None:
    """30 MB at 1 MB/s: 30 s if rank 0 sends all of it, 10 s if each byte leaves it once for three others."""
    (figure,) = drawn([sent(rates=(RATE, 1e9, 1e9, 1e6))])
    (row,) = figure.data.to_dict("records")
    assert row["alone_s"] == pytest.approx(30, rel=1e-12)
    assert row["least_s"] == pytest.approx(10, rel=1e-12)
    heights = [line.get_ydata()[0] for line in figure.figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert heights == pytest.approx([10, 30], rel=1e-12)
    assert "rank 0's link" in figure.caption


def test_there_is_no_bound_where_bytes_need_no_link_or_links_are_not_known() -> None:
    shared = sent("data", point={"hosts": ["pi-0", "pi-1"]})
    unknown = sent("pipeline", point={"network": None})
    (figure,) = drawn([shared, unknown])
    assert figure.data[["alone_s", "least_s"]].isna().all(axis=None)
    assert "No bound where links are not known or ranks share a host: data n=4, pipeline n=4." in figure.caption
    assert figure.figure.legends == []


def test_as_much_training_is_counted_in_samples_and_steps() -> None:
    """100 J at 0.5 J per sample are 200 samples, in steps of 32 they are 6.25; 20 s at 0.8 s are 25 steps."""
    record = sent()
    record["energy"]["per_sample_J"] = 0.5
    (figure,) = drawn([record])
    assert "data n=4: 20 s, as long as 25 steps; 100 J, as much as 200 samples or 6.25 steps of training" in figure.caption
    assert figure.data["as_many_samples"].tolist() == pytest.approx([200], rel=1e-12)
    assert figure.data["as_many_steps"].tolist() == pytest.approx([6.25], rel=1e-12)


def test_bars_are_medians_with_every_repeat() -> None:
    records = [
        sent(strategy, repeat, seconds) for repeat in range(3) for strategy, seconds in (("data", 20.0), ("pipeline", 8.0))
    ]
    (figure,) = drawn(records)
    time, received, energy = figure.figure.axes
    assert [bar.get_height() for bar in time.patches] == [21.0, 9.0]
    assert [bar.get_height() for bar in received.patches] == pytest.approx([30.0, 30.0])
    assert [bar.get_height() for bar in energy.patches] == [100.0, 100.0]
    assert sum(len(line.get_xdata()) for line in time.lines if line.get_markersize() == 2.5) == 6
    assert energy.get_ylabel() == "Energy (J), modelled"
    assert [axes.get_ylim()[0] for axes in figure.figure.axes] == [0, 0, 0]
    assert "There are n = 3 repeats: too few" in figure.caption
    (six,) = drawn([sent(repeat=repeat) for repeat in range(6)])
    assert len(six.figure.axes[0].collections) == 1


def test_joules_that_are_not_known_are_said_not_to_be() -> None:
    (figure,) = drawn([sent(), sent("tensor", joules=None)])
    assert "its energy is not known: tensor n=4" in figure.caption
    assert [text.get_text() for text in figure.figure.axes[2].texts] == ["not known"]
    (none,) = drawn([sent(joules=None, kind="none")])
    assert len(none.figure.axes) == 2
    assert "no energy was asked for" in none.caption
    assert "as long as 25 steps." in none.caption


def test_only_points_that_sent_weights_are_drawn_and_kinds_apart() -> None:
    assert drawn([make_record("data")]) == []
    (figure,) = drawn([sent(), make_record("pipeline")])
    assert set(figure.data["label"]) == {"data n=4"}
    found = drawn([sent(), sent(kind="measured")])
    assert [set(own.data["kind"]) for own in found] == [{"measured"}, {"modelled"}]


@pytest.mark.parametrize("name", LAYOUTS)
def test_it_goes_into_a_paper_as_it_is(name: str) -> None:
    few = [sent(strategy, repeat) for repeat in range(6) for strategy in ("data", "tensor", "pipeline")]
    few.append(sent("sequence", joules=None))
    many = [sent(strategy, point={"batch": batch}) for batch in range(8, 28) for strategy in ("data", "tensor", "pipeline")]
    found = [figure for records in (few, many) for figure in draw(study_of("t", Path("t"), records, []), LAYOUTS[name])]
    assert sum(len(figure.data) for figure in found) == 19 + 60
    for figure in found:
        assert_print_ready(figure, LAYOUTS[name])
        close(figure)
