"""Watts are watts by a unit or by the user's word; every other column is refused by its name, whatever numbers it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analysis.imports.log.log_units import asked_unit
from bench.common.user_error import UserError
from tests.analysis.imports.test_power_csv import read, rows


def watts(log: Any) -> list[float]:
    (found,) = log.readings
    return [value / 1e6 for value in found.raw.ravel().tolist()]


@pytest.mark.parametrize(
    ("name", "cell", "expected_W"),
    [
        ("power_milliwatts", "8000", 8.0),
        ("powerMilliwatts", "8000", 8.0),
        ("power.mW", "8000", 8.0),
        ("power_mw", "8000", 8.0),
        ("PowermW", "8000", 8.0),
        ("Power [mW]", "8000", 8.0),
        ("Leistung (W)", "8.00", 8.0),
        ("power/kW", "0.008", 8.0),
        ("P_uW_mean", "8000000", 8.0),
        ("current power (W)", "8", 8.0),
        ("watts", "8", 8.0),
        ("w", "8", 8.0),
        ("whatever", "8.00 W", 8.0),
        ("power", "8000 mW", 8.0),
        ("power [W]", "8.00 W", 8.0),
        ("Power", "8.0", 8.0),
    ],
)
def test_a_power_by_its_unit(tmp_path: Path, name: str, cell: str, expected_W: float) -> None:
    assert watts(read(tmp_path, rows(name, cell, cell))) == pytest.approx([expected_W] * 2)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("voltage_V", "voltage in V"),
        ("current [mA]", "current in mA"),
        ("I_A", "current in A"),
        ("temp_C", "a temperature"),
        ("percent", "per cent"),
        ("GPU usage (%)", "per cent"),
        ("Apparent power (VA)", "apparent power, which is no watts"),
        ("S [VA]", "apparent power (VA), which is no watts"),
        ("Power factor", "a factor"),
        ("power.limit [W]", "a limit"),
        ("max_power_W", "a largest value"),
        ("POWER_MW", "in MW, which may be milli or mega"),
        ("load", "a load"),
        ("plug 1", "without a unit"),
        ("energy", "energy without a unit"),
    ],
)
def test_what_is_no_power_is_refused_by_its_name(tmp_path: Path, name: str, words: str) -> None:
    """With and without being asked for: 8 of anything else is never 8 W."""
    for asked in ((), (name,)):
        with pytest.raises(UserError) as raised:
            read(tmp_path, rows(name, "8", "8"), columns=asked)
        assert f"{name} is {words}" in str(raised.value)


def test_cells_that_are_no_watts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a is apparent power \(VA\), which is no watts"):
        read(tmp_path, rows("a", "8 VA", "8 VA"))
    with pytest.raises(UserError, match=r"row 3 has '8 VA', which is not W"):
        read(tmp_path, rows("a_W", "8 W", "8 VA"))
    with pytest.raises(UserError, match=r"row 2 has '8 mW', and the column's name says W; one of them is wrong"):
        read(tmp_path, rows("a_W", "8 mW", "8"))
    with pytest.raises(UserError, match=r"row 3 has '8' without a unit, and other rows have one"):
        read(tmp_path, rows("a", "8 W", "8"))
    assert watts(read(tmp_path, rows("a", "8.00 W", "950 mW"))) == pytest.approx([8.0, 0.95])


def test_the_user_says_the_unit(tmp_path: Path) -> None:
    """Of all columns whose names say none, or of one; never against a unit in the name, unless that column is named."""
    text = "time,a,b,volt_V\n1772366400,8000,9,5\n1772366401,8000,9,5\n"
    a, b = read(tmp_path, text, unit=asked_unit("mW"), column_units={"b": asked_unit("W")}).readings
    assert (a.raw[0, 0], b.raw[0, 0]) == (8_000_000, 9_000_000)
    assert watts(read(tmp_path, rows("load", "8", "8"), column_units={"load": asked_unit("W")})) == [8.0, 8.0]
    assert watts(read(tmp_path, rows("a_W", "8000", "8000"), column_units={"a_W": asked_unit("mW")})) == [8.0, 8.0]
    with pytest.raises(UserError, match=r"column a_W is in W by its name, and --unit says mW; if the name is wrong, say it of"):
        read(tmp_path, rows("a_W", "8", "8"), unit=asked_unit("mW"))
    with pytest.raises(UserError, match=r"column u_V is voltage in V, and --unit says W"):
        read(tmp_path, rows("u_V", "8", "8"), column_units={"u_V": asked_unit("W")})
    with pytest.raises(UserError, match=r"u_V is voltage in V"):
        read(tmp_path, rows("u_V", "8", "8"), unit=asked_unit("W"))
    with pytest.raises(UserError, match=r"has no column c; columns are a"):
        read(tmp_path, rows("a", "8", "8"), column_units={"c": asked_unit("W")})
    with pytest.raises(UserError, match=r"--unit mw is unknown; units are uW, mW, .*; did you mean mW\?"):
        asked_unit("mw")


def test_power_without_a_unit_is_watts_of_a_board_or_refused(tmp_path: Path) -> None:
    """8 can be watts of a board; 8000 and 0.008 cannot, and the log may as well have milliwatts or kilowatts."""
    log = read(tmp_path, rows("Power", "8", "8"))
    assert log.notes == ("column Power has no unit; numbers around 8 are taken as watts (--unit mW would say otherwise)",)
    for cell in ("8000", "0.008"):
        with pytest.raises(UserError, match=r"has no unit, and as watts it is not what boards use; give --unit W, mW or kW"):
            read(tmp_path, rows("Power", cell, cell))
    assert read(tmp_path, rows("Power", "8000", "8000"), unit=asked_unit("W")).notes == ()


def test_a_row_of_units(tmp_path: Path) -> None:
    text = "time,main,u,note\n[s],[mW],[V],[-]\n1772366400,8000,5,\n1772366401,,5,\n1772366402,8000,5,\n"
    log = read(tmp_path, text)
    assert watts(log) == [8.0, 8.0]
    assert log.unused == ("column u", "column note")
    with pytest.raises(UserError, match=r"column main: row 4 has 'x', which is no number"):
        read(tmp_path, text.replace("1,,5", "1,x,5"))


def test_volts_times_amps_only_if_both_are_asked_for(tmp_path: Path) -> None:
    text = "time,voltage_V,current [mA]\n1772366400,5.00,1600\n1772366401,5.00,1600\n"
    with pytest.raises(UserError, match=r"ask for volts times amps: --column 'VOLTS\*AMPS=HOST'"):
        read(tmp_path, text)
    log = read(tmp_path, text, columns=("voltage_V*current [mA]",))
    assert (log.names, watts(log)) == (["voltage_V*current [mA]"], [8.0, 8.0])
    # 5 V times a last digit of 1 mA, and 1.6 A times one of 10 mV.
    assert log.readings[0].channels[0].lsb * 1e-6 == pytest.approx((0.005**2 + 0.016**2) ** 0.5)
    with pytest.raises(
        UserError, match=r"must be a column of volts times one of amps, each with its unit; voltage_V is voltage in V"
    ):
        read(tmp_path, text, columns=("voltage_V*voltage_V",))


def test_a_running_total_of_energy_is_a_counter(tmp_path: Path) -> None:
    """A difference of counters is better than power; one that falls is none, or began again."""
    (found,) = read(tmp_path, rows("energy_Wh", "1.000", "1.002", "1.004")).readings
    assert (found.channels[0].kind, found.raw.ravel().tolist()) == ("counter", [3_600_000_000, 3_607_200_000, 3_614_400_000])
    assert found.channels[0].lsb * 1e-6 == pytest.approx(3.6)
    with pytest.raises(
        UserError, match=r"row 4 is below the row before, so it is no running total of energy, or one that began"
    ):
        read(tmp_path, rows("energy_Wh", "1", "2", "0"))
    (power,) = read(tmp_path, "time,e_J,p_W\n1772366400,1,8\n1772366401,9,8\n").readings
    assert power.channels[0].kind == "power"


@pytest.mark.parametrize(
    ("cells", "expected_W"),
    [
        (("8,00", "7,5"), [8.0, 7.5]),
        (("8,000", "7,5"), [8.0, 7.5]),
        (("1,234.5", "8"), [1234.5, 8.0]),
        (("1.234,5", "8.000"), [1234.5, 8000.0]),
        (("8'000.5", "9"), [8000.5, 9.0]),
        (("8\u202f000,5", "9"), [8000.5, 9.0]),
        (("8.000", "9.125"), [8.0, 9.125]),
        (("1.7e1", ".5"), [17.0, 0.5]),
    ],
)
def test_decimal_marks_and_groups(tmp_path: Path, cells: tuple[str, ...], expected_W: list[float]) -> None:
    assert watts(read(tmp_path, rows("a_W", *cells))) == expected_W


def test_a_comma_that_may_be_either_is_refused(tmp_path: Path) -> None:
    """Eight or eight thousand: another column can tell, or the user."""
    text = "time;a_W;u_V\n1772366400;8,000;{}\n1772366401;9,125;{}\n"
    with pytest.raises(
        UserError, match=r"row 2 has '8,000', whose comma may be a decimal mark or may group digits; give --decimal"
    ):
        read(tmp_path, text.format("5", "5"))
    assert watts(read(tmp_path, text.format("5,1", "5,1"))) == [8.0, 9.125]
    assert watts(read(tmp_path, text.format("5", "5"), decimal=",")) == [8.0, 9.125]
    assert watts(read(tmp_path, text.format("5", "5"), decimal=".")) == [8000.0, 9125.0]
    with pytest.raises(UserError, match=r"and other rows have the other decimal mark; write all cells alike"):
        read(tmp_path, rows("a_W", "8,5", "8.5"))


@pytest.mark.parametrize(
    ("header", "first", "second"),
    [
        ("Date,Time", "2026-03-01,12:00:00.00", "2026-03-01,12:00:02.00"),
        ("Time,Date", "12:00:00,01.03.2026", "12:00:02,01.03.2026"),
        ("timestamp", "2026/03/01 12:00:00.000", "2026/03/01 12:00:02.000"),
        ("timestamp", "01.03.2026 12:00:00", "01.03.2026 12:00:02"),
        ("time (UTC)", "2026-03-01 12:00:00 UTC", "2026-03-01 12:00:02 UTC"),
        ("Timestamp [ms]", "1772366400000", "1772366402000"),
        ("Datum;Uhrzeit", "01.03.2026;12:00:00,5", "01.03.2026;12:00:02,5"),
    ],
)
def test_days_and_times_as_loggers_write_them(tmp_path: Path, header: str, first: str, second: str) -> None:
    from analysis.imports.log import civil_times

    sign = ";" if ";" in header else ","
    text = f"{header}{sign}a_W\n{first}{sign}8\n{second}{sign}8\n"
    (found,) = read(tmp_path, text, zone=civil_times.zone_of("UTC")).readings
    half = 500_000_000 if first.endswith(",5") else 0
    assert found.t_ns.tolist() == [1_772_366_400 * 10**9 + half, 1_772_366_402 * 10**9 + half]


def test_days_of_the_month_are_told_by_other_rows(tmp_path: Path) -> None:
    """3 April or 4 March: a row with a day above 12 tells, and AM from PM by what is written."""
    text = "time,a_W\n{},8\n{},8\n"
    from analysis.imports.log import civil_times

    utc = civil_times.zone_of("UTC")
    (us,) = read(tmp_path, text.format("3/12/2026 11:59:59 PM", "3/13/2026 12:00:01 AM"), zone=utc).readings
    assert us.t_ns.tolist() == [civil_times.moment_ns("", f"2026-03-{t}Z", None) for t in ("12T23:59:59", "13T00:00:01")]
    (uk,) = read(tmp_path, text.format("12/03/2026 23:59:59", "13/03/2026 00:00:01"), zone=utc).readings
    assert uk.t_ns.tolist() == us.t_ns.tolist()


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"PK\x03\x04\x14", "a spreadsheet or an archive; save it as CSV"), (b"\x1f\x8b\x08", "is compressed; unpack it")],
)
def test_what_is_packed_is_refused_in_its_own_words(tmp_path: Path, data: bytes, message: str) -> None:
    from analysis.imports.log.log_format import read_log
    from analysis.imports.log.meter_log import LogOptions

    (tmp_path / "log").write_bytes(data)
    with pytest.raises(UserError, match=message):
        read_log(tmp_path / "log", None, LogOptions(level="wall"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    """The unit of a cell behind a no-break space, a name with an umlaut: as spreadsheets save them."""
    path = tmp_path / "log.csv"
    path.write_bytes("time;Gerät µ (W);Temperatur °C\n1772366400;8,00;40\n1772366401;8,00;40\n".encode(encoding))
    from analysis.imports.formats import power_csv
    from analysis.imports.log.log_format import read_log
    from analysis.imports.log.meter_log import LogOptions

    assert watts(read_log(path, None, LogOptions(level="wall"))) == [8.0, 8.0]
    assert power_csv.read(path, LogOptions(level="wall")).names == ["Gerät µ (W)"]


def test_what_spreadsheets_add(tmp_path: Path) -> None:
    """A line that names the delimiter, delimiters at the ends of lines, a header behind a hash, the header again at the end."""
    assert watts(read(tmp_path, "time,a_W\n1772366400,8\n1772366401,8\ntime,a_W\n")) == [8.0, 8.0]
    assert watts(read(tmp_path, "Time_Of_Day_Seconds\tPkgWatt\n1772366400.5\t8\n1772366401.5\t8\n")) == [8.0, 8.0]
    assert watts(read(tmp_path, "sep=;\ntime;a_W;\n1772366400;8;\n1772366401;8;\n")) == [8.0, 8.0]
    assert watts(read(tmp_path, "# made by a logger\n# time,a_W\n1772366400,8\n1772366401,8\n")) == [8.0, 8.0]
