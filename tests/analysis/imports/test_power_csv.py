"""Power logs as meters write them: every way to tell the time, and one clear line for what cannot be read."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.imports.formats import power_csv
from analysis.imports.log import civil_times
from analysis.imports.log.meter_log import LogOptions
from bench.common.user_error import UserError

NOON = 1_772_366_400 * 10**9  # 2026-03-01 12:00:00 UTC
OPTIONS = LogOptions(level="wall")


def read(folder: Path, text: str, **changes: Any) -> Any:
    path = folder / "log.csv"
    path.write_text(text)
    return power_csv.read(path, replace(OPTIONS, **changes))


def rows(name: str, *cells: object) -> str:
    """A column of this name with one cell a second from noon on; cells with a comma are quoted."""
    quoted = [f'"{cell}"' if "," in str(cell) else str(cell) for cell in cells]
    return "\n".join([f"time,{name}", *(f"{NOON // 10**9 + second},{cell}" for second, cell in enumerate(quoted))]) + "\n"


def test_the_constant_is_noon() -> None:
    assert datetime.fromtimestamp(NOON / 1e9, timezone.utc) == datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("first", "second", "known_ns", "how"),
    [
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:02Z", 10**9, {}),
        ("2026-03-01T13:00:00.00+01:00", "2026-03-01T13:00:02.00+01:00", 10**7, {}),
        ("2026-03-01 13:00:00.000", "2026-03-01 13:00:02.000", 10**6, {"zone": civil_times.zone_of("Europe/Berlin")}),
        ("2026-03-01T13:00:00.000", "2026-03-01T13:00:02.000", 10**6, {"zone": civil_times.zone_of("+01:00")}),
        ("1772366400", "1772366402", 10**9, {}),
        ("1772366400.000", "1772366402.000", 10**6, {}),
        ("1.7723664e9", "1.772366402e9", 10**9, {}),
        ("1772366400000", "1772366402000", 10**6, {}),
        ("1772366400000000", "1772366402000000", 10**3, {}),
        ("1772366400000000000", "1772366402000000000", 1, {}),
        ("-0.5", "1.5", 10**8, {"start_ns": NOON + 5 * 10**8}),
    ],
)
def test_times(tmp_path: Path, first: str, second: str, known_ns: int, how: dict[str, Any]) -> None:
    """All of these are noon and two seconds later, each known to its last digit."""
    log = read(tmp_path, f"time,power\n{first},4.5\n{second},4.75\n", **how)
    (found,) = log.readings
    assert found.t_ns.tolist() == [NOON, NOON + 2 * 10**9]
    assert found.known_ns == known_ns
    assert found.raw.ravel().tolist() == [4_500_000, 4_750_000]


def test_a_start_may_be_local(tmp_path: Path) -> None:
    assert civil_times.moment_ns("--start", "2026-03-01T13:00:00", civil_times.zone_of("Europe/Berlin")) == NOON
    assert civil_times.started_ns("2026-03-01T12:00:00.250000+00:00") == (NOON + 250_000_000, True)
    assert civil_times.started_ns("2026-03-01T12:00:00+00:00") == (NOON, False)


def test_columns_units_and_blanks(tmp_path: Path) -> None:
    """Watts by their unit, other columns named as unused; an empty cell is no reading; each to its last digit."""
    rows = ["x;1772366400;1500;0.25;230", "x;1772366401;;0.5;230", "x;1772366402;1600;1;231"]
    text = "\n".join(["# plug 3", "", "When;Epoch;a (mW);b_kW;Voltage (V)", *rows])
    log = read(tmp_path, text)
    a, b = log.readings
    assert log.unused == ("column When", "column Voltage (V)")
    assert (a.name, a.raw.ravel().tolist(), a.blanks) == ("a (mW)", [1_500_000, 1_600_000], 1)
    assert (b.name, b.raw.ravel().tolist(), b.blanks) == ("b_kW", [250_000_000, 500_000_000, 10**9], 0)
    assert a.channels[0].lsb == pytest.approx(1000)  # 1 mW
    assert b.channels[0].lsb == pytest.approx(10_000_000)  # 0.01 kW
    assert np.diff(a.t_ns).tolist() == [2 * 10**9]


def test_columns_that_are_asked_for(tmp_path: Path) -> None:
    text = "t,x,y_W\n1772366400,1,2\n1772366401,1,2\n"
    log = read(tmp_path, text, columns=("y_W",), accuracy=0.02, kind="modelled")
    (found,) = log.readings
    assert (found.name, found.kind, found.channels[0].accuracy, found.channels[0].level) == ("y_W", "modelled", 0.02, "wall")
    assert log.unused == ("column x",)


@pytest.mark.parametrize(
    ("text", "how", "message"),
    [
        ("", {}, "log.csv is empty; give the meter's log"),
        ("time,power\n", {}, "log.csv has the columns time, power and no rows"),
        ("time,power\n1772366400,1\n", {}, "column time has 1 reading(s); energy needs two at least"),
        ("when,power\n1,1\n", {}, "has no column of times that is called so; columns are when, power; give --time-column NAME"),
        ("when,power\n1,1\n", {"time_column": "whem"}, "has no column whem; columns are when, power; did you mean when?"),
        ("time,power,power\n1,1,1\n", {}, "has two columns 'power'; name them apart"),
        ("time,power\n1772366400,1\n1772366401\n", {}, "row 3 has 1 cells, the header 2; complete it or take it out"),
        ("time\n1772366400\n1772366401\n", {}, "has a column of times only; it needs one of watts"),
        (rows("a_W", 1, 1), {"level": None}, "does not say where its meter sits; give --level wall, board,"),
        (rows("a_W", 1, 1), {"columns": ("b",)}, "has no column b; columns are a_W"),
        (rows("a_W", 1, -0.5), {}, "column a_W: row 3 has -0.5 W; it must be a number and not negative"),
        (rows("a_W", 1, "nan"), {}, "column a_W: row 3 has 'nan', which is no number; leave cells without a reading empty"),
        (rows("a_W", 1, "inf"), {}, "column a_W: row 3 has 'inf', which is no number"),
        (rows("a_W", 1, 1e20), {}, "column a_W: row 3 has 1e+20 W, which no meter reads; is the unit right?"),
        (rows("a_W", 1, "1e99"), {}, "column a_W: row 3 has '1e99', which no meter reads"),
        (rows("a_W", "off", 1), {}, "row 2 has 'off', which is no number; leave cells without a reading empty"),
        ("time,a_W\n1772366401,1\n1772366400,1\n", {}, "row 3 has the time 2026-03-01 12:00:00.0 UTC, which is not after"),
        ("time,a_W\n1772366400,1\n1772366400,1\n", {}, "row 3 has the time 2026-03-01 12:00:00.0 UTC, which is not after"),
        (
            "time,a_W\n2026-03-01T12:00:00,1\n",
            {},
            "times such as 2026-03-01T12:00:00 have no time zone; give --time-zone, such",
        ),
        ("time,a\n2026-03-01T12:00:00Z,1\n2026-03-01T12:00:01,1\n", {}, "2026-03-01T12:00:01 has no time zone and others do"),
        ("time,a\n2026-03-01T12:00:00Z,1\nnoon,1\n", {}, "noon has no time zone and others do"),
        (
            "time,a\n2026-03-01T12:00:00Z,1\n03-01Z,1\n",
            {},
            "'03-01Z' is no ISO 8601 time, such as 2026-11-28T18:45:51.93+01:00",
        ),
        ("time,a\n03/04/2026 12:00:00,1\n", {}, "03/04/2026 may begin with the day or with the month, and no other row tells"),
        ("time,a\n12:00:00,1\n12:00:01,1\n", {}, "has times of a day only, such as 12:00:00; give both columns: --time-column"),
        ("date,a\n2026-03-01,1\n", {}, "column date has days only, such as 2026-03-01; give both columns: --time-column"),
        (
            "time,a\n0.5,1\n1.5,1\n",
            {},
            "times such as 0.5 count from a start that the file does not tell; give --start, such as",
        ),
        ("time,a\n1772366400,1\n", {"start_ns": NOON}, "times such as 1772366400 count from 1970, so --start has no meaning"),
        (
            "time_ms,a\n1772366400,1\n",
            {},
            "1772366400 is no time since 1970 in the unit of its name; rename the column, or give",
        ),
        ("time,a\nnan,1\n", {}, "column time: 'nan' is no ISO 8601 time"),
        ("time,a\n1772366400,1\nnan,1\n", {}, "column time: nan is no time, or not one like 1772366400"),
        ("time,a\n1e30,1\n1e31,1\n", {}, "column time: 1e30 is no time between 1970 and 2200"),
        ("time,a\n1772366400,1\n,1\n", {}, "column time: row 3 has no time; complete it or take it out"),
        (
            "time,a\n2026-10-25T02:30:00,1\n2026-10-25T02:30:01,1\n",
            {"zone": civil_times.zone_of("Europe/Berlin")},
            "the clocks were changed in between, so local times have no one meaning",
        ),
    ],
)
def test_bad_logs_give_one_line(tmp_path: Path, text: str, how: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as raised:
        read(tmp_path, text, **how)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(b"\x89\xff\x00")
    with pytest.raises(UserError, match="is not text; a power CSV is"):
        power_csv.read(path, OPTIONS)
