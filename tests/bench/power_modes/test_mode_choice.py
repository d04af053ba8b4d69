"""``board.power_mode``: one form of what was given, part of a point's meaning, named in its record and its labels."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from analysis.study.configuration_labels import labels_of
from bench.common import paths
from bench.common.user_error import UserError
from bench.point import hydra_compose, resolved_point
from bench.power_modes.mode_choice import by_board, resolve
from bench.record.point_block import point_block
from bench.record.record import Record
from tests.bench.power_modes.machine_trees import board
from tests.command_line import environment
from tests.records import make_record

BOARDS = {
    "raspberry-pi-4": board({"1500MHz": {"max_frequency_Hz": 1.5e9}, "600MHz": {"max_frequency_Hz": 6e8}}),
    "jetson-orin-nano": board({"15W": {"nvpmodel": 0}, "7W": {"nvpmodel": 1}, "600MHz": {}}, "jetson-orin-nano"),
}
PI = {"raspberry-pi-4": BOARDS["raspberry-pi-4"]}


def test_one_form_for_the_same_meaning() -> None:
    assert resolve(None, PI) is None
    assert resolve("600MHz", PI) == resolve({"raspberry-pi-4": "600MHz"}, PI) == "600MHz"
    assert resolve({"jetson-orin-nano": "600MHz", "raspberry-pi-4": "600MHz"}, BOARDS) == resolve("600MHz", BOARDS) == "600MHz"
    mixed = {"raspberry-pi-4": "600MHz", "jetson-orin-nano": "7W"}
    assert resolve(mixed, BOARDS) == {"jetson-orin-nano": "7W", "raspberry-pi-4": "600MHz"}
    assert resolve({"raspberry-pi-4": None}, BOARDS) is None
    only = resolve({"raspberry-pi-4": None, "jetson-orin-nano": "7W"}, BOARDS)
    assert by_board(only, BOARDS) == {"jetson-orin-nano": "7W"}
    assert by_board("600MHz", BOARDS) == {"raspberry-pi-4": "600MHz", "jetson-orin-nano": "600MHz"}
    assert by_board(None, BOARDS) == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("600Mhz", "unknown power mode 600Mhz of board jetson-orin-nano; known are 15W, 7W, 600MHz; did you mean 600MHz?"),
        ("7W", "unknown power mode 7W of board raspberry-pi-4; known are 1500MHz, 600MHz"),
        (
            {"raspberry-pi-5": "600MHz"},
            "board.power_mode names raspberry-pi-5, but the cluster's boards are jetson-orin-nano, raspberry-pi-4; "
            "did you mean raspberry-pi-4?",
        ),
        (True, "board.power_mode=True must be null, the name of a mode, or a mode for each board class"),
        (["7W"], "board.power_mode=['7W'] must be null, the name of a mode, or a mode for each board class"),
    ],
)
def test_what_no_board_can_be_set_to(given: Any, message: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve(given, BOARDS)
    assert str(caught.value) == message


@pytest.fixture
def resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """A point of two Raspberry Pi 4 composed by Hydra, with our own modes in their class."""
    hosts = tmp_path / "hosts"
    hosts.write_text("pi1 slots=1\npi2 slots=1\n")
    monkeypatch.setattr(resolved_point, "load_board", lambda name, folder: BOARDS[name])
    hydra_compose.register()

    def run(*overrides: str) -> dict[str, Any]:
        words = ["model=gpt2-tiny", "task=synthetic", f"cluster.hostfile={hosts}", "cluster.board=raspberry-pi-4", *overrides]
        with initialize_config_dir(str(paths.CONF), version_base="1.3"):
            plain = hydra_compose.to_plain(compose("config", overrides=words))
        return resolved_point.resolve(plain, None, tmp_path)

    return run


def test_a_mode_is_part_of_what_a_point_means(resolved) -> None:  # type: ignore[no-untyped-def]
    default, slow, fast = resolved(), resolved("board.power_mode=600MHz"), resolved("board.power_mode=1500MHz")
    assert len({point.hash for point in (default, slow, fast)}) == 3
    assert resolved("board.power_mode={raspberry-pi-4: 600MHz}").hash == slow.hash
    assert point_block(slow).power_mode == "600MHz"
    assert point_block(default).power_mode is None


def bench(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "bench", *words, "model=gpt2-tiny", "strategy=single"]
    return subprocess.run(line, cwd=folder, env=environment(), capture_output=True, text=True)


@pytest.mark.slow
def test_on_the_command_line(tmp_path: Path) -> None:
    """A sweep over modes is a sweep over points; a mode by class; what is unknown is one line and nothing is written."""
    pi = "cluster.board=raspberry-pi-5"
    swept = bench(tmp_path, "-m", pi, "board.power_mode=ondemand,powersave", "dry_run=true")
    assert "matrix: 2 configurations x 1 repeats = 2 points" in swept.stdout, swept.stderr
    by_class = bench(tmp_path, pi, "board.power_mode={raspberry-pi-5: powersave}", "dry_run=true")
    (point,) = {word for word in by_class.stdout.split() if word.startswith("single-n1-")}
    assert point in swept.stdout
    unknown = bench(tmp_path, pi, "board.power_mode=powersafe")
    assert (unknown.returncode, unknown.stderr.count("\n")) == (2, 1)
    assert unknown.stderr.startswith("error: unknown power mode powersafe of board raspberry-pi-5; known are ondemand, ")
    assert unknown.stderr.endswith("; did you mean powersave?\n")
    assert list(tmp_path.iterdir()) == []


def test_figures_tell_modes_apart() -> None:
    modes: dict[str, Any] = {"aaaa": None, "bbbb": "7W", "cccc": {"raspberry-pi-4": "600MHz", "jetson-orin-nano": "7W"}}
    records = []
    for code, mode in modes.items():
        record = make_record("data")
        record["point"].update(hash=code, power_mode=mode)
        records.append(record)
    assert labels_of([Record.from_dict(record) for record in records]) == {
        "aaaa": "data n=2",
        "bbbb": "data n=2 power_mode=7W",
        "cccc": "data n=2 power_mode=jetson-orin-nano:7W,raspberry-pi-4:600MHz",
    }
