"""Scaling and its bounds against numbers worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from analysis.figures.rank_scaling import draw
from analysis.plotting.figure_style import DrawnFigure, close
from analysis.plotting.page_layouts import IEEE, LAYOUTS, Layout
from analysis.statistics.scaling_bounds import amdahl, communication_s, lines_of
from tests.analysis.print_ready import assert_print_ready
from tests.analysis.studies import drawn_by, study
from tests.records import make_record

HOSTS = ["pi-1", "pi-2", "pi-3", "pi-4"]


def drawn(records: Sequence[dict[str, Any]], layout: Layout = IEEE) -> list[DrawnFigure]:
    return drawn_by(draw, records, layout)


def record(strategy: str, ranks: int, rate: float, repeat: int = 0, wire_bytes: float = 0.0, **point: Any) -> dict[str, Any]:
    """A run on boards of their own: 1.6 W idle and 5 W busy each, links of 1 Gbit/s. In ten steps of a made record the wobble
    of its steps averages out."""
    about = {"batch": 16, "hosts": HOSTS, **point}
    found = make_record(strategy, repeat, ranks=ranks, samples_per_s=rate, watts=5.0 * ranks, steps=10, point=about)
    found["energy"]["idle_W"] = 1.6 * ranks
    found["plan"]["placement"] = [{"rank": rank, "host": HOSTS[rank]} for rank in range(ranks)]
    found["traffic"]["wire_bytes"] = {"all": wire_bytes} if wire_bytes else {}
    links = [{"host": h, "switch": None, "name": "1g", "rate_bit_s": 1e9, "delay_s": None, "loss": None} for h in HOSTS]
    found["point"]["network"] = {"kind": "stated", "links": links, "uplink": None}
    return found


def law(share: float, n: int, rate: float = 20.0) -> float:
    return rate / (share + (1 - share) / n)


def strong(share: float = 0.25, repeats: int = 1) -> list[dict[str, Any]]:
    """20 samples/s alone; data parallelism that follows Amdahl's law and sends 100 MB times n - 1 in a step."""
    runs = [record("single", 1, 20.0, r) for r in range(repeats)]
    return runs + [record("data", n, law(share, n), r, 1e8 * (n - 1)) for n in (2, 3, 4) for r in range(repeats)]


def floor_s(made: dict[str, Any]) -> float:
    """The bound of communication by a record as JSON."""
    return communication_s(study([made]).good[0])


def test_amdahls_law_is_recovered_and_fitted_by_least_squares() -> None:
    """Exactly on the law; and for T/T(1) = 0.7 and 0.5 at 2 and 4 ranks: x = 1/2, 3/4 and y = 0.2, 0.25, so that
    s = (0.1 + 0.1875) / (0.25 + 0.5625) = 0.2875 / 0.8125."""
    ranks = [1, 2, 4, 8]
    assert amdahl(ranks, [3.0 * (0.25 + 0.75 / n) for n in ranks], 3.0) == pytest.approx(0.25, rel=1e-12)
    assert amdahl([2, 4], [7.0, 5.0], 10.0) == pytest.approx(0.2875 / 0.8125, rel=1e-12)
    assert amdahl([2], [0.4], 1.0) < 0  # faster than linear
    assert amdahl([2], [1.5], 1.0) > 1  # slower than alone
    with pytest.raises(ValueError, match="more than one rank"):
        amdahl([1], [1.0], 1.0)


def test_communication_needs_the_bytes_over_all_rates() -> None:
    """400 MB of four ranks over 4 Gbit/s: 0.8 s; with one link at a tenth of its rate 3.2e9 / 3.1e9 s."""
    own = record("data", 4, 20.0, wire_bytes=4e8)
    assert floor_s(own) == pytest.approx(0.8)
    own["point"]["network"]["links"][2]["rate_bit_s"] = 1e8
    assert floor_s(own) == pytest.approx(32 / 31)
    two = record("data", 2, 20.0, wire_bytes=4e8)  # links of boards that have no rank do not count
    assert floor_s(two) == pytest.approx(1.6)


@pytest.mark.parametrize("change", ["no network", "shared board", "nothing sent", "no placement", "a host without a link"])
def test_no_bound_of_communication_where_it_is_not_known(change: str) -> None:
    own = record("data", 2, 20.0, wire_bytes=0.0 if change == "nothing sent" else 1e8)
    if change == "no network":
        own["point"]["network"] = None
    if change == "shared board":
        own["plan"]["placement"][1]["host"] = "pi-1"
    if change == "no placement":
        own["plan"]["placement"] = []
    if change == "a host without a link":
        own["plan"]["placement"][1]["host"] = "elsewhere"
    assert math.isnan(floor_s(own))


def test_every_bound_is_in_the_table() -> None:
    """At two ranks: ideal 40; on the law of s = 1/4, 20/(1/4 + 3/8) = 32; 16 samples per 8e8/2e9 s; 3.2 W over 1/32 s, and the
    (5 - 1.6) W of the single process over 1/20 s."""
    (found,) = drawn(strong())
    rows = found.data.set_index("ranks")
    assert rows["samples_per_s"].tolist() == pytest.approx([20, law(0.25, 2), law(0.25, 3), law(0.25, 4)])
    assert rows["ideal_samples_per_s"].tolist() == pytest.approx([20, 40, 60, 80])
    assert rows.loc[2, "amdahl_samples_per_s"] == pytest.approx(32)
    assert rows.loc[2, "communication_samples_per_s"] == pytest.approx(40)
    assert rows.loc[2, "bound_per_sample_J"] == pytest.approx(0.1 + 0.17)
    assert rows.loc[1, "bound_per_sample_J"] == pytest.approx(rows.loc[1, "per_sample_J"]) == pytest.approx(0.25)
    assert pd.isna(rows.loc[1, "communication_samples_per_s"])
    assert "Strong scaling (the batch stays)" in found.caption
    assert "The base is the single process: 20 samples/s and 0.25 J per sample, n = 1." in found.caption
    assert "s = 0.25 for data." in found.caption


def test_the_figure_shows_what_the_table_has() -> None:
    (found,) = drawn(strong())
    above, below = found.figure.axes
    solid = [line for line in above.lines if line.get_linestyle() == "-"]
    assert len(solid) == 1
    assert solid[0].get_xdata().tolist() == [1, 2, 3, 4]
    assert solid[0].get_ydata().tolist() == pytest.approx(found.data["median_samples_per_s"].tolist())
    dashed = next(line for line in above.lines if line.get_linestyle() == "--")
    assert dashed.get_ydata().tolist() == pytest.approx([20, 40, 60, 80])
    law_ = next(line for line in above.lines if line.get_linestyle() == ":")
    assert law_.get_ydata()[-1] == pytest.approx(law(0.25, 4))
    floor = next(line for line in below.lines if line.get_linestyle() == "-.")
    assert floor.get_ydata().tolist() == pytest.approx(found.data["bound_per_sample_J"].tolist()[1:])
    assert [tick.get_text() for tick in below.get_xticklabels()] == ["1", "2", "3", "4"]
    assert below.get_xscale() == "log"
    assert below.get_xlabel() == "Number of ranks (one on each board)"
    names = {text.get_text() for text in found.figure.legends[0].get_texts()}
    assert names == {"single", "data", "ideal", "Amdahl's law", "bound of communication and energy"}


def test_six_repeats_have_intervals_in_figure_and_base() -> None:
    """Repeats are 2 % slower from one to the next: 20 to 20/1.1, median of six between the third and the fourth."""
    (found,) = drawn(strong(repeats=6))
    middle = (20 / 1.04 + 20 / 1.06) / 2
    assert found.data["median_samples_per_s"].iloc[0] == pytest.approx(middle)
    assert f"{middle:.3g} samples/s [18.2, 20] and" in found.caption
    assert "95 % intervals by rank" in found.caption


def test_two_levels_are_points() -> None:
    (found,) = drawn([record("single", 1, 20.0), record("data", 2, 30.0, wire_bytes=1e8)])
    assert [line for line in found.figure.axes[0].lines if line.get_linestyle() == "-"] == []
    assert found.data["amdahl_samples_per_s"].isna().all()
    assert "Amdahl" not in found.caption


def test_weak_scaling_has_an_ideal_and_no_law() -> None:
    """The batch follows the ranks; of the single processes, the one with the batch of one rank is the base."""
    runs = [record("single", 1, rate, batch=batch) for batch, rate in ((16, 20.0), (32, 22.0), (64, 24.0))]
    runs += [record("data", n, 18.0 * n, batch=16 * n) for n in (2, 4)]
    (found,) = drawn(runs)
    assert "Weak scaling (the batch follows the ranks)" in found.caption
    assert "Batch grows as ranks grows (32, 64)." in found.caption
    assert found.data["ideal_samples_per_s"].tolist() == pytest.approx([20, 40, 80])
    assert found.data["amdahl_samples_per_s"].isna().all()


def test_a_law_that_does_not_hold_is_not_drawn() -> None:
    runs = [record("single", 1, 20.0), *(record("data", n, 10.0) for n in (2, 3))]
    runs += [record("pipeline", n, 30.0 * n) for n in (2, 3)]
    (found,) = drawn(runs)
    assert ":" not in {line.get_linestyle() for line in found.figure.axes[0].lines}
    assert "does not describe data, which is slower than the base (s would be" in found.caption
    assert "does not describe pipeline, which is faster than linear (s would be -" in found.caption


@pytest.mark.parametrize("other", [{"batch": 8}, {"lr": 1e-3}, {"cluster": "elsewhere"}, {"seq": 32}])
def test_another_work_is_no_base(other: dict[str, Any]) -> None:
    runs = [record("single", 1, 20.0, **other), *(record("data", n, 15.0 * n) for n in (2, 3, 4))]
    (found,) = drawn(runs)
    assert found.data["ranks"].tolist() == [2, 3, 4]
    assert found.data["ideal_samples_per_s"].isna().all()
    assert "No single process did the same work as data: no base and no ideal." in found.caption


def test_of_several_boards_alone_the_first_of_the_line_is_the_base() -> None:
    runs = [record("single", 1, rate, hosts=[host]) for host, rate in (("pi-2", 10.0), ("pi-1", 20.0))]
    runs += [record("data", n, 15.0 * n, hosts=HOSTS[:n]) for n in (2, 3)]
    (line,), _ = lines_of(study(runs).points)
    assert line.base["samples_per_s"].tolist() == pytest.approx([20.0])
    (found,) = drawn(runs)
    assert "The hosts go with the ranks." in found.caption


def test_of_two_that_could_be_the_base_none_is() -> None:
    """Nothing in the line says whether the single process that spins or the one that polls is meant."""
    runs = [record("single", 1, rate, wait=wait) for wait, rate in (("spin", 20.0), ("poll", 19.0))]
    runs += [record("data", n, 15.0 * n) for n in (2, 3)]
    (line,), _ = lines_of(study(runs).points)
    assert line.base.empty


def test_boards_of_several_classes_have_no_ideal() -> None:
    both = ["jetson-orin-nano", "raspberry-pi-5"]
    runs = [record("single", 1, 20.0, boards=both), *(record("data", n, 15.0 * n, boards=both) for n in (2, 3))]
    (found,) = drawn(runs)
    assert found.data["ideal_samples_per_s"].isna().all()
    assert found.data["bound_per_sample_J"].isna().all()
    assert "Boards are of several classes" in found.caption
    joins = [record("data", n, 15.0 * n, boards=both[:n]) for n in (1, 2)]
    assert drawn(joins) == []  # participants.py shows them


def test_without_energy_only_throughput_and_kinds_apart() -> None:
    rates = {n: 15.0 * n for n in (2, 3)}
    runs = [make_record("data", kind=kind, ranks=n, samples_per_s=r) for kind in ("none", "measured") for n, r in rates.items()]
    without, measured = sorted(drawn(runs), key=lambda figure: len(figure.figure.axes))
    assert without.name == "scaling_none_minilm_reviews"
    assert not [column for column in without.data if column.endswith("_J")]
    assert "energy" not in without.caption
    assert "energy per sample (measured)" in measured.caption
    assert "there is no bound of communication" in measured.caption


def test_nothing_to_scale() -> None:
    assert drawn([record("data", 2, 30.0), record("tensor", 2, 30.0)]) == []
    assert drawn([record("single", 1, 20.0)]) == []


def test_many_lines_are_split_by_strategy() -> None:
    """Four batches of two strategies are too many for one panel: each strategy has its own, with its own base."""
    runs = []
    for batch in (8, 16, 32, 64):
        runs.append(record("single", 1, 20.0 + batch, batch=batch))
        runs += [record(s, n, 15.0 * n + batch, batch=batch) for s in ("data", "pipeline") for n in (2, 4)]
    found = drawn(runs)
    assert [figure.name.rsplit("_", 1)[1] for figure in found] == ["data", "pipeline"]
    labels = [f"data batch={batch}" for batch in (8, 16, 32, 64)]
    assert set(found[0].data["line"]) == set(labels)
    ideal = found[0].data.set_index(["line", "ranks"])["ideal_samples_per_s"]
    assert ideal["data batch=64", 2] == pytest.approx(2 * 84)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_ready_for_print(layout: Layout) -> None:
    lines = [("data", 0.3), ("sequence", 0.4), ("tensor", 0.2), ("pipeline", 1.2)]
    runs = [record("single", 1, 20.0, r) for r in range(6)]
    runs += [record(s, n, law(share, n), r, 1e8) for s, share in lines for n in (2, 3, 4) for r in range(6)]
    runs.append(make_record("data", 0, "failed", "why", ranks=8))
    (found,) = draw(study(runs), layout)
    assert_print_ready(found, layout)
    assert "Not drawn, for want of valid numbers: data n=8" in found.caption
    close(found)
