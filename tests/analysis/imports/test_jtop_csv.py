"""jetson-stats' log. The files are made here after the columns of its logger (``jtop.stats``), none is a copy."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from analysis.imports.log import civil_times
from analysis.imports.log.log_format import read_log
from analysis.imports.log.meter_log import LogOptions
from bench.common.user_error import UserError
from tests.analysis.imports.logged_studies import STARTED, only, point, run, times, write_study

UTC = LogOptions(zone=civil_times.zone_of("UTC"))
VERSION_4 = "time,uptime,CPU1,CPU2,RAM,GPU,Temp CPU,Power VDD_CPU_GPU_CV,Power VDD_SOC,Power TOT,jetson_clocks,nvp model"
VERSION_3 = "time,uptime,CPU1,CPU2,RAM,GPU,Temp CPU,VDD_CPU_GPU_CV,VDD_SOC,power cur,power avg,nvp model"


def write_jtop(path: Path, header: str = VERSION_4) -> Path:
    """8 W in all, twice a second, in local time without a zone; a core is off and says so."""
    lines = [header]
    for t_s in times(every_s=0.5):
        stamp = (STARTED + timedelta(seconds=t_s)).strftime("%Y-%m-%d %H:%M:%S.%f")
        tail = "5000,1500,8000,OFF,15W" if header == VERSION_4 else "5000,1500,8000,7777,15W"
        lines.append(f"{stamp},1:02:03.5,80,OFF,0.41,0.3,51.2,{tail}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("header", [VERSION_4, VERSION_3])
def test_milliwatts_whatever_the_header_says(tmp_path: Path, header: str) -> None:
    study = write_study(tmp_path / "s", [point("single", hosts=["pi-1"])])
    assert run(write_jtop(tmp_path / "log.csv", header), study, tmp_path / "new", "--time-zone", "UTC") == 0
    record = only(tmp_path / "new")
    energy = record["energy"]
    assert record["environment"]["imported"]["format"] == "jtop"
    assert (energy["total_J"], energy["coverage"]["levels"]) == (pytest.approx(480), ["board"])


def test_rails_are_asked_for(tmp_path: Path) -> None:
    path = write_jtop(tmp_path / "log.csv")
    log = read_log(path, None, LogOptions(zone=UTC.zone, columns=("Power VDD_SOC",)))
    assert (log.readings[0].raw[0, 0], log.unused) == (1_500_000, ("column Power VDD_CPU_GPU_CV", "column Power TOT"))
    for name in ("Temp CPU", "GPU", "uptime"):
        with pytest.raises(UserError, match=rf"column {name} is no power of jetson-stats; powers are Power VDD_CPU_GPU_CV, "):
            read_log(path, None, LogOptions(zone=UTC.zone, columns=(name,)))
    with pytest.raises(UserError, match=r"column power avg is no power of jetson-stats"):
        read_log(write_jtop(path, VERSION_3), None, LogOptions(zone=UTC.zone, columns=("power avg",)))


def test_its_units_are_known(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", [point("single", hosts=["pi-1"])])
    with pytest.raises(UserError, match=r"is a log of jtop, which states its units; leave --unit and --decimal out"):
        run(write_jtop(tmp_path / "log.csv"), study, tmp_path / "new", "--time-zone", "UTC", "--unit", "W")
