"""Bars of energy and throughput: medians of the right points in the right place, and nothing drawn as zero."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes

from analysis.figures.strategy_bars import draw_energy, draw_throughput
from analysis.plotting.bar_groups import bars_of
from analysis.plotting.figure_style import DrawnFigure, close
from analysis.plotting.page_layouts import IEEE, LAYOUTS, Layout
from analysis.study.study import Study
from tests.analysis.print_ready import assert_print_ready
from tests.analysis.studies import study_of
from tests.records import make_record


def study(*records: dict[str, Any]) -> Study:
    return study_of("test", Path("test"), list(records), [])


def drawn(found: list[DrawnFigure]) -> list[DrawnFigure]:
    for figure in found:
        close(figure)
    return found


def case(repeats: int = 3, **changes: Any) -> list[dict[str, Any]]:
    """A single process, and two strategies on two and three ranks; data does not fit on three. In ten steps of a made record
    the wobble of its steps averages out."""
    records = [make_record("single", r, samples_per_s=20.0, watts=5.0, steps=10, **changes) for r in range(repeats)]
    for strategy in ("data", "pipeline"):
        for ranks in (2, 3):
            for repeat in range(repeats):
                lost = {"status": "oom", "reason": "no memory"} if (strategy, ranks) == ("data", 3) else {}
                about = {"ranks": ranks, "samples_per_s": 10.0 * ranks, "watts": 5.0 * ranks, "steps": 10}
                records.append(make_record(strategy, repeat, **about, **lost, **changes))
    return records


def heights(axes: Axes) -> list[float]:
    return [bar.get_height() for bar in axes.patches]


def test_bars_are_medians_in_their_groups() -> None:
    """Repeats are 1, 2 and 4 % slower than the first: the median of three is the second, 20/1.02 samples/s at 5 W."""
    (found,) = drawn(draw_energy(study(*case()), IEEE))
    (axes,) = found.figure.axes
    assert found.name == "energy_bars_modelled"
    assert heights(axes) == pytest.approx([0.255, 0.51, 0.51, 0.51], rel=1e-9)
    assert [bar.get_x() + bar.get_width() / 2 for bar in axes.patches] == pytest.approx([0, 1.8, 2.8, 5.6])
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "2", "3"]
    assert {text.get_text() for text in found.figure.legends[0].get_texts()} == {"single", "data", "pipeline"}
    hatches = [bar.get_hatch() for bar in axes.patches]
    assert hatches[1] != hatches[2] == hatches[3]


def test_every_repeat_is_drawn_and_in_the_table() -> None:
    (found,) = drawn(draw_throughput(study(*case()), IEEE))
    own = found.data[found.data["bar"] == "single"]
    assert own["samples_per_s"].tolist() == pytest.approx([20, 20 / 1.02, 20 / 1.04])
    assert own["median_samples_per_s"].tolist() == pytest.approx([20 / 1.02] * 3)
    dots = found.figure.axes[0].lines[0]
    assert dots.get_ydata().tolist() == pytest.approx(own["samples_per_s"].tolist())
    assert "n = 3" in found.caption
    assert "no 95 % interval" in found.caption
    assert found.name == "throughput_bars"


def test_six_repeats_have_intervals() -> None:
    """Of six values the interval by rank is their range."""
    (found,) = drawn(draw_throughput(study(*case(6)), IEEE))
    row = found.data[found.data["bar"] == "single"].iloc[0]
    assert row[["low_samples_per_s", "high_samples_per_s"]].tolist() == pytest.approx([20 / 1.1, 20])
    assert "95 % by rank (exact binomial)" in found.caption


def test_out_of_memory_is_marked_in_the_place_of_its_bar() -> None:
    (found,) = drawn(draw_energy(study(*case()), IEEE))
    (mark,) = found.figure.axes[0].texts
    assert (mark.get_text(), mark.get_rotation()) == ("OOM", 90)
    assert mark.get_position()[0] == pytest.approx(4.6)  # first of the third group: 0, 1.8, 2.8, 4.6, 5.6
    row = found.data[found.data["status"] == "oom"]
    assert row[["bar", "group", "n"]].values.tolist() == [["data", "3", 0]]
    assert "OOM: out of memory, by ranks: data (3)." in found.caption
    assert "want of valid numbers" not in found.caption


def test_what_ran_out_of_memory_only_sometimes_has_the_bar_of_the_rest() -> None:
    records = case()
    records[-1] = make_record("pipeline", 2, "oom", "no memory", ranks=3)
    (found,) = drawn(draw_energy(study(*records), IEEE))
    assert found.data[(found.data["bar"] == "pipeline") & (found.data["group"] == "3")]["n"].tolist() == [2, 2]
    assert "pipeline n=3 (oom)" in found.caption


@pytest.mark.parametrize("status", ["failed", "timeout", "invalid", "interrupted"])
def test_other_failures_are_named_and_not_drawn(status: str) -> None:
    records = [*case(1)[:-1], make_record("pipeline", 0, status, "why", ranks=3)]
    (found,) = drawn(draw_energy(study(*records), IEEE))
    assert len(found.figure.axes[0].patches) == 3
    assert f"Not drawn, for want of valid numbers: pipeline n=3 ({status})." in found.caption


def test_kinds_and_works_are_apart() -> None:
    """Measured and modelled in figures of their own, two models in rows of panels that need not have the same axis."""
    other = {"model": "gpt2-mini", "task": "lm"}
    records = [make_record(s, ranks=n, kind=k) for k in ("measured", "modelled") for s, n in (("data", 2), ("tensor", 2))]
    records += [make_record(s, ranks=2, kind="measured", watts=99.0, point=other) for s in ("data", "tensor")]
    measured, modelled = drawn(draw_energy(study(*records), IEEE))
    assert [measured.name, modelled.name] == ["energy_bars_measured", "energy_bars_modelled"]
    assert [axes.get_title("left") for axes in measured.figure.axes] == ["gpt2-mini, lm", "minilm, reviews"]
    tops = [axes.get_ylim()[1] for axes in measured.figure.axes]
    assert tops == pytest.approx((1.06 * measured.data.groupby("work", sort=False)["per_sample_J"].max()).tolist())
    assert set(modelled.data["work"]) == {"minilm, reviews"}
    assert [figure.name for figure in drawn(draw_throughput(study(*records), IEEE))] == [
        "throughput_bars_measured",
        "throughput_bars_modelled",
    ]


def test_devices_make_groups_and_what_follows_them_does_not() -> None:
    """The board class goes with the cluster: one of them is enough."""
    records = []
    for device in ("cpu", "cuda"):
        for cluster, board in (("pis", "raspberry-pi-5"), ("orins", "jetson-orin-nano")):
            for strategy in ("data", "pipeline"):
                about = {"device": device, "cluster": cluster, "boards": [board]}
                records.append(make_record(strategy, ranks=2, point=about))
    bars, names, follow = bars_of(study(*records), "modelled")
    assert names == ["ranks", "cluster", "device"]
    assert follow == ["boards"]
    assert len({bar.group for bar in bars}) == 4
    assert [bar.name for bar in bars[:2]] == ["data", "pipeline"]


def test_several_configurations_of_a_strategy_are_named_below_their_bars() -> None:
    """In the order of their numbers, not of their letters; mesh and links' rates say nothing new."""
    links = [{"name": name, "rate_bit_s": rate} for name, rate in (("wifi-10", 1e8), ("wifi-5", 2e8))]
    records = []
    for link in links:
        for strategy in ("data", "pipeline"):
            record = make_record(strategy, ranks=2, point={"wait": link["name"]})
            network = {"kind": "stated", "links": [{"host": "a", "switch": None, "delay_s": None, "loss": None, **link}]}
            record["point"]["network"] = {**network, "uplink": None}
            records.append(record)
    (found,) = drawn(draw_energy(study(*records), IEEE))
    names = [tick.get_text() for tick in found.figure.axes[0].get_xticklabels()]
    assert names == ["wifi-5", "wifi-10"] * 2
    assert found.figure.axes[0].get_xlabel() == "wait (ranks: 2)"
    assert {text.get_text() for text in found.figure.legends[0].get_texts()} == {"data", "pipeline"}


def test_one_configuration_is_no_comparison() -> None:
    assert draw_energy(study(make_record("data")), IEEE) == []
    assert draw_energy(study(make_record("data", status="failed", reason="why")), IEEE) == []
    none = study(make_record("data", kind="none"), make_record("tensor", kind="none"))
    assert draw_energy(none, IEEE) == []
    assert len(drawn(draw_throughput(none, IEEE))) == 1


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_ready_for_print(layout: Layout) -> None:
    """Two works with marks, and sixty configurations in one group, each with its bar."""
    other = {"model": "gpt2-mini", "task": "lm"}
    records = [*case(6), *(make_record(s, ranks=2, point=other) for s in ("data", "tensor"))]
    many = [
        make_record(strategy, ranks=4, point={"batch": 4 * number, "wait": "poll"})
        for strategy in ("data", "tensor", "pipeline")
        for number in range(1, 21)
    ]
    crowded = draw_throughput(study(*many), layout)
    for found in (*draw_energy(study(*records), layout), *crowded):
        assert_print_ready(found, layout)
        close(found)
    assert sum(len(heights(axes)) for found in crowded for axes in found.figure.axes) == 60
