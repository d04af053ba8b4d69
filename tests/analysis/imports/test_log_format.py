"""Formats of meters' logs: one file each, told from each other by content, and more of them from a folder of plug-ins."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from analysis.imports.log.log_format import LOG_FORMATS, read_log
from analysis.imports.log.meter_log import LogOptions
from bench.common.user_error import UserError
from strategies.common.registry import PLUGIN_FOLDERS
from tests.analysis.imports.logged_studies import constant, only, point, run, write_csv, write_study

PLUGIN = '''
from datetime import datetime, timezone

import numpy as np

from analysis.imports.log.log_format import LOG_FORMATS, LogFormat
from analysis.imports.log.meter_log import SCALE, Log, Readings
from bench.joules.channel import Channel


@LOG_FORMATS.register
class TenWattLog(LogFormat):
    """Ten watts from a first to a last second since 1970."""

    name = "tenwatt"
    column_noun = "plugs"

    @classmethod
    def recognises(cls, head):
        return head.startswith(b"TENWATT ")

    @classmethod
    def read(cls, path, options):
        _, first, last = path.read_text().split()
        t_ns = np.arange(int(first), int(last) + 1) * 10**9
        channel = Channel(id="plug", kind="power", scale=SCALE, scope="a plug", level="wall", update_period_s=1.0)
        raw = np.full((len(t_ns), 1), round(10 / SCALE))
        return Log(path, cls.name, (Readings("plug", cls.name, "measured", (channel,), t_ns, 0, raw),))
'''


def test_a_plug_in_brings_a_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in a folder of plug-ins is all that a new format needs: it is recognised, read, and named in the record."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "tenwatt_log.py").write_text(PLUGIN)
    monkeypatch.setenv(PLUGIN_FOLDERS, str(tmp_path / "plugins"))
    log = tmp_path / "plug.log"
    log.write_text("TENWATT 1772366390 1772366500\n")
    study = write_study(tmp_path / "study", [point("data", 0, hosts=("pi-1",))])
    try:
        assert list(LOG_FORMATS.all()) == ["perun", "codecarbon", "nvidia-smi", "jtop", "tenwatt", "csv"]
        assert run(log, study, tmp_path / "new") == 0
    finally:
        LOG_FORMATS._by_name.pop("tenwatt", None)
        sys.modules.pop("edgejoule_plugin_tenwatt_log", None)
    record = only(tmp_path / "new")
    assert record["energy"]["total_J"] == pytest.approx(600)
    assert record["environment"]["imported"]["format"] == "tenwatt"


def test_an_unknown_format_is_one_line(tmp_path: Path) -> None:
    log = write_csv(tmp_path / "power.csv", {"watts": constant})
    with pytest.raises(UserError) as caught:
        read_log(log, "codecarbo", LogOptions())
    assert str(caught.value) == (
        "unknown log format codecarbo; known are perun, codecarbon, nvidia-smi, jtop, csv; did you mean codecarbon?"
    )
