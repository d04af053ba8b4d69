"""nvidia-smi's log. The files are made here after its documented form, none is a copy; no GPU was asked."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from analysis.imports.log import civil_times
from analysis.imports.log.log_format import read_log
from analysis.imports.log.meter_log import LogOptions
from bench.common.user_error import UserError
from tests.analysis.imports.logged_studies import STARTED, only, point, run, times, write_study

UTC = LogOptions(zone=civil_times.zone_of("UTC"))


def write_smi(path: Path, gpus: int = 1, unit: str = " W", column: str = "power.draw") -> Path:
    """8 W of the first GPU, 9 W of the next, each line 3 ms behind the one before; its limit beside it."""
    lines = [f"timestamp, index, name, {column} [W], power.limit [W]"]
    for t_s in times(every_s=0.5):
        for gpu in range(gpus):
            stamp = (STARTED + timedelta(seconds=t_s + 0.003 * gpu)).strftime("%Y/%m/%d %H:%M:%S.%f")[:-3]
            lines.append(f"{stamp}, {gpu}, NVIDIA RTX A2000, {8 + gpu}.00{unit}, 70.00{unit}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("unit", [" W", ""])
def test_one_gpu(tmp_path: Path, unit: str) -> None:
    study = write_study(tmp_path / "s", [point("single", hosts=["pi-1"])])
    assert run(write_smi(tmp_path / "log.csv", unit=unit), study, tmp_path / "new", "--time-zone", "UTC") == 0
    energy = only(tmp_path / "new")["energy"]
    assert (energy["total_J"], energy["coverage"]["levels"]) == (pytest.approx(480), ["component"])
    assert energy["by_host"][0]["meter"] == "power.draw [W]"


def test_a_mean_over_a_second_is_in_the_uncertainty(tmp_path: Path) -> None:
    (mean,) = read_log(write_smi(tmp_path / "a"), None, UTC).readings
    (instant,) = read_log(write_smi(tmp_path / "b", column="power.draw.instant"), None, UTC).readings
    assert (mean.channels[0].update_period_s, instant.channels[0].update_period_s) == (1.0, pytest.approx(0.5))


def test_several_gpus_are_parts_of_their_host(tmp_path: Path) -> None:
    """Each has its own time; a round of all of them is one reading, in its middle, known within half of what it took."""
    path = write_smi(tmp_path / "log.csv", gpus=2)
    log = read_log(path, None, UTC)
    assert log.names == ["GPU 0", "GPU 1"]
    assert [readings.raw[0, 0] for readings in log.readings] == [8_000_000, 9_000_000]
    assert np.array_equal(log.readings[0].t_ns, log.readings[1].t_ns)
    assert log.readings[0].known_ns == 1_500_000 + 1_000_000
    study = write_study(tmp_path / "s", [point("single", hosts=["pi-1"])])
    asked = (["--column", "GPU 0=pi-1", "--column", "GPU 1=pi-1"], ["--host", "pi-1"], ["--column", "power.draw [W]=pi-1"])
    for number, words in enumerate(asked):
        if number == 1:
            with pytest.raises(UserError, match=r"has GPU 0, GPU 1; say whose each is: --column GPU 0=pi-1 \.\.\."):
                run(path, study, tmp_path / f"new{number}", "--time-zone", "UTC", *words)
        else:
            assert run(path, study, tmp_path / f"new{number}", "--time-zone", "UTC", *words) == 0
            assert only(tmp_path / f"new{number}")["energy"]["total_J"] == pytest.approx(60 * 17)


def test_what_is_no_drawn_power_is_refused(tmp_path: Path) -> None:
    path = write_smi(tmp_path / "log.csv", gpus=2)
    with pytest.raises(UserError, match=r"column power\.limit \[W\] is no power that was drawn; powers are power\.draw \[W\]"):
        read_log(path, None, LogOptions(zone=UTC.zone, columns=("power.limit [W]",)))
    with pytest.raises(UserError, match=r"has no GPU GPU 2; there are power\.draw \[W\], GPU 0, GPU 1"):
        read_log(path, None, LogOptions(zone=UTC.zone, columns=("GPU 2",)))


def test_times_without_a_value_are_blanks(tmp_path: Path) -> None:
    path = write_smi(tmp_path / "log.csv")
    lines = path.read_text().splitlines()
    lines[3] = lines[3].replace("8.00 W", "[N/A]")
    path.write_text("\n".join(lines))
    (found,) = read_log(path, None, UTC).readings
    assert (found.blanks, len(found.t_ns)) == (1, len(lines) - 2)
