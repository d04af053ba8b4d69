"""Help and refusals do without what takes seconds to import on a board."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import environment

CODE = """
import runpy, sys
sys.argv = ["bench", *sys.argv[1:]]
try:
    runpy.run_module("bench", run_name="__main__", alter_sys=True)
except SystemExit as stop:
    print(stop.code, [name for name in ("torch", "scipy", "pandas", "matplotlib") if name in sys.modules])
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("--help", 0),
        ("strategy=tensor --help", 0),
        ("train.batch=abc", 2),
        ("strategy=tensor ranks=5 cluster.oversubscribe=true", 2),
        ("ranks=4 dry_run=true", 2),
        ("-m ranks=2,4 train.seq=1.5", 2),
    ],
)
def test_no_torch_before_it_is_needed(words: str, code: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words.split()], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == f"{code} []", done.stderr
    assert done.stderr.count("\n") == (1 if code else 0)
    assert list(tmp_path.iterdir()) == []


def test_help_lists_every_group_and_key(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "strategy=pipeline", "--help"],
        cwd=tmp_path,
        env={**environment(), "COLUMNS": "100"},
        capture_output=True,
        text=True,
    )
    assert "  strategy   data, hybrid, pipeline" in done.stdout
    assert "train.batch=32 " in done.stdout
    assert "samples of one optimizer step, over all ranks (samples)" in done.stdout
    assert "strategy.schedule=1f1b" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
