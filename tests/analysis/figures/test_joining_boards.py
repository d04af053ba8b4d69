"""What each board that joins adds: against differences worked out by hand, and only where boards do join."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from analysis.figures.joining_boards import draw
from analysis.plotting.figure_style import DrawnFigure, close
from analysis.plotting.page_layouts import IEEE, LAYOUTS, Layout
from analysis.statistics.marginal_boards import marginal_costs
from tests.analysis.print_ready import assert_print_ready
from tests.analysis.studies import drawn_by, study
from tests.records import make_record

CLASSES = {"orin-1": "jetson-orin-nano", "nx-1": "jetson-xavier-nx", "pi-1": "raspberry-pi-5"}
HOSTS = list(CLASSES)


def drawn(records: Sequence[dict[str, Any]], layout: Layout = IEEE) -> list[DrawnFigure]:
    return drawn_by(draw, records, layout)


def record(strategy: str, hosts: Sequence[str], rate: float, watts: float, repeat: int = 0, **changes: Any) -> dict[str, Any]:
    """In ten steps of a made record the wobble of its steps averages out."""
    about = {"hosts": list(hosts), "boards": sorted({CLASSES[host] for host in hosts}), "cluster": "mixed"}
    numbers = {"samples_per_s": rate, "watts": watts, "steps": 10, "ranks": len(hosts), **changes}
    found = make_record(strategy, repeat, point=about, **numbers)
    found["environment"]["hosts"] = [{"host": host, "board": CLASSES[host]} for host in hosts]
    return found


def chain(repeats: int = 1, **changes: Any) -> list[dict[str, Any]]:
    """0.5 J and 0.05 s alone; 0.4 J and 0.025 s on two boards; 0.9 J and 0.04 s on three, which a slow board holds up."""
    runs = []
    for repeat in range(repeats):
        runs += [
            record("single", HOSTS[:1], 20.0, 10.0, repeat, **changes),
            record("data", HOSTS[:2], 40.0, 16.0, repeat, **changes),
            record("data", HOSTS, 25.0, 22.5, repeat, **changes),
        ]
    return runs


def test_each_board_adds_the_difference_of_medians() -> None:
    table = marginal_costs(study(chain()))
    assert list(table.columns[:12]) == [
        "kind", "model", "task", "strategy", "boards", "added", "ranks", "per_sample_J", "added_J_per_sample",
        "seconds_per_sample", "added_s_per_sample", "n",
    ]  # fmt: skip
    assert table["strategy"].tolist() == ["data"] * 3
    assert table["boards"].tolist() == table["ranks"].tolist() == [1, 2, 3]
    assert table["added"].tolist() == ["orin-1 (jetson-orin-nano)", "nx-1 (jetson-xavier-nx)", "pi-1 (raspberry-pi-5)"]
    assert table["per_sample_J"].tolist() == pytest.approx([0.5, 0.4, 0.9])
    assert table["seconds_per_sample"].tolist() == pytest.approx([0.05, 0.025, 0.04])
    assert pd.isna(table["added_J_per_sample"][0])
    assert table["added_J_per_sample"].tolist()[1:] == pytest.approx([-0.1, 0.5])
    assert table["added_s_per_sample"].tolist()[1:] == pytest.approx([-0.025, 0.015])
    assert table["note"].tolist() == ["the single process", *["one repeat each: the spread is unknown"] * 2]


def test_a_difference_within_the_ranges_is_noted() -> None:
    """Three repeats, 0, 2 and 4 % slower: 0.5 to 0.52 J and 0.51 to 0.5304 J overlap, 0.05 to 0.052 s and 0.025 s do not."""
    runs = [record("single", HOSTS[:1], 20.0, 10.0, r) for r in range(3)]
    runs += [record("data", HOSTS[:2], 40.0, 20.4, r) for r in range(3)]
    table = marginal_costs(study(runs))
    assert table["note"].tolist() == ["the single process", "ranges of J overlap"]
    assert table["n"].tolist() == [3, 3]
    assert table["added_J_per_sample"][1] == pytest.approx(1.02 * 0.01)
    (found,) = drawn(runs)
    assert "Of data, ranges overlap with the board before, so a difference is not shown, at nx-1." in found.caption


def test_differences_beyond_the_ranges_have_no_note() -> None:
    """Joules and seconds fall with the second board and rise with the third, by more than 4 % of spread. Of nine repeats the
    intervals leave out the smallest and the largest: 0.51 to 0.57 J and 0.5763 to 0.6441 J are apart, whole ranges are not."""
    assert marginal_costs(study(chain(3)))["note"].tolist() == ["the single process", "", ""]
    runs = [record("single", HOSTS[:1], 20.0, 10.0, r) for r in range(9)]
    runs += [record("data", HOSTS[:2], 40.0, 22.6, r) for r in range(9)]
    assert marginal_costs(study(runs))["note"].tolist() == ["the single process", ""]


def test_the_figure_has_the_board_that_joined_on_its_axis() -> None:
    (found,) = drawn(chain(3))
    time, energy = found.figure.axes
    names = [tick.get_text().replace("-\n", "-") for tick in energy.get_xticklabels()]
    assert names == ["orin-1\njetson-orin-nano", "+ nx-1\njetson-xavier-nx", "+ pi-1\nraspberry-pi-5"]
    assert time.get_ylabel() == "Time per sample (s)"
    assert energy.get_ylabel() == "Energy per sample (J), modelled"
    line = energy.lines[0]
    assert line.get_linestyle() == "-"
    assert line.get_ydata().tolist() == pytest.approx([0.51, 0.408, 0.918])  # of 0, 2 and 4 % the middle one
    assert len(found.data) == 9
    assert found.data["added_J_per_sample"].tolist()[-1] == pytest.approx(0.51)
    assert set(found.points) == {run["point"]["name"] for run in chain(3)}
    assert "The base is the single process" in found.caption


def test_a_single_process_elsewhere_is_no_beginning() -> None:
    """Alone on a board that does not take part with the others first, it cannot say what the next one adds."""
    runs = [record("single", HOSTS[2:], 5.0, 5.0), *chain()[1:]]
    table = marginal_costs(study(runs))
    assert table["boards"].tolist() == [2, 3]
    assert table["added"].tolist() == ["orin-1 (jetson-orin-nano), nx-1 (jetson-xavier-nx)", "pi-1 (raspberry-pi-5)"]
    assert pd.isna(table["added_J_per_sample"][0])
    (found,) = drawn(runs)
    assert "No single process did the same work as data: no base" in found.caption


def test_boards_that_leave_are_no_line() -> None:
    swapped = [record("data", ["orin-1", "pi-1"], 40.0, 16.0), record("data", ["orin-1", "nx-1"], 40.0, 16.0)]
    assert marginal_costs(study(swapped)).empty
    not_nested = [record("data", ["nx-1"], 40.0, 16.0), record("data", ["orin-1", "pi-1"], 40.0, 16.0)]
    assert marginal_costs(study(not_nested)).empty
    assert drawn(not_nested) == []


def test_the_same_boards_on_every_number_of_ranks_are_scaling() -> None:
    runs = []
    for ranks in (2, 3):
        run = record("data", HOSTS, 20.0, 10.0)
        run["point"] |= {"ranks": ranks, "hash": f"hash{ranks}", "name": f"n{ranks}"}
        runs.append(run)
    assert drawn(runs) == []
    assert marginal_costs(study(runs)).empty


def test_records_without_hosts_have_nothing_to_say() -> None:
    assert drawn([make_record("single"), make_record("data")]) == []
    assert marginal_costs(study([make_record("single")])).empty


def test_kinds_and_orders_of_joining_are_apart() -> None:
    """The slow board first or last are two questions; measured and modelled joules two figures."""
    again = [record("tensor", ["pi-1"], 5.0, 5.0), record("tensor", ["pi-1", "nx-1"], 12.0, 10.0)]
    found = drawn([*chain(), *again, *chain(kind="measured")])
    assert [figure.name for figure in found] == [
        "participants_measured_minilm_reviews",
        "participants_modelled_minilm_reviews",
        "participants_modelled_minilm_reviews_2",
    ]
    assert set(found[1].data["strategy"]) == {"data"}
    assert set(found[2].data["strategy"]) == {"tensor"}
    assert set(marginal_costs(study([*chain(), *chain(kind="measured")]))["kind"]) == {"measured", "modelled"}


def test_without_energy_there_is_the_time() -> None:
    (found,) = drawn(chain(kind="none"))
    assert len(found.figure.axes) == 1
    assert not [column for column in found.data if "_J" in column]
    table = marginal_costs(study(chain(kind="none")))
    assert table["per_sample_J"].isna().all()
    assert table["added_s_per_sample"].tolist()[1:] == pytest.approx([-0.025, 0.015])


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("boards", [3, 8, 16])
def test_ready_for_print(layout: Layout, boards: int) -> None:
    hosts = [f"jetson-orin-nano-{number + 1}" for number in range(boards)]
    runs = []
    for strategy, count in [("single", 1), *((s, n) for s in ("data", "pipeline") for n in range(2, boards + 1))]:
        about = {"hosts": hosts[:count], "boards": ["jetson-orin-nano"]}
        for repeat in range(2):
            run = make_record(strategy, repeat, ranks=count, samples_per_s=20.0 * count**0.6, watts=5.0 * count, point=about)
            run["environment"]["hosts"] = [{"host": host, "board": "jetson-orin-nano"} for host in hosts[:count]]
            runs.append(run)
    (found,) = draw(study(runs), layout)
    assert_print_ready(found, layout)
    close(found)
