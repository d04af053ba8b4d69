"""The command that the how-to page shows, on a study such as the quickstart leaves: windows of 7.4 s, a plug read slowly."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analysis.study.study import load_study
from tests.analysis.imports.logged_studies import check_of, constant, point, times, write_csv, write_study
from tests.project import ROOT

PAGE = ROOT / "docs" / "how-to" / "importing.md"
QUICKSTART_S, LONG_S = 7.4, 60.0


def documented() -> list[str]:
    """The words behind ``python`` of the command on the page."""
    (command,) = re.findall(r"^python (-m analysis import .*)$", PAGE.read_text(), re.MULTILINE)
    return shlex.split(command)


def quickstart_point(repeat: int) -> dict[str, Any]:
    """A point on one host whose window is as short as the quickstart's."""
    record = point("single", repeat, hosts=["localhost"])
    time, share = record["time"], QUICKSTART_S / LONG_S
    begin = time["windows"][0]["start_s"]
    time["windows"] = [{**time["windows"][0], "end_s": begin + QUICKSTART_S}]
    time["window_s"] = QUICKSTART_S
    time["step_s"]["values"] = [value * share for value in time["step_s"]["values"]]
    return record


@pytest.mark.slow
@pytest.mark.parametrize(("every_s", "verdict"), [(0.2, "passed"), (0.5, "passed"), (1.0, "passed")])
def test_the_documented_import_works_on_a_quickstart(tmp_path: Path, every_s: float, verdict: str) -> None:
    """10 W over 7.4 s; one to five readings a second leave little open where the load is steady; the points are valid."""
    write_study(tmp_path / "results" / "quickstart", [quickstart_point(repeat) for repeat in range(2)])
    write_csv(tmp_path / "plug.csv", {"power_W": constant}, times(-5, 400, every_s))
    command = [sys.executable, *documented()]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for record in load_study(tmp_path / "results" / "quickstart-metered").records:
        assert record.energy.total_J == pytest.approx(74, rel=1e-6)
        assert check_of(record, "enough power samples")["status"] == verdict
        # The plug's own 1 % and what the readings leave open.
        assert record.energy.systematic_J == pytest.approx(0.74, rel=1e-6)
        assert 0 < record.energy.random_J < 74 * 0.577 * every_s / QUICKSTART_S  # an edge anywhere between two readings is more
