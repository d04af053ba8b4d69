"""CodeCarbon's CSV. The files are made here after the columns of codecarbon 3 (``EmissionsData``), none is a copy."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from analysis.imports.formats import codecarbon
from analysis.imports.log import civil_times
from analysis.imports.log.meter_log import LogOptions
from bench.common.user_error import UserError
from tests.analysis.imports.logged_studies import STARTED, only, point, run, write_study

HEADER = (
    "timestamp,project_name,run_id,experiment_id,duration,emissions,emissions_rate,cpu_power,gpu_power,ram_power,cpu_energy,"
    "gpu_energy,ram_energy,energy_consumed,water_consumed,country_name,country_iso_code,region,cloud_provider,cloud_region,os,"
    "python_version,codecarbon_version,cpu_count,cpu_model,gpu_count,gpu_model,longitude,latitude,ram_total_size,tracking_mode,"
    "cpu_utilization_percent,gpu_utilization_percent,ram_utilization_percent,ram_used_gb,on_cloud,pue,wue"
)
J_PER_KWH = 3.6e6
UTC = LogOptions(zone=civil_times.zone_of("UTC"))


def write_emissions(
    path: Path, begins_s: float = -4.35, last_s: float = 95, every_s: float = 1.0, project: str = "pi-1", pue: float = 1.0
) -> Path:
    """A tracker that is flushed every second: 6 W of CPU, 1 W of GPU and 3 W of memory; times in UTC, cut to the second."""
    rows = [HEADER]
    for number in range(1, int((last_s - begins_s) / every_s) + 1):
        duration_s = number * every_s
        now = STARTED + timedelta(seconds=begins_s + duration_s)
        parts = {part: watts * duration_s * pue / J_PER_KWH for part, watts in (("cpu", 6.0), ("gpu", 1.0), ("ram", 3.0))}
        values = {
            "timestamp": now.strftime("%Y-%m-%dT%H:%M:%S"),
            "project_name": project,
            "run_id": "5b1d",
            "duration": repr(duration_s),
            **{f"{part}_energy": repr(kWh) for part, kWh in parts.items()},
            "energy_consumed": repr(sum(parts.values())),
            "cpu_power": "42.5",  # a mean over the run, and here a wrong one: it must not be used
            "pue": repr(pue),
        }
        rows.append(",".join(values.get(name, "") for name in HEADER.split(",")))
    path.write_text("\n".join(rows) + "\n")
    return path


def test_flushed_rows_are_counters(tmp_path: Path) -> None:
    (found,) = codecarbon.read(write_emissions(tmp_path / "emissions.csv"), UTC).readings
    assert [channel.id for channel in found.channels] == ["cpu", "gpu", "ram"]
    assert found.raw[0].tolist() == [0, 0, 0]
    assert found.raw[60].tolist() == pytest.approx([360e6, 60e6, 180e6], abs=1)
    assert found.kind == "modelled"


def test_the_begin_is_found_between_whole_seconds(tmp_path: Path) -> None:
    """Every row cuts its time to the second. The tracker began at 55.9 s and wrote a row every 0.3 s, so at all ten tenths of a
    second: it began between 55.9 s and 56.0 s, and the middle of that is taken."""
    (found,) = codecarbon.read(write_emissions(tmp_path / "emissions.csv", every_s=0.3), UTC).readings
    begin_ns, _ = civil_times.started_ns("2026-03-01T11:59:55.95+00:00")
    assert int(found.t_ns[0]) == pytest.approx(begin_ns, abs=10)
    assert found.known_ns == pytest.approx(50_000_000, abs=10)
    assert np.diff(found.t_ns).tolist() == pytest.approx([0.3e9] * (len(found.t_ns) - 1), abs=2)


def test_an_imported_point(tmp_path: Path) -> None:
    """10 W for 60 s; estimated by CodeCarbon, so it is called modelled. The factor of the data centre is no energy of hosts."""
    study = write_study(tmp_path / "s", [point("single", hosts=["pi-1"])])
    log = write_emissions(tmp_path / "emissions.csv", pue=1.5)
    assert run(log, study, tmp_path / "new", "--time-zone", "UTC") == 0
    energy = only(tmp_path / "new")["energy"]
    assert (energy["kind"], energy["source"]) == ("modelled", "codecarbon")
    assert energy["total_J"] == pytest.approx(600, rel=1e-6)


def test_measured_is_without_the_memory(tmp_path: Path) -> None:
    """Who knows that CPU and GPU were read can say so; CodeCarbon never reads memory."""
    study = write_study(tmp_path / "s", [point("single", hosts=["pi-1"])])
    log = write_emissions(tmp_path / "emissions.csv", project="codecarbon")
    run(log, study, tmp_path / "new", "--time-zone", "UTC", "--kind", "measured", "--host", "pi-1")
    energy = only(tmp_path / "new")["energy"]
    assert energy["kind"] == "measured"
    assert energy["total_J"] == pytest.approx(420, rel=1e-6)
    why = "estimated by CodeCarbon, not measured"
    assert energy["left_out"] == [{"host": "pi-1", "source": "codecarbon ram", "why": why}]


def test_projects_are_hosts(tmp_path: Path) -> None:
    """Files of several hosts behind each other; a row of another run stands alone and is not used."""
    one, two = (write_emissions(tmp_path / f"{name}.csv", project=name) for name in ("pi-1", "pi-2"))
    both = one.read_text() + two.read_text().split("\n", 1)[1] + one.read_text().splitlines()[-1].replace("5b1d", "77aa") + "\n"
    (tmp_path / "both.csv").write_text(both)
    log = codecarbon.read(tmp_path / "both.csv", UTC)
    assert log.names == ["pi-1", "pi-2"]
    assert log.unused == ("run 77aa of project pi-1",)
    study = write_study(tmp_path / "s", [point()])
    assert run(tmp_path / "both.csv", study, tmp_path / "new", "--time-zone", "UTC") == 0
    assert only(tmp_path / "new")["energy"]["total_J"] == pytest.approx(1200, rel=1e-6)


def test_rows_that_lost_empty_cells_are_read(tmp_path: Path) -> None:
    """CodeCarbon leaves empty cells out when it appends, behind the ones that count."""
    path = write_emissions(tmp_path / "emissions.csv")
    first, *rows = path.read_text().splitlines()
    path.write_text("\n".join([first, rows[0], *(row.rsplit(",", 5)[0] for row in rows[1:])]) + "\n")
    (found,) = codecarbon.read(path, UTC).readings
    assert found.raw[-1].sum() == pytest.approx(10 * (len(rows)) * 1e6, rel=1e-9)


def without(path: Path, name: str, value: str) -> Path:
    """The same file with another value in one column."""
    index = HEADER.split(",").index(name)
    first, *rows = (line.split(",") for line in path.read_text().splitlines())
    changed = [[*row[:index], value, *row[index + 1 :]] for row in rows]
    path.write_text("".join(",".join(cells) + "\n" for cells in [first, *changed]))
    return path


@pytest.mark.parametrize("gpu", ["0", "0.0", ""])
def test_without_a_gpu_its_energy_is_no_counter_that_stands(tmp_path: Path, gpu: str) -> None:
    """CodeCarbon writes zeros where there is no GPU: 6 W of CPU and 3 W of memory are the total; the record says so."""
    study = write_study(tmp_path / "s", [point("single", hosts=["pi-1"])])
    log = without(write_emissions(tmp_path / "emissions.csv"), "gpu_energy", gpu)
    assert run(log, study, tmp_path / "new", "--time-zone", "UTC") == 0
    energy = only(tmp_path / "new")["energy"]
    assert energy["total_J"] == pytest.approx(540, rel=1e-6)
    assert [left["source"] for left in energy["left_out"]] == ["codecarbon gpu"]
    assert "GPUs, of which CodeCarbon counted nothing" in energy["coverage"]["not_measured"]


def test_a_processor_that_was_not_read_makes_the_point_invalid(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", [point("single", hosts=["pi-1"])])
    log = without(write_emissions(tmp_path / "emissions.csv"), "cpu_energy", "0")
    assert run(log, study, tmp_path / "new", "--time-zone", "UTC") == 1
    assert "counter cpu does not move" in only(tmp_path / "new")["reason"]


def test_a_pue_that_changes_is_taken_out_of_each_difference(tmp_path: Path) -> None:
    """1.2 before noon and 40 s, 1.8 behind: what CodeCarbon added meanwhile was multiplied with that; the hosts used 10 W."""
    path = write_emissions(tmp_path / "emissions.csv")
    header, *rows = path.read_text().splitlines()
    names, totals, lines = header.split(","), {"cpu": 0.0, "gpu": 0.0, "ram": 0.0}, [header]
    for number, line in enumerate(rows):
        row = dict(zip(names, line.split(","), strict=True))
        pue = 1.2 if number < 44 else 1.8
        for part, watts in (("cpu", 6.0), ("gpu", 1.0), ("ram", 3.0)):
            totals[part] += watts * pue / J_PER_KWH
            row[f"{part}_energy"] = repr(totals[part])
        lines.append(",".join({**row, "pue": repr(pue)}.values()))
    path.write_text("\n".join(lines) + "\n")
    study = write_study(tmp_path / "s", [point("single", hosts=["pi-1"])])
    assert run(path, study, tmp_path / "new", "--time-zone", "UTC") == 0
    assert only(tmp_path / "new")["energy"]["total_J"] == pytest.approx(600, rel=1e-6)


def test_the_pue_of_a_row_that_lost_cells_stands_at_its_end(tmp_path: Path) -> None:
    path = write_emissions(tmp_path / "emissions.csv", pue=1.5)
    header, *rows = path.read_text().splitlines()
    counted = header.split(",").index("energy_consumed") + 1
    short = []
    for cells in (row.split(",") for row in rows):
        short.append(",".join([*cells[:counted], *(cell for cell in cells[counted:-1] if cell), cells[-1]]))
    assert len(short[0].split(",")) == counted + 2
    path.write_text("\n".join([header, *short]) + "\n")
    (found,) = codecarbon.read(path, UTC).readings
    assert found.raw[60].sum() == pytest.approx(600e6, rel=1e-9)


def _edit(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("edit", "options", "message"),
    [
        (
            lambda text: "\n".join(text.splitlines()[:2]),
            UTC,
            "has one row for each run: the energy of all of it, from start to stop",
        ),
        (lambda text: _edit(text, "ram_energy", "ram_enery"), UTC, "no column ram_energy; columns are timestamp, project_name"),
        (lambda text: _edit(text, "timestamp", "task_name,timestamp"), UTC, "has the totals of CodeCarbon's tasks"),
        (lambda text: text, LogOptions(), "times such as 2026-03-01T11:59:56 have no time zone; give --time-zone, such as UTC"),
        (lambda text: _edit(text, "T12:00:40", "T12:00:44"), UTC, "are 3.0 s apart, so the clock was set while it ran"),
        (lambda text: _edit(text, ",7.0,", ",seven,"), UTC, "duration at 2026-03-01T12:00:02 is 'seven', which is no number"),
        (lambda text: _edit(text, ",7.0,", ",1.0,"), UTC, "which is not after the row before"),
        (lambda text: _edit(text, ",7.0,", ",7e12,"), UTC, "has a duration of 7e+12 s, which is none; take the run out"),
        (lambda text: text.replace(",1.0,\n", ",0.5,\n"), UTC, "pue is 0.5, which is no factor of energies; it is 1 or more"),
        (
            lambda text: text,
            LogOptions(zone=UTC.zone, columns=("pi-2",)),
            "has no project pi-2; projects are pi-1; did you mean pi-1?",
        ),
    ],
)
def test_bad_files_give_one_line(tmp_path: Path, edit: object, options: LogOptions, message: str) -> None:
    path = write_emissions(tmp_path / "emissions.csv")
    path.write_text(edit(path.read_text()))  # type: ignore[operator]
    with pytest.raises(UserError) as raised:
        codecarbon.read(path, options)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
