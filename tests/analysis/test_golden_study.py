"""From records to figures and words: golden numbers, nothing claimed that the records do not say."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.__main__ import VERBS, main
from analysis.page.answer.answer_text import answer
from analysis.statistics.repeat_summary import average, interval_note, pareto_front, summarise
from analysis.study.power_traces import ALL
from analysis.study.study import load_study
from bench.common.atomic_files import write_json, write_power
from bench.common.user_error import UserError
from bench.joules.channel import Calibration, Channel, Trace
from tests.analysis.studies import drawn, full, write_study
from tests.project import ROOT
from tests.records import make_record


def test_configurations_that_differ_are_never_pooled(tmp_path: Path) -> None:
    """Two schedules, two batches: four rows, each named by what it is, although strategy and ranks are the same."""
    records = []
    for number, (schedule, batch) in enumerate([("gpipe", 32), ("1f1b", 32), ("gpipe", 16), ("1f1b", 16)]):
        for repeat in range(3):
            record = make_record("pipeline", repeat)
            record["point"] |= {"hash": f"hash{number}", "name": f"p{number}-r{repeat}", "batch": batch}
            record["point"]["options"] = {"schedule": schedule, "stages": None}
            records.append(record)
    frame = load_study(write_study(tmp_path / "s", records)).points
    names = [f"pipeline n=2 batch={batch} schedule={schedule}" for schedule in ("1f1b", "gpipe") for batch in (16, 32)]
    assert sorted(frame["label"].unique()) == sorted(names)
    assert (frame.groupby("label").size() == 3).all()


def test_what_the_record_does_not_tell_apart_the_hash_does(tmp_path: Path) -> None:
    records = [make_record("data", 0), make_record("data", 0)]
    records[1]["point"] |= {"hash": "feedbeef", "name": "other"}
    labels = load_study(write_study(tmp_path / "s", records)).points["label"].tolist()
    assert labels == ["data n=2", "data n=2 feed"]


def test_averages_fit_the_quantity() -> None:
    """Three runs of 10 s, 20 s and 30 s for 60 samples: 20 s on average, and 60/20 = 3 samples/s, not the mean of 6, 3, 2."""
    assert average([10, 20, 30], "cost") == 20
    assert average([6, 3, 2], "rate") == pytest.approx(3.0)
    with pytest.raises(ValueError, match="must not be averaged"):
        average([0.5, 2.0], "ratio")


def test_summaries_have_no_interval_below_six() -> None:
    few = summarise([3.0, 1.0, 2.0])
    assert (few.median, few.low, few.high, few.smallest, few.largest, few.n) == (2.0, None, None, 1.0, 3.0, 3)
    assert "too few for a 95 % interval" in interval_note([3, 3])
    many = summarise([float(x) for x in range(1, 10)])
    assert (many.median, many.low, many.high) == (5.0, 2.0, 8.0)
    assert "exact binomial" in interval_note([9])


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8)), min_size=1, max_size=12))
def test_the_pareto_front_against_its_definition(points: list[tuple[int, int]]) -> None:
    front = set(pareto_front([(float(a), float(b)) for a, b in points]))
    for i, (rate, cost) in enumerate(points):
        better = [(r, c) for r, c in points if r >= rate and c <= cost and (r, c) != (rate, cost)]
        assert (i in front) == (not better)


def test_every_figure_is_drawn_from_a_full_study(tmp_path: Path) -> None:
    figures = drawn(write_study(tmp_path / "full", full()))
    assert set(figures) >= {
        "energy_time_modelled", "time_breakdown", "energy_breakdown_modelled", "peak_memory", "traffic",
        "loss_energy_modelled", "accuracy_energy_modelled", "loss_step", "step_times",
    }  # fmt: skip
    data = figures["energy_time_modelled"].data
    assert list(dict.fromkeys(data["label"])) == ["single", "data n=2", "tensor n=2", "pipeline n=2"]
    assert set(data[data["on_pareto_front"]]["label"]) == {"tensor n=2"}
    assert "modelled" in figures["energy_time_modelled"].caption
    assert "too few for a 95 % interval" in figures["energy_time_modelled"].caption
    assert "all are equal, to the byte" in figures["traffic"].caption
    bars = figures["time_breakdown"].data.set_index("label")
    record = make_record("data", 0)
    repeats = [make_record("data", r)["time"]["by_phase"]["wait_s"] for r in range(3)]
    assert bars.loc["data n=2", "wait_s"] == pytest.approx(sum(repeats) / 3)
    joules = figures["energy_breakdown_modelled"].data.set_index("label").loc["data n=2"]
    whole = [make_record("data", r)["energy"]["per_sample_J"] for r in range(3)]
    assert joules[["compute_J", "communicate_J", "wait_J"]].sum() == pytest.approx(sum(whole) / 3)
    assert record["energy"]["kind"] == "modelled"


def test_six_repeats_have_intervals(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "six", full(6))
    figure = drawn(folder)["energy_time_modelled"]
    assert "95 % intervals by rank" in figure.caption
    assert "(95 % interval" in answer(load_study(folder))[0]


def test_measured_and_modelled_are_drawn_apart(tmp_path: Path) -> None:
    records = full(2) + full(2, kind="measured")
    figures = drawn(write_study(tmp_path / "mixed", records))
    assert set(figures["energy_time_modelled"].data["kind"]) == {"modelled"}
    assert set(figures["energy_time_measured"].data["kind"]) == {"measured"}


def test_a_study_without_energy_still_has_times(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "none", full(1, kind="none"))
    found = set(drawn(folder))
    assert found >= {"time_breakdown", "peak_memory", "traffic", "loss_step", "step_times"}
    assert not [name for name in found if "energy" in name or "modelled" in name]
    assert answer(load_study(folder)) == ["single trained 22 samples/s. No energy was asked for."]


def test_bad_points_stay_out_and_are_named(tmp_path: Path) -> None:
    records = [make_record("single"), make_record("data", status="invalid", reason="power covers every host: gap")]
    records.append(make_record("tensor", status="oom", reason="out of memory on rank 1"))
    folder = write_study(tmp_path / "bad", records)
    (folder / "half").mkdir()
    (folder / "half" / "result.json").write_text('{"schema": "edgejoule.result/1", "sta')
    study = load_study(folder)
    assert list(study.points["label"]) == ["single"]
    assert len(study.problems) == 1
    assert "Out of memory: tensor n=2." in drawn(folder)["peak_memory"].caption
    assert main(["report", str(folder), "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "index.html").read_text()
    for words in ("oom. out of memory on rank 1", "invalid. power covers every host: gap", "is not a whole record"):
        assert words in page
    assert main(["check", str(folder)]) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder.mkdir(), "is not a study"),
        (lambda folder: write_study(folder, []), "holds no record yet"),
        (lambda folder: write_json(folder / "study.json", {"schema": "edgejoule.study/9"}), "this version reads"),
    ],
)
def test_folders_that_are_no_study(make: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "x"
    make(folder)
    with pytest.raises(UserError, match=message):
        load_study(folder)
    assert main(["report", str(folder)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_power_of_two_hosts_is_on_one_axis(tmp_path: Path) -> None:
    """Hosts whose clocks differ by an hour: 10 W and, after 5 s, 20 W on one, always 5 W on the other."""
    folder = write_study(tmp_path / "study", [make_record("data")])
    (point,) = (path for path in folder.iterdir() if path.is_dir())
    t_ns = np.arange(0, 30_000_000_001, 100_000_000, dtype=np.int64)
    joules = np.where(t_ns < 5e9, 10 * t_ns / 1e9, 50 + 20 * (t_ns / 1e9 - 5))
    channel = Channel("c", "counter", 1e-6, "test")
    rising = (joules * 1e6).astype(np.int64).reshape(-1, 1)
    near = Trace("a", "1", "x", "rapl", "measured", 0.1, (channel,), t_ns, t_ns, rising, label="a")
    later = t_ns + 3600 * 10**9
    flat = (2 * t_ns // 1000).reshape(-1, 1)
    calibration = Calibration(2.0, 1.0, 0.0, 0.0, 0.0, "meter", "wall", "2026-01-01")  # 5 W are 2 * 2 + 1
    far = Trace(
        "b", "2", "x", "rapl", "measured", 0.1, (channel,), later, later, flat, label="b", rank=1, calibration=calibration
    )
    check = Trace("b", "2", "x", "pyjoules", "measured", 0.1, (channel,), later, later, flat, label="b", rank=1)
    traces = [near, far, check]
    write_power(
        point / "power.parquet",
        traces,
        lambda rank, ns: (ns - rank * 3600e9) / 1e9,
        lambda trace: [] if trace is check else ["c"],
    )
    data = drawn(folder)["power_modelled"].data
    data = data[data["host"] == ALL]
    assert data[data["time_s"] < 4.7]["power_W"].tolist() == pytest.approx([15.0] * 19, abs=1e-3)
    assert data[data["time_s"] > 5.3]["power_W"].min() == pytest.approx(25.0, abs=1e-3)
    window = make_record("data")["time"]["windows"][0]
    assert data[data["phase"] == "timed"]["time_s"].min() == pytest.approx(window["start_s"], abs=0.25)


def test_needs_neither_torch_nor_mpi() -> None:
    import sys

    verbs = ", ".join(verb.module for verb in VERBS.values())
    code = f"import sys, analysis.__main__, {verbs}; print([m for m in ('torch', 'mpi4py', 'hydra') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
