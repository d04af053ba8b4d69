"""Joules of the whole job, of each board, and carbon and cost: by hand, from 10 W that a plug read all the time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from analysis.__main__ import main
from analysis.study.study import Study, load_study
from analysis.tables.job_table import board_table, job_table
from analysis.tables.report_tables import study_tables
from analysis.tables.supply_table import supply_table
from analysis.tables.table import Table
from tests.analysis.imports.logged_studies import (
    BOTH,
    CARBON,
    SAMPLES,
    STARTED,
    STEPS,
    constant,
    point,
    ramp,
    run,
    times,
    write_csv,
    write_study,
)
from tests.analysis.studies import full, study

RESTS = [{"start_s": 2.6, "end_s": 8.6}, {"start_s": 80.2, "end_s": 86.2}]
END_S = 88.0


def long_point(strategy: str = "single", hosts: tuple[str, ...] = ("pi-1",), **changes: Any) -> dict[str, Any]:
    """A point that knows its rests, and when its last stage was over."""
    record = point(strategy, hosts=hosts, **changes)
    record["time"]["idle"] = RESTS
    record["time"]["stages"] = [{"stage": "evaluate", "start_s": 86.3, "end_s": END_S}]
    return record


def metered(folder: Path, records: list[dict[str, Any]], *words: str, first: float = -5, last: float = 95) -> Study:
    """The study with a plug's readings put under its events."""
    before = write_study(folder / "s", records)
    log = write_csv(folder / "log.csv", {"a": constant, "b": ramp}, times(first, last, 0.1))
    run(log, before, folder / "new", *(words or ("--column", "a=pi-1", "--unit", "W", "--level", "wall")))
    return load_study(folder / "new")


def row(table: Table | None) -> dict[str, Any]:
    assert table is not None
    (only,) = table.data.to_dict("records")
    return {str(key): value for key, value in only.items()}


def test_stages_add_up_to_the_whole_job(tmp_path: Path) -> None:
    """10 W: 2.6 s until the first rest, 12 s of rest, 4 s of warm-up, 60 s timed, 0.2 s behind it, and what lies between."""
    made = row(job_table(metered(tmp_path, [long_point()])))
    assert made["kind"] == "measured"
    assert made["start-up"] == pytest.approx(26)
    assert made["idle"] == pytest.approx(120)
    assert made["warm-up"] == pytest.approx(40)
    assert made["timed"] == pytest.approx(600)
    assert made["evaluation"] == pytest.approx(2)
    assert made["other"] == pytest.approx(74 + 18)
    assert made["whole_J"] == pytest.approx(10 * END_S)
    assert made["step_J"] == pytest.approx(600 / STEPS)
    assert (made["seconds"], made["unread_s"]) == (pytest.approx(END_S), pytest.approx(0, abs=1e-6))


def test_replication_has_its_own_joules(tmp_path: Path) -> None:
    record = long_point()
    sent = {"kind": "none", "joules": None, "uncertainty_J": None, "quality": "no readings", "start_s": 1.0, "seconds": 0.5}
    record["replication"] = {**sent, "payload_bytes": 100}
    made = row(job_table(metered(tmp_path, [record])))
    assert (made["replication"], made["start-up"]) == (pytest.approx(5), pytest.approx(21))
    assert made["whole_J"] == pytest.approx(10 * END_S)


def test_what_was_not_read_is_in_seconds_and_in_no_joules(tmp_path: Path) -> None:
    """A log from 1.5 s to 82 s: the rest of the run is missing, and the table says how long it was."""
    made = row(job_table(metered(tmp_path, [long_point()], first=1.5, last=82)))
    assert made["unread_s"] == pytest.approx(END_S - 80.5, abs=0.11)
    assert made["whole_J"] == pytest.approx(10 * (END_S - made["unread_s"]), rel=1e-6)


def test_points_without_readings_are_counted(tmp_path: Path) -> None:
    made = metered(tmp_path, [long_point(), long_point("data", ("pi-1",))])
    next(iter(made.good)).folder.joinpath("power.parquet").unlink()  # type: ignore[union-attr]
    table = job_table(made)
    assert table is not None
    assert "1 point(s) have no readings of the whole run beside their record" in table.caption
    assert job_table(study(full())) is None


def test_each_board_has_its_joules(tmp_path: Path) -> None:
    """10 W and 4 W + 0.2 W/s for 60 s: 600 J and 840 J, and 1.2 J as the log tells of 0.1 s earlier."""
    table = board_table(metered(tmp_path, [long_point("data", ("pi-1", "pi-2"))], *BOTH))
    assert table is not None
    rows = {made["host"]: made for made in table.data.to_dict("records")}
    assert rows["pi-1"]["step_J"] == pytest.approx(600 / STEPS)
    assert rows["pi-2"]["step_J"] == pytest.approx(841.2 / STEPS)
    assert rows["pi-1"]["share_percent"] == pytest.approx(100 * 600 / 1441.2)
    assert (rows["pi-1"]["level"], rows["pi-1"]["kind"]) == ("wall", "measured")
    assert board_table(metered(tmp_path / "one", [long_point()])) is None


def report(folder: Path, *words: str) -> int:
    return main(["report", str(folder / "new"), "--out", str(folder / "out"), "--format", "svg", *words])


def derived(folder: Path, *words: str) -> dict[str, Any]:
    """The row of the report's file."""
    import pandas as pd

    assert report(folder, *words) == 0
    (only,) = pd.read_csv(folder / "out" / "tables" / "carbon_and_cost.csv").to_dict("records")
    return {str(key): value for key, value in only.items()}


SAMPLES_PER_KWH = SAMPLES / 600 * 3.6e6


def test_a_stated_intensity_and_price(tmp_path: Path) -> None:
    metered(tmp_path, [long_point()])
    made = derived(tmp_path, "--co2", "400", "--co2-source", "the grid's operator", "--price", "0.30 EUR")
    assert made["carbon"] == pytest.approx(400 * 1e6 / SAMPLES_PER_KWH)
    assert made["carbon_job"] == pytest.approx(400 * 10 * END_S / 3.6e6)
    assert made["cost"] == pytest.approx(0.30 * 1e6 / SAMPLES_PER_KWH)
    assert made["cost_job"] == pytest.approx(0.30 * 10 * END_S / 3.6e6)
    page = (tmp_path / "out" / "index.html").read_text()
    assert "Carbon and cost (derived, not measured)" in page
    for words in (
        "joules, measured, idle power included, times",
        "the intensity that the grid&#39;s operator states and a price of",
    ):
        assert words in page
    assert "EUR/million samples" in page
    assert "--price &#39;0.30 EUR&#39;" in page or "--price" in page  # the command that makes the report again


def test_the_intensity_of_the_records_counts_where_none_is_stated(tmp_path: Path) -> None:
    made = row(supply_table(metered(tmp_path, [long_point()])))
    assert made["g_per_kWh"] == CARBON["g_per_kWh"]
    assert made["cost"] is None
    bare = [{**record, "energy": {**record["energy"], "carbon": None}} for record in full()]
    assert supply_table(study(bare)) is None


def series(folder: Path, values: list[tuple[float, str]], name: str = "Carbon intensity [gCO2eq/kWh]") -> Path:
    """A CSV with values from so many seconds after the start of the run on."""
    rows = [f"{(STARTED + timedelta(seconds=t_s)).strftime('%Y-%m-%d %H:%M:%S.%f')},{value}" for t_s, value in values]
    path = folder / "grid.csv"
    path.write_text("\n".join([f"Datetime (UTC),{name}", *rows]) + "\n")
    return path


def test_a_series_is_matched_by_time(tmp_path: Path) -> None:
    """300 g until the 50th second, then 100 g: half of the window each; and of the job 50 s and 38 s."""
    metered(tmp_path, [long_point()])
    grid = series(tmp_path, [(-100, "900"), (0, "300"), (50, "100"), (150, "900")])
    made = derived(tmp_path, "--co2", str(grid))
    assert made["g_per_kWh"] == pytest.approx(200)
    assert made["carbon_job"] == pytest.approx(10 * END_S / 3.6e6 * (300 * 50 + 100 * 38) / END_S)
    kilograms = series(tmp_path, [(-100, "0,9"), (0, "0,3"), (50, "0,1"), (150, "0,9")], "kg CO2/kWh")
    kilograms.write_text(kilograms.read_text().replace(",kg", ";kg").replace("000,0", "000;0"))
    assert derived(tmp_path, "--co2", str(kilograms))["g_per_kWh"] == pytest.approx(200)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--co2", "-1"], "--co2 -1 must be grams of CO2 equivalent per kWh, from 0 to 10000"),
        (["--co2", "nan"], "--co2 nan must be grams of CO2 equivalent per kWh"),
        (["--co2", "none.csv"], "--co2 none.csv is neither a number of grams per kWh nor a file"),
        (["--co2", "400", "--time-zone", "UTC"], "--co2-column and --time-zone are about a CSV, and --co2 is a number"),
        (["--co2-source", "me"], "--co2-source is about --co2, which is not given"),
        (["--price", "0.3"], "--price 0.3 has no currency; give it, such as '0.3 EUR'"),
        (["--price", "EUR"], "--price EUR must be a price of a kWh with its currency, such as '0.32 EUR'"),
    ],
)
def test_bad_words_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert report(tmp_path, *words) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "values", "words", "message"),
    [
        (
            "gCO2eq/kWh",
            [(-100, "300"), (-50, "300")],
            [],
            "ran at 2026-03-01T12:00:20 UTC, and grid.csv, gCO2eq/kWh has 2026-03-01T11",
        ),
        ("gCO2eq/kWh", [(0, "300"), (100, "-5")], [], "row 3 has -5 g/kWh, which no grid has; is the unit right?"),
        ("gCO2eq/kWh", [(0, "300"), (100, "")], [], "1 row(s) have no value; take them out"),
        ("gCO2eq/kWh", [(0, "300"), (100, "high")], [], "row 3 has 'high', which is no number"),
        (
            "intensity",
            [(0, "300"), (100, "300")],
            [],
            "says that it is grams of CO2 per kWh; call it such as g_per_kWh or gCO2eq/kWh",
        ),
        ("cost/kWh", [(0, "300"), (100, "300")], [], "says that it is grams of CO2 per kWh"),
        ("gCO2eq/kWh", [(0, "300"), (100, "300")], ["--co2-column", "gCO2/kWh"], "has no column gCO2/kWh; columns are"),
    ],
)
def test_bad_series_are_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    values: list[tuple[float, str]],
    words: list[str],
    message: str,
) -> None:
    metered(tmp_path, [long_point()])
    assert report(tmp_path, "--co2", str(series(tmp_path, values, name)), *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_they_are_tables_of_every_report(tmp_path: Path) -> None:
    names = [table.name for table in study_tables(metered(tmp_path, [long_point("data", ("pi-1", "pi-2"))], *BOTH))]
    assert {"job_joules", "board_joules", "carbon_and_cost"} <= set(names)
