"""Whatever a file holds, each format reads it or refuses it in one line: bytes, tables, JSON and damaged HDF5."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.imports.log import civil_times
from analysis.imports.log.intensity_series import read_intensities
from analysis.imports.log.log_format import LOG_FORMATS, read_log
from analysis.imports.log.log_units import ASKED_UNITS, UNITS
from analysis.imports.log.meter_log import LogOptions
from bench.common.user_error import UserError
from tests.analysis.imports.logged_studies import point, run, write_study
from tests.analysis.imports.test_codecarbon import HEADER as EMISSIONS

MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
FORMATS = (None, "csv", "codecarbon", "nvidia-smi", "jtop", "perun")

LETTERS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), include_characters="\n\r\t\0")
NAMES = st.one_of(
    st.sampled_from(
        (
            *(
                "time",
                "timestamp",
                "date",
                "Time [ms]",
                "t_ns",
                "power_W",
                "power.draw [W]",
                "power.draw.instant [W]",
                "Power TOT",
            ),
            *("uptime", "Power", "a (mW)", "energy_Wh", "voltage_V", "current [mA]", "index", "note", "", "W", "MW", "S [VA]"),
            *EMISSIONS.split(",")[:14],
            *("run_id", "pue", "task_name"),
        )
    ),
    st.text(LETTERS, max_size=12),
)
CELLS = st.one_of(
    st.sampled_from(
        (
            *(
                "2026-03-01T12:00:00Z",
                "2026-03-01 12:00:01",
                "2026/03/01 12:00:02.5",
                "01.03.2026 12:00",
                "3/4/26 1:00 PM",
                "12:00:03",
            ),
            *(
                "2026-03-01",
                "1772366400",
                "1772366401.5",
                "1772366400000",
                "1772366400000000000",
                "1e400",
                "-1",
                "0",
                "nan",
                "inf",
            ),
            *(
                "8",
                "8.00 W",
                "8,5",
                "8,000",
                "1e20",
                "9e307",
                "1e-300",
                "8 VA",
                "[N/A]",
                "",
                "-",
                "1.2.3",
                "8'000",
                "٣",
                "-0.0",
                "1_0",
            ),
            *(
                "2262-04-11T23:47:16.9Z",
                "9999-12-31T23:59:59Z",
                "0001-01-01T00:00:00Z",
                "2026-10-25T02:30:00",
                "2026-02-30T00:00Z",
            ),
            *("2026-03-01T12:00:00+99:99", "2026-W05", "20260301", "12:00:00 PM", "99.99.9999 99:99", "NaT", "now", "today"),
        )
    ),
    st.integers(1_772_366_400, 1_772_366_500).map(str),
    st.floats(width=32).map(repr),
    st.text(LETTERS, max_size=8),
)
ZONES = st.sampled_from((None, "UTC", "Europe/Berlin", "+01:00")).map(lambda name: name and civil_times.zone_of(name))


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """A CSV with names and cells of loggers and of none, rows that are too short, and the encodings of spreadsheets."""
    delimiter = draw(st.sampled_from(",;\t|"))
    header = draw(st.lists(NAMES, min_size=1, max_size=6))
    width = st.just(len(header)) if draw(st.booleans()) else st.integers(0, len(header) + 2)
    rows = [draw(st.lists(CELLS, min_size=size, max_size=size)) for size in draw(st.lists(width, max_size=6))]
    counts = draw(st.booleans())
    if counts:  # times that rise, so that what lies behind them is reached
        rows = [[str(1_772_366_400 + number), *row[1:]] for number, row in enumerate(rows) if row]
        header[0] = "time"
    quote = draw(st.booleans())
    lines = [delimiter.join(f'"{cell}"' if quote else cell for cell in row) for row in [header, *rows]]
    encoding = draw(st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252")))
    return "\n".join(lines).encode(encoding, "replace")


TIMES = (
    "{}",
    "{}.5",
    "{}000",
    "{}000000",
    "{}000000000",
    "2026-03-01T12:{:02d}:{:02d}Z",
    "2026/03/01 12:{:02d}:{:02d}.050",
    "01.03.2026 12:{:02d}:{:02d}",
    "3/13/2026 1:{:02d}:{:02d} PM",
)
NUMBERS = ("8", "8.25", "8.00 W", "8,25", "8000 mW", "0", "1e1", "", "n/a")


@st.composite
def logs(draw: st.DrawFn) -> bytes:
    """A log as loggers write it, with one wild cell at most: most are read."""
    count, form = draw(st.integers(2, 6)), draw(st.sampled_from(TIMES))
    names = (
        "power_W",
        "a (mW)",
        "energy_Wh",
        "Power",
        "power.draw [W]",
        "Power TOT",
        "uptime",
        "u_V",
        "i [A]",
        "note",
        "index",
    )
    header = ["timestamp", *draw(st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True))]
    kinds = [draw(st.sampled_from(NUMBERS)) for _ in header]
    rows = []
    for number in range(count):
        time = form.format(1_772_366_400 + number) if form.startswith("{}") else form.format(number, number)
        rows.append([time, *kinds[1:]])
    if draw(st.booleans()):
        row = draw(st.integers(0, count - 1))
        rows[row][draw(st.integers(0, len(header) - 1))] = draw(CELLS)
    delimiter = draw(st.sampled_from(";\t|"))
    return "\n".join(delimiter.join(row) for row in [header, *rows]).encode(
        draw(st.sampled_from(("utf-8", "utf-16"))), "replace"
    )


@st.composite
def words(draw: st.DrawFn) -> LogOptions:
    """What a user may say about a log."""
    names = draw(st.lists(NAMES, max_size=2, unique=True))
    units = st.sampled_from(ASKED_UNITS).map(UNITS.__getitem__)
    return LogOptions(
        zone=draw(ZONES),
        start_ns=draw(st.sampled_from((None, None, 1_772_366_400 * 10**9))),
        time_column=draw(st.sampled_from((None, None, None, "date+time", "time", "t_ns"))),
        columns=tuple(names) if draw(st.booleans()) else (),
        level=draw(st.sampled_from(("wall", "wall", None))),
        unit=draw(st.one_of(st.none(), units)),
        column_units={name: draw(units) for name in draw(st.lists(NAMES, max_size=1))} if draw(st.booleans()) else {},
        decimal=draw(st.sampled_from((None, None, ",", "."))),
    )


def read_or_refuse(data: bytes, name: str | None, options: LogOptions) -> None:
    """A log is read whole, its times rising and its values none below zero; or it is refused in one line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(data)
        try:
            log = read_log(path, name, options)
        except UserError as error:
            refusal, log = str(error), None
    if log is None:
        assert "\n" not in refusal
        return
    assert log.readings
    for stretch in log.readings:
        assert len(stretch.t_ns) == len(stretch.raw) >= 2
        assert (np.diff(stretch.t_ns) > 0).all()
        assert stretch.raw.shape[1] == len(stretch.channels)
        assert (stretch.raw >= 0).all()
        assert stretch.raw.dtype == stretch.t_ns.dtype == np.int64


@MANY
@given(
    st.binary(max_size=200),
    st.sampled_from(("", "\x89HDF\r\n\x1a\n", "{", "time,power_W\n")),
    st.sampled_from(FORMATS),
    words(),
)
def test_bytes(data: bytes, beginning: str, name: str | None, options: LogOptions) -> None:
    read_or_refuse(beginning.encode("latin-1") + data, name, options)


@settings(MANY, max_examples=600)
@given(tables(), st.sampled_from(FORMATS), words())
def test_tables(data: bytes, name: str | None, options: LogOptions) -> None:
    read_or_refuse(data, name, options)


@settings(MANY, max_examples=600)
@given(logs(), st.sampled_from(("UTC", "Europe/Berlin")), st.booleans(), st.sampled_from((None, ",", ".")))
def test_logs_with_something_wild(data: bytes, zone: str, word: bool, decimal: str | None) -> None:
    options = LogOptions(
        zone=civil_times.zone_of(zone), level="wall", unit=UNITS["W"] if word else None, decimal=decimal, columns=()
    )
    read_or_refuse(data, None, options)
    read_or_refuse(data, "csv", options)


@settings(MANY, max_examples=300)
@given(tables(), st.sampled_from((None, "UTC")), st.sampled_from((None, "g_per_kWh", "kg CO2/kWh", "time")), st.booleans())
def test_series_of_carbon_intensities(data: bytes, zone: str | None, column: str | None, named: bool) -> None:
    """The CSV of ``report --co2`` too: values from 0 on over rising times, or one line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grid.csv"
        path.write_bytes(data.replace(b"power_W", b"g_per_kWh").replace(b"Power", b"kg CO2/kWh") if named else data)
        try:
            series = read_intensities(path, column, civil_times.zone_of(zone) if zone else None, None)
        except UserError:
            series = None
    if series is not None:
        assert len(series.g_per_kWh) == len(series.begins_ns) >= 2
        assert (series.g_per_kWh >= 0).all()
        assert (np.diff(series.begins_ns) > 0).all()


EMISSION_CELLS = {
    "pue": st.just("1.0"),
    "project_name": st.just("p"),
    "run_id": st.just("r"),
    "timestamp": st.just("2026-03-01T12:00:00"),
}


@MANY
@given(st.data(), words())
def test_emissions(data: st.DataObject, options: LogOptions) -> None:
    """CodeCarbon's own columns, mostly with numbers that rise."""
    lines = [EMISSIONS]
    for number in range(data.draw(st.integers(0, 4))):
        wild = data.draw(st.integers(-1, len(EMISSIONS.split(","))))
        row = [data.draw(EMISSION_CELLS.get(name, st.just(f"0.{number}1"))) for name in EMISSIONS.split(",")]
        lines.append(",".join(data.draw(CELLS) if place == wild else cell for place, cell in enumerate(row)))
    read_or_refuse("\n".join(lines).encode(), "codecarbon", options)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)),
    max_leaves=8,
)


def perun_json() -> dict[str, Any]:
    """A file of perun's JSON export: 8 W of a GPU, once a second."""
    seconds = list(range(5))
    about = {"unit": "W", "mag": 1e-3, "dtype": "uint32", "min": 0, "max": 4e9, "fill": 0}
    raw = {
        "timesteps": seconds,
        "values": [8000] * 5,
        "t_md": {**about, "unit": "s", "mag": 1.0},
        "v_md": about,
        "alt_values": None,
        "alt_v_md": None,
    }
    node: dict[str, Any] = {"id": "GPU_POWER", "type": 6, "metadata": {}, "deviceType": "gpu", "nodes": [{}], "raw_data": raw}
    for kind, name in ((5, "gpu"), (4, "pi-1"), (3, "0"), (2, "run"), (1, "train")):
        about_run = {"execution_dt": "2026-03-01T11:59:53"} if kind == 2 else {}
        node = {"id": name, "type": kind, "metadata": about_run, "deviceType": None, "nodes": [{node["id"]: node}]}
    return node


def every_place(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path, *(place for key, value in inside for place in every_place(value, (*path, key)))]


@settings(MANY, max_examples=300)
@given(st.data(), words())
def test_perun_json_with_anything_anywhere(data: st.DataObject, options: LogOptions) -> None:
    tree = perun_json()
    *path, last = data.draw(st.sampled_from(every_place(tree)[1:]))
    parent = tree
    for key in path:
        parent = parent[key]
    if data.draw(st.booleans()):
        parent[last] = data.draw(st.one_of(JSON, st.sampled_from((float("nan"), 1e308, 10**400, [], {}, "W", -1))))
    else:
        del parent[last]
    read_or_refuse(json.dumps(tree).encode(), data.draw(st.sampled_from((None, "perun"))), options)


@MANY
@given(JSON, st.sampled_from(FORMATS), words())
def test_json_of_anything(tree: Any, name: str | None, options: LogOptions) -> None:
    read_or_refuse(json.dumps(tree).encode(), name, options)


def test_json_that_is_too_deep() -> None:
    read_or_refuse(b'{"id":"a","type":1,"nodes":' * 5000, None, LogOptions())
    read_or_refuse(b"[" * 100_000, None, LogOptions())


@settings(MANY, max_examples=100)
@given(st.data(), words())
def test_damaged_hdf5(data: st.DataObject, options: LogOptions) -> None:
    pytest.importorskip("h5py", reason="h5py is of the extra 'import'")
    from tests.analysis.imports.test_perun import write_perun

    with tempfile.TemporaryDirectory() as folder:
        whole = bytearray(write_perun(Path(folder) / "train.hdf5", last_s=5).read_bytes())
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(8, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(whole)), st.integers(0, len(whole))))
    read_or_refuse(bytes(whole[:cut]), data.draw(st.sampled_from((None, "perun"))), options)


@settings(MANY, max_examples=60)
@given(cells=st.lists(CELLS, min_size=100, max_size=100) | st.lists(st.floats(0, 1e12).map(repr), min_size=100, max_size=100))
def test_the_verb_ends_in_a_record_or_one_line(cells: list[str]) -> None:
    """Values that a format takes go on into the joules of a point, which is then valid or not, and never a traceback."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = write_study(folder / "s", [point("single", hosts=["pi-1"])])
        lines = [f"{1_772_366_400 + number},{cell if number % 7 == 0 else 8}" for number, cell in enumerate(cells)]
        (folder / "log.csv").write_text("\n".join(["time,power_W", *lines]))
        try:
            refusal, code = "", run(folder / "log.csv", study, folder / "new", "--level", "wall")
        except UserError as error:
            refusal, code = str(error), 2
    assert code in (0, 1, 2)
    assert "\n" not in refusal


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_no_file(tmp_path: Path, name: str | None) -> None:
    (tmp_path / "empty").write_bytes(b"")
    for path in (tmp_path, tmp_path / "none", tmp_path / "empty"):
        with pytest.raises(UserError):
            read_log(path, name, LogOptions(level="wall"))


def test_all_formats_are_tried() -> None:
    """A new format is fuzzed from its first day."""
    assert set(FORMATS) - {None} == set(LOG_FORMATS.all())
