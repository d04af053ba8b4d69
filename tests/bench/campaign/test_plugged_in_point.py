"""A sensor and a task are one file each: they may lie in a folder of the user's, and every command and process finds them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.common.paths import plugin_variables
from strategies.common.registry import PLUGIN_FOLDERS
from tests.command_line import environment

pytestmark = pytest.mark.machine

SENSOR = '''
"""A steady load of 5 W: a counter of microjoules."""

import time

from bench.energy.sensor_base.source import Source, SourceUnavailable, register
from bench.joules.channel import Channel


@register
class FiveWatts(Source):
    name = "five_watts"
    kind = "measured"
    rank = 1
    sensor = "five_watts"
    period_s = 0.02
    channels = (Channel("all", "counter", 1e-6, "a steady load", level="board", update_period_s=1e-3),)

    @classmethod
    def open(cls, place):
        if not (place.root / "five_watts").exists():
            raise SourceUnavailable("no five_watts here; make the file")
        return cls()

    def read(self):
        return [5 * time.monotonic_ns() // 1000]

    def close(self):
        pass
'''

TASK = '''
"""Two classes of constant samples."""

import torch

from bench.tasks.task_base.task import Task, register
from strategies.base import Batch


@register
class Parity(Task):
    name = "parity"

    def load(self, config):
        return self.samples(config.train.seq, 64), self.samples(config.train.seq, 32)

    def samples(self, seq, number):
        labels = torch.arange(number) % 2
        return Batch(labels[:, None].repeat(1, seq), torch.ones(number, seq, dtype=torch.bool), labels)
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with plug-ins, and a tree that stands for the machine."""
    found = tmp_path_factory.mktemp("user")
    (found / "mine").mkdir()
    (found / "mine" / "five_watts_sensor.py").write_text(SENSOR)
    (found / "mine" / "parity_task.py").write_text(TASK)
    (found / "machine" / "proc").mkdir(parents=True)
    (found / "machine" / "five_watts").touch()
    return found


def started(folder: Path, *words: str, plugins: str = "mine") -> subprocess.CompletedProcess[str]:
    """A command of the suite from the user's folder, which names its plug-ins relative to it."""
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=environment(**{PLUGIN_FOLDERS: plugins}),
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_point_learns_their_task_and_measures_with_their_sensor(folder: Path) -> None:
    """On two ranks: the variable reaches the ranks and the sampler process, whose working folder is another one."""
    done = started(
        folder, "bench", "strategy=data", "ranks=2", "cluster.oversubscribe=true", "model=gpt2-tiny", "model.checkpoint=null",
        "task=synthetic", "task.name=parity", "train.batch=8", "train.seq=8", "smoke=true", "study=plugged",
        f"energy.root={folder / 'machine'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (folder / "results/plugged").glob("*/result.json")
    record = json.loads(path.read_text())
    assert (record["status"], record["point"]["task"]) == ("ok", "parity")
    assert (record["energy"]["kind"], record["energy"]["source"]) == ("measured", "five_watts"), "auto takes the first by rank"
    (host,) = record["energy"]["by_host"]
    assert host["mean_power_W"] == pytest.approx(5, rel=1e-3)
    assert record["energy"]["total_J"] == pytest.approx(5 * record["time"]["window_s"], rel=1e-3)


def test_doctor_shows_their_sensor(folder: Path) -> None:
    done = started(folder, "bench.doctor", "energy", "doctor.seconds=1", f"energy.root={folder / 'machine'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "measured (board) by five_watts/all" in done.stdout


def test_their_sensor_is_a_choice_by_name(folder: Path) -> None:
    asked = started(folder, "bench", "energy=five_watts", "dry_run=true", "model.checkpoint=null", "ranks=1")
    assert asked.returncode == 0, asked.stderr
    wrong = started(folder, "bench", "energy.source=five_wats", "model.checkpoint=null")
    assert wrong.returncode == 2
    assert wrong.stderr.endswith("; did you mean five_watts?\n")


@pytest.mark.parametrize(
    ("plugins", "said"),
    [
        ("nowhere", "EDGEJOULE_PLUGINS names {folder}/nowhere, which is no folder; mend the variable or make the folder"),
        (
            "broken",
            "the plug-in {folder}/broken/half.py cannot be imported (NameError: name 'nothing' is not defined); mend it",
        ),
    ],
)
@pytest.mark.parametrize("words", [("bench", "ranks=1"), ("bench.doctor", "energy")])
def test_plug_ins_that_cannot_be_used_end_in_one_line(folder: Path, words: tuple[str, ...], plugins: str, said: str) -> None:
    (folder / "broken").mkdir(exist_ok=True)
    (folder / "broken" / "half.py").write_text("nothing\n")
    done = started(folder, *words, plugins=plugins)
    assert (done.returncode, done.stderr) == (2, f"error: {said.format(folder=folder)}\n")


def test_folders_get_whole_paths(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranks, samplers and other hosts have another working folder."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv(PLUGIN_FOLDERS, os.pathsep.join(("mine", "/opt/plugins")))
    assert plugin_variables() == {PLUGIN_FOLDERS: os.pathsep.join((str(folder / "mine"), "/opt/plugins"))}
    monkeypatch.delenv(PLUGIN_FOLDERS)
    assert plugin_variables() == {}
