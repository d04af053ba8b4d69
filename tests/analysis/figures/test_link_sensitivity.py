"""Links: crossings are where two lines meet between measured levels and nowhere else, and the figure says how sure they are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.figures.link_sensitivity import draw, spread_out
from analysis.plotting.figure_style import DrawnFigure, close
from analysis.plotting.page_layouts import IEEE, LAYOUTS, Layout
from analysis.statistics.crossing_points import Crossing, certain_range, crossings, how_sure
from analysis.statistics.repeat_summary import Summary, summarise
from tests.analysis.print_ready import assert_print_ready
from tests.analysis.studies import drawn_by, study_of
from tests.records import make_record

RATES = {"wifi-4": 0.5e8, "ethernet-100m": 1e8, "wifi-5": 4e8, "ethernet-1g": 10e8}
EXACT = 1e-9


def network(name: str, rate: float, delay: float | None = None, kind: str = "emulated") -> dict[str, Any]:
    links = [
        {"host": f"pi-{i}", "switch": None, "name": name, "rate_bit_s": rate, "delay_s": delay, "loss": None} for i in range(4)
    ]
    return {"kind": kind, "links": links, "uplink": None}


def of_laws(repeats: int = 1, rates: dict[str, float] | None = None, **changes: Any) -> list[dict[str, Any]]:
    """A step of data parallelism takes 2 / r s at r times 100 Mbit/s and 20 W, one of a pipeline 1 / r^0.25 s and 10 W."""
    found = []
    for repeat in range(repeats):
        for name, rate in (rates or RATES).items():
            r = rate / 1e8
            for strategy, step, watts in (("data", 2 / r, 20.0), ("pipeline", r**-0.25, 10.0)):
                point = {"network": network(name, rate), **changes.get("point", {})}
                own = {**changes, "samples_per_s": 32 / step, "watts": watts, "point": point}
                found.append(make_record(strategy, repeat, ranks=4, **own))
    return found


def drawn(records: Sequence[dict[str, Any]], layout: Layout = IEEE) -> list[DrawnFigure]:
    return drawn_by(draw, records, layout)


def test_two_power_laws_cross_where_they_do() -> None:
    """4 / x and 2 / sqrt(x) are equal at x = 4, where both are 1: between the levels 3 and 9."""
    x = [1.0, 3.0, 9.0, 27.0]
    (found,) = crossings(x, [4 / v for v in x], [2 / v**0.5 for v in x])
    assert found.x == pytest.approx(4, rel=EXACT)
    assert found.y == pytest.approx(1, rel=EXACT)
    assert (found.low_x, found.high_x, found.one_below) == (3, 9, False)


def test_a_line_that_begins_at_zero_is_interpolated_in_x_itself() -> None:
    """1 to 4 against 4 to 1 over x = 0 to 10: half way, at the geometric mean of 1 and 4."""
    (found,) = crossings([0.0, 10.0], [1.0, 4.0], [4.0, 1.0], log_x=False)
    assert found.x == pytest.approx(5, rel=EXACT)
    assert found.y == pytest.approx(2, rel=EXACT)


def test_nothing_crosses_beyond_the_levels_or_by_touching() -> None:
    assert crossings([1, 2, 3], [1.0, 2.0, 3.0], [2.0, 3.0, 4.0]) == []
    assert crossings([1, 2], [4.0, 3.0], [2.0, 2.0]) == [], "they would meet at about 5"
    assert crossings([1, 2, 3], [1.0, 2.0, 1.0], [2.0, 2.0, 2.0]) == [], "touches at 2 and turns back"
    assert crossings([1, 2], [1.0, 2.0], [1.0, 3.0]) == [], "equal at the first level: what is before is not known"
    assert crossings([1.0], [1.0], [2.0]) == []


def test_equal_at_a_level_is_a_crossing_there() -> None:
    assert crossings([1, 2, 4], [1.0, 5.0, 9.0], [3.0, 5.0, 7.0]) == [Crossing(2, 5.0, 2, 2, True)]
    several = crossings([1, 2, 4, 8], [1.0, 5.0, 6.0, 9.0], [3.0, 5.0, 6.0, 7.0])
    assert several == [Crossing(4, 6.0, 2, 4, True)], "equal from 2 to 4: from 4 on the other is smaller"


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=2, max_size=9))
def test_crossings_alternate_and_lie_between_their_levels(values: list[tuple[float, float]]) -> None:
    x = [2.0**i for i in range(len(values))]
    one, other = [a for a, _ in values], [b for _, b in values]
    found = crossings(x, one, other)
    assert all(c.low_x <= c.x <= c.high_x for c in found)
    assert all(a.one_below != b.one_below for a, b in itertools.pairwise(found))
    mirrored = crossings(x, other, one)
    assert [c.one_below for c in mirrored] == [not c.one_below for c in found]
    assert [c.x for c in mirrored] == pytest.approx([c.x for c in found])


@pytest.mark.parametrize(
    ("x", "one", "words"),
    [([1.0, 1.0], [1.0, 2.0], "must rise"), ([1.0, 2.0], [0.0, 2.0], "must be positive"), ([1.0], [1.0, 2.0], "1 levels")],
)
def test_what_cannot_be_interpolated_is_refused(x: list[float], one: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        crossings(x, one, [3.0, 1.0])


def summary(median: float, low: float, high: float, n: int = 6) -> Summary:
    return Summary(median, low if n >= 6 else None, high if n >= 6 else None, low, high, n)


def test_intervals_give_a_range_of_the_crossing() -> None:
    """4 / x meets 1 at x = 4. If it may be 10 % more or less, at 4.4 or at 4 / 1.1."""
    x, flat = [2.0, 8.0], [summary(1, 1, 1)] * 2
    falling = [summary(4 / v, 4 / v / 1.1, 4 / v * 1.1) for v in x]
    (at,) = crossings(x, [4 / v for v in x], [1, 1])
    for one, other, crossing in ((falling, flat, at), (flat, falling, Crossing(at.x, at.y, 2, 8, True))):
        assert certain_range(x, one, other, crossing) == pytest.approx((4 / 1.1, 4.4), rel=EXACT)
    assert how_sure(x, falling, flat, at, "{:.2f} Mbit/s".format) == "between 3.64 Mbit/s and 4.40 Mbit/s by 95 % intervals"


def test_a_crossing_is_not_shown_where_intervals_overlap_beside_it() -> None:
    x = [2.0, 8.0]
    falling = [summary(2, 0.9, 2.1), summary(0.5, 0.4, 0.6)]
    (at,) = crossings(x, [2, 0.5], [1, 1])
    flat = [summary(1, 1, 1)] * 2
    assert certain_range(x, falling, flat, at) is None
    assert "not shown" in how_sure(x, falling, flat, at, str)


def test_a_crossing_at_a_level_is_judged_by_the_levels_beside_it() -> None:
    """8 / x^1.5 is 1 at the level 4; if it may be 10 % off, x = 4 times 1.1^(2/3)."""
    x = [1.0, 4.0, 16.0]
    falling = [summary(v, v / 1.1, v * 1.1) for v in (8.0, 1.0, 0.125)]
    flat = [summary(1, 1, 1)] * 3
    (at,) = crossings(x, [8.0, 1.0, 0.125], [1, 1, 1])
    assert (at.low_x, at.high_x) == (4, 4)
    assert certain_range(x, falling, flat, at) == pytest.approx((4 / 1.1 ** (2 / 3), 4 * 1.1 ** (2 / 3)), rel=EXACT)


def test_fewer_repeats_say_whether_they_agree_and_one_says_nothing() -> None:
    x = [2.0, 8.0]
    (at,) = crossings(x, [2, 0.5], [1, 1])
    few = [summary(2, 1.8, 2.2, n=3), summary(0.5, 0.4, 0.6, n=3)]
    flat = [summary(1, 0.9, 1.1, n=3)] * 2
    assert how_sure(x, few, flat, at, str) == "all repeats agree that the lines cross"
    wide = [summary(2, 1.0, 2.2, n=3), few[1]]
    assert "not shown" in how_sure(x, wide, flat, at, str)
    assert "one repeat" in how_sure(x, [summarise([2.0]), few[1]], flat, at, str)


def test_time_and_energy_cross_at_different_rates() -> None:
    """2 / r = 1 / r^0.25 at r = 2^(4/3); with twice the watts the energies are equal at 4^(4/3)."""
    (figure,) = drawn(of_laws())
    found = figure.data[figure.data["row"] == "crossing"]
    assert found["letter"].tolist() == ["A", "B"]
    assert found["link_rate_bit_s"].tolist() == pytest.approx([1e8 * 2 ** (4 / 3), 1e8 * 4 ** (4 / 3)], rel=EXACT)
    assert found["step_s"].iloc[0] == pytest.approx(2 ** (-1 / 3), rel=EXACT)
    assert found["better_below"].tolist() == ["pipeline", "pipeline"]
    assert found[["between_link_rate_bit_s", "and_link_rate_bit_s"]].to_numpy().tolist() == [[1e8, 4e8], [4e8, 10e8]]
    assert "A, time per step: below 252 Mbit/s pipeline is better, above data" in figure.caption
    assert "B, energy per sample: below 635 Mbit/s" in figure.caption
    assert "modelled" in figure.caption
    assert "one repeat" in figure.caption
    points = figure.data[figure.data["row"] == "point"]
    assert len(points) == 8
    assert len(figure.points) == 8


def test_seven_repeats_say_between_which_rates() -> None:
    (figure,) = drawn(of_laws(7))
    found = figure.data[figure.data["row"] == "crossing"]
    assert "by 95 % intervals" in found["how_sure"].iloc[0]
    assert "rank" in figure.caption


def test_throughput_is_compared_where_steps_have_different_samples() -> None:
    """More is better there: the same winner."""
    records = of_laws()
    for record in records:
        if record["point"]["strategy"] == "pipeline":
            record["point"]["batch"] = 16
    (figure,) = drawn(records)
    (found,) = figure.data[(figure.data["row"] == "crossing") & figure.data["samples_per_s"].notna()].to_dict("records")
    assert (found["better_below"], found["better_above"]) == ("pipeline", "data")
    assert found["link_rate_bit_s"] == pytest.approx(1e8 * 2 ** (4 / 3), rel=EXACT)


def test_lines_that_do_not_cross_are_said_not_to() -> None:
    (figure,) = drawn(of_laws(rates={"a": 6.5e8, "b": 8e8, "c": 10e8}))
    assert "row" in figure.data
    assert set(figure.data["row"]) == {"point"}
    assert "No two lines cross in time per step" in figure.caption


def test_two_levels_are_not_joined_and_circumstances_are_not_compared() -> None:
    (two,) = drawn(of_laws(rates={"a": 1e8, "b": 4e8}))
    joined = [
        line for line in two.figure.axes[0].lines if line.get_linestyle() not in ("None", ":") and len(line.get_xdata()) == 2
    ]
    assert [line for line in joined if line.get_marker() != "None"] == []
    other = [record for record in of_laws(point={"seq": 128}) if record["point"]["strategy"] == "pipeline"]
    mixed = [record for record in of_laws() if record["point"]["strategy"] == "data"] + other
    (figure,) = drawn(mixed)
    assert len(figure.data[figure.data["row"] == "crossing"]) == 2, "the length follows the strategy: one comparison"
    longer = of_laws() + of_laws(point={"seq": 128})
    (figure,) = drawn(longer)
    pairs = figure.data[figure.data["row"] == "crossing"][["better_below", "better_above"]]
    assert {tuple(pair) for pair in pairs.to_numpy()} == {
        ("pipeline seq=64", "data seq=64"),
        ("pipeline seq=128", "data seq=128"),
    }


def test_an_emulated_link_without_delay_is_a_delay_of_zero() -> None:
    records = []
    for delay in (None, 0.002, 0.01):
        for strategy, step in (("data", 0.5 + 100 * (delay or 0)), ("pipeline", 0.8)):
            point = {"network": network("ethernet-1g", 1e9, delay)}
            records.append(make_record(strategy, ranks=4, samples_per_s=32 / step, watts=10.0, point=point))
    (figure,) = drawn(records)
    assert figure.name == "links_delay_modelled_minilm_reviews"
    assert sorted(figure.data[figure.data["row"] == "point"]["link_delay_s"].unique()) == [0, 0.002, 0.01]
    assert figure.figure.axes[0].get_xscale() == "linear"
    for record in records:
        record["point"]["network"]["kind"] = "stated"
    (figure,) = drawn(records)
    assert sorted(figure.data[figure.data["row"] == "point"]["link_delay_s"].unique()) == [0.002, 0.01], "not known is not zero"


def test_rate_and_delay_that_change_together_are_one_sweep() -> None:
    records = of_laws()
    for record in records:
        record["point"]["network"] = network("x", record["point"]["network"]["links"][0]["rate_bit_s"], 0.001)
        record["point"]["network"]["links"][0]["delay_s"] = 1e5 / record["point"]["network"]["links"][0]["rate_bit_s"]
    (figure,) = drawn(records)
    assert figure.name.startswith("links_rate")
    assert "Link_delay_s" in figure.caption
    assert "link_delay_s" in figure.data


def test_other_hosts_are_no_sweep_of_links() -> None:
    records = of_laws()
    for record in records:
        record["point"]["hosts"] = [f"{record['point']['network']['links'][0]['name']}-{i}" for i in range(4)]
    assert drawn(records) == []
    assert drawn([make_record("data"), make_record("pipeline")]) == []


def test_measured_and_modelled_are_drawn_apart_and_no_energy_is_drawn_as_time() -> None:
    found = drawn(of_laws() + of_laws(kind="measured") + of_laws(kind="none"))
    assert {figure.name.split("_")[2] for figure in found} == {"measured", "modelled", "none"}
    assert [set(figure.data["kind"].dropna()) for figure in found] == [{"measured"}, {"modelled"}, {"none"}]
    assert len(found[2].figure.axes) == 1


@pytest.mark.parametrize("name", LAYOUTS)
def test_it_goes_into_a_paper_as_it_is(name: str) -> None:
    """Wi-Fi 5 and 100 Mbit/s Ethernet are about as fast: their names stand beside each other."""
    close_by = {"wifi-4": 0.445e8, "ethernet-100m": 1e8, "wifi-5": 1.08e8, "wifi-6": 8.38e8, "ethernet-1g": 1e9}
    (figure,) = draw(study_of("test", Path("test"), of_laws(2, rates=close_by), []), LAYOUTS[name])
    assert_print_ready(figure, LAYOUTS[name])
    assert {"ethernet-100m", "wifi-5", "A", "B"} <= {text.get_text() for axes in figure.figure.axes for text in axes.texts}
    close(figure)


def test_names_move_apart_as_little_as_they_must() -> None:
    assert spread_out([0.0, 0.5, 1.0], 0.1) == pytest.approx([0.0, 0.5, 1.0])
    assert spread_out([0.0, 0.02, 0.5], 0.1) == pytest.approx([-0.04, 0.06, 0.5])
    assert spread_out([0.1, 0.2, 0.2], 0.1) == pytest.approx([0.2 / 3, 0.5 / 3, 0.8 / 3])
