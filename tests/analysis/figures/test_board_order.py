"""Orders of the same boards: written with the switches between them, each with its own points."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from analysis.figures.board_order import draw, order_of
from analysis.plotting.figure_style import TALLEST_IN, DrawnFigure, close
from analysis.plotting.page_layouts import IEEE, LAYOUTS, Layout
from tests.analysis.print_ready import assert_print_ready
from tests.analysis.studies import drawn_by, study
from tests.records import make_record

SWITCHES = {"pi-1": "left", "pi-2": "left", "pi-3": "right", "pi-4": "right"}
NEAR, FAR = ["pi-1", "pi-2", "pi-3", "pi-4"], ["pi-1", "pi-3", "pi-2", "pi-4"]


def drawn(records: Sequence[dict[str, Any]], layout: Layout = IEEE) -> list[DrawnFigure]:
    return drawn_by(draw, records, layout)


def record(strategy: str, hosts: Sequence[str], rate: float, repeat: int = 0, **changes: Any) -> dict[str, Any]:
    """In ten steps of a made record the wobble of its steps averages out."""
    numbers = {"ranks": len(hosts), "samples_per_s": rate, "watts": 20.0, "steps": 10, **changes}
    found = make_record(strategy, repeat, point={"hosts": list(hosts)}, **numbers)
    about = {"name": "1g", "rate_bit_s": 1e9, "delay_s": None, "loss": None}
    links = [{"host": host, "switch": SWITCHES.get(host), **about} for host in hosts]
    found["point"]["network"] = {"kind": "emulated", "links": links, "uplink": None}
    return found


def two_orders(repeats: int = 1, **changes: Any) -> list[dict[str, Any]]:
    """16 and 8 samples/s of data parallelism: steps of 2 s and 4 s for 32 samples, 1.25 J and 2.5 J a sample at 20 W."""
    runs = [record("data", FAR, 8.0, r, **changes) for r in range(repeats)]
    runs += [record("data", NEAR, 16.0, r, **changes) for r in range(repeats)]
    return runs + [record("pipeline", order, 32.0, r, **changes) for order in (NEAR, FAR) for r in range(repeats)]


def test_an_order_is_written_with_its_crossings() -> None:
    """Between neighbours only: from the last board to the first is the ring's affair."""
    near, far = order_of(",".join(NEAR), SWITCHES), order_of(",".join(FAR), SWITCHES)
    assert (near.text, near.crossings) == ("pi-1 > pi-2 | pi-3 > pi-4", 1)
    assert (far.text, far.crossings) == ("pi-1 | pi-3 | pi-2 | pi-4", 3)
    unknown = order_of("pi-1,pi-3,elsewhere", SWITCHES)
    assert (unknown.text, unknown.crossings) == ("pi-1 > pi-3 > elsewhere", None)
    assert order_of("a,b", {"a": None, "b": None}).crossings is None


def test_points_stand_in_the_row_of_their_order() -> None:
    (found,) = drawn(two_orders())
    time, energy = found.figure.axes
    names = {tick: label.get_text() for tick, label in zip(time.get_yticks(), time.get_yticklabels(), strict=True)}
    assert list(names.values()) == [
        "pi-1 > pi-2 | pi-3 > pi-4",
        "data",
        "pipeline",
        "pi-1 | pi-3 | pi-2 | pi-4",
        "data",
        "pipeline",
    ]
    rows = [tick for tick, name in names.items() if ">" not in name and "|" not in name]
    medians = [line for line in energy.lines if line.get_markersize() > 5]
    assert [line.get_ydata()[0] for line in medians] == rows
    assert [line.get_xdata()[0] for line in medians] == pytest.approx([1.25, 0.625, 2.5, 0.625])
    steps = [line.get_xdata()[0] for line in time.lines if line.get_markersize() > 5]
    assert steps == pytest.approx([2, 1, 4, 1])
    assert time.get_ylim()[0] > time.get_ylim()[1]  # the first order above


def test_bars_are_the_states_of_a_step() -> None:
    """80, 15 and 5 % of made steps, of which the repeats take 2 s and 2.04 s: 2.02 s on average."""
    (found,) = drawn(two_orders(2))
    first = found.figure.axes[0].patches[:3]
    assert [bar.get_width() for bar in first] == pytest.approx([0.8 * 2.02, 0.15 * 2.02, 0.05 * 2.02])
    assert [bar.get_x() for bar in first] == pytest.approx([0, 0.8 * 2.02, 0.95 * 2.02])
    assert len({bar.get_hatch() for bar in first}) == 3


def test_the_table_has_every_repeat() -> None:
    (found,) = drawn(two_orders(3))
    assert len(found.data) == 12
    own = found.data[(found.data["order"] == "pi-1 | pi-3 | pi-2 | pi-4") & (found.data["line"] == "data")]
    assert own["step_s"].tolist() == pytest.approx([4, 4.08, 4.16])
    assert own["median_step_s"].tolist() == pytest.approx([4.08] * 3)
    assert own["crossings"].tolist() == [3, 3, 3]
    assert own["n"].tolist() == [3, 3, 3]
    assert set(found.points) == {run["point"]["name"] for run in two_orders(3)}
    assert "A bar between two boards is the way from one switch to another" in found.caption


def test_six_repeats_have_intervals() -> None:
    (found,) = drawn(two_orders(6))
    assert found.data["low_step_s"].tolist()[:2] == pytest.approx([2.0, 2.0])
    assert found.data["high_step_s"].tolist()[:2] == pytest.approx([2.2, 2.2])
    assert "95 % intervals by rank" in found.caption


def test_without_switches_orders_are_still_orders() -> None:
    runs = two_orders()
    for run in runs:
        run["point"]["network"] = None
    (found,) = drawn(runs)
    assert set(found.data["order"]) == {" > ".join(NEAR), " > ".join(FAR)}
    assert "The switches of the boards are not known" in found.caption


def test_other_sets_of_boards_are_no_other_order() -> None:
    assert drawn([record("data", NEAR, 16.0), record("data", NEAR[:3], 16.0)]) == []
    assert drawn([record("data", NEAR, 16.0), record("data", [*NEAR[:3], "pi-5"], 16.0)]) == []
    assert drawn([record("data", NEAR, 16.0), record("tensor", FAR, 16.0)]) == []
    assert drawn([make_record("data"), make_record("tensor")]) == []
    alone = [record("single", order, 10.0) for order in (NEAR, FAR)]
    for run in alone:
        run["point"]["ranks"] = 1
    assert drawn(alone) == []


def test_kinds_and_sets_are_figures_of_their_own() -> None:
    three = [record("data", order, 12.0) for order in (NEAR[:3], NEAR[2::-1])]
    found = drawn([*two_orders(), *three, *two_orders(kind="none")])
    assert sorted(figure.name for figure in found) == [
        "topology_modelled_minilm_reviews",
        "topology_modelled_minilm_reviews_set_2",
        "topology_none_minilm_reviews",
    ]
    without = next(figure for figure in found if "none" in figure.name)
    assert len(without.figure.axes) == 1
    assert not [column for column in without.data if column.endswith("_J")]


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_ready_for_print(layout: Layout) -> None:
    """Every order of four boards, over several figures; orders of names too long for one line; no energy in a column."""
    orders = [list(order) for order in itertools.permutations(NEAR)]
    every = [record(strategy, order, 16.0, r) for strategy in ("data", "pipeline") for order in orders for r in range(2)]
    names = [f"raspberry-pi-{number}" for number in range(12)]
    long = [record("data", order, 16.0) for order in (names, names[::-1])]
    found = draw(study(every), layout)
    assert len(found) > 1
    assert sum(figure.data["order"].nunique() for figure in found) == 24
    for figure in (*found, *draw(study(long), layout), *draw(study(two_orders(kind="none")), layout)):
        assert figure.figure.get_figheight() <= TALLEST_IN
        assert_print_ready(figure, layout)
        close(figure)
