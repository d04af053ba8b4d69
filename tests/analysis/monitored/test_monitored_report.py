"""Reports of monitored programs: the numbers of records that can be worked out by hand, on the page and in its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.monitored.monitored_study import is_monitored, load_monitored_study
from analysis.monitored.monitored_tables import Z, hosts_table, regions_table, runs_table
from bench.monitor.host_part import HostPart, write_part
from bench.monitor.monitored_run import merge_parts
from tests.bench.monitor.parts import lane, part, trace

WORK = [("step", 2.0, 9.0), ("step/forward", 2.0, 5.0), ("step/backward", 5.0, 9.0)]


def write_run(study: Path, name: str, watts: float, parts: Sequence[HostPart] | None = None) -> None:
    run = study / name
    run.mkdir(parents=True)
    one = part([trace(lambda t: watts * t, 12, 0.01)], [lane(WORK)], idle_s=(-0.9, -0.1))
    for each in parts or [one]:
        write_part(run, each)
    merge_parts(run)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two good runs of one command, 100 and 120 J in 10 s; one without a rank; one folder of nothing."""
    folder = tmp_path / "mine"
    write_run(folder, "first", 10)
    write_run(folder, "second", 12)
    write_run(folder, "torn", 0, [part([trace(lambda t: 10 * t, 12, 0.01)], size=2)])
    (folder / "empty").mkdir()
    return folder


def test_runs_of_one_command_are_repeats(study: Path) -> None:
    """Median 110 J of 100 and 120 J; with two runs the bracket is what the sensors leave unknown, and says so."""
    table = runs_table(load_monitored_study(study))
    (row,) = table.data.to_dict("records")
    assert (row["command"], row["runs"], row["energy"]) == ("x", 2, "measured (rapl)")
    assert row["energy_J"] == pytest.approx(110, rel=1e-3)
    assert row["power_W"] == pytest.approx(11, rel=1e-3)
    assert row["energy_J_high"] - row["energy_J"] == pytest.approx(row["energy_J"] - row["energy_J_low"])
    records = [run.record.energy for run in load_monitored_study(study).runs if run.good]
    assert row["energy_J_high"] - row["energy_J"] == pytest.approx(
        Z * sum(one.uncertainty_J or 0 for one in records) / 2, rel=1e-6
    )
    assert row["dynamic_J"] == pytest.approx(0, abs=1)  # idle drew the same
    assert "without the spread between runs" in table.caption


def test_six_runs_have_an_interval_by_rank(tmp_path: Path) -> None:
    for number in range(6):
        write_run(tmp_path / "six", f"run-{number}", 10 + number)
    (row,) = runs_table(load_monitored_study(tmp_path / "six")).data.to_dict("records")
    assert (row["energy_J_low"], row["energy_J_high"]) == (pytest.approx(100, rel=1e-3), pytest.approx(150, rel=1e-3))


def test_regions_and_hosts(study: Path) -> None:
    loaded = load_monitored_study(study)
    rows = regions_table(loaded).data.set_index("region")
    assert list(rows.index) == ["step", "step/backward", "step/forward"]
    assert rows["energy_J"].tolist() == [pytest.approx(77, abs=0.5), pytest.approx(44, abs=0.5), pytest.approx(33, abs=0.5)]
    assert rows.loc["step", "share"] == pytest.approx(70, abs=0.5)
    hosts = hosts_table(loaded).data
    assert hosts["status"].tolist() == ["ok", "ok", "invalid"]
    assert pd.isna(hosts["energy_J"].iloc[2])  # of an invalid run no joules are shown


def test_the_report_is_whole(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report"
    assert main(["report", str(study), "--out", str(out), "--format", "svg"]) == 0
    printed = capsys.readouterr().out
    assert "110" in printed
    assert "left out: empty has no monitored.json" in printed
    page = (out / "index.html").read_text()
    for words in ("3 runs, 2 of them valid", "every rank handed in", "missing: 1", "Energy of regions", "Power over time"):
        assert words in page
    assert sorted(path.name for path in (out / "figures").iterdir()) == [
        "energy_time_measured.svg", "power_measured.svg", "regions_measured.svg"
    ]  # fmt: skip
    assert sorted(path.stem for path in (out / "tables").glob("*.csv")) == ["hosts", "regions", "runs"]
    first = {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert main(["report", str(study), "--out", str(out), "--format", "svg"]) == 0
    assert {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()} == first  # the same bytes again


def test_check_tells_every_run(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(study)]) == 1
    out = capsys.readouterr().out
    assert "first: ok" in out
    assert "torn: invalid - every rank handed in: missing: 1" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["report", "STUDY", "--olympic"], "--olympic is of points"),
        (["publish", "STUDY", "--into", "x"], "has monitored programs and no points"),
        (["compare", "STUDY", "STUDY"], "has monitored programs and no points"),
    ],
)
def test_what_is_of_points_alone_is_refused(
    study: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(study) if word == "STUDY" else word for word in words]) == 2
    assert said in capsys.readouterr().err


def test_a_record_that_is_torn_leaves_the_others(study: Path) -> None:
    """One bad file never takes the others with it, and is named."""
    (study / "first/monitored.json").write_text('{"schema": "edgejoule.monitored/1"')
    loaded = load_monitored_study(study)
    assert [run.record.name for run in loaded.runs] == ["second", "torn"]
    assert any("is not a whole record" in line for line in loaded.problems)
    assert is_monitored(study)
    assert not is_monitored(study / "second")
