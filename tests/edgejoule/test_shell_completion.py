"""Completion in a real bash: verbs, and for those that take a configuration its keys and values by Hydra."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgejoule import shell_completion
from tests.project import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")]


def completed(line: str, folder: Path) -> list[str]:
    """The replies of the bash script to ``line``, with a program ``edgejoule`` on the path that is this checkout's."""
    program = folder / "edgejoule"
    code = "import sys; from edgejoule.command_line import main; sys.exit(main())"
    program.write_text(f'#!/bin/sh\nexec env PYTHONPATH={ROOT} {sys.executable} -c "{code}" "$@"\n')
    program.chmod(0o755)
    script = (
        f"{shell_completion.bash()}\nCOMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}\n"
        '_edgejoule 2>/dev/null; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", f"PATH={folder}:$PATH\n{script}"], cwd=folder, capture_output=True, text=True, timeout=120
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("edgejoule re", ["report"]),
        ("edgejoule doctor e", ["energy"]),
        ("edgejoule testbed ", ["up", "down", "status"]),
        ("edgejoule --completion z", ["zsh"]),
        ("edgejoule report res", []),  # a file: bash's own
        ("edgejoule run strategy=pip", ["pipeline"]),  # bash replaces what follows the equals sign
        ("edgejoule run strategy=data train.ba", ["train.batch="]),
        ("edgejoule plan cluster=emulated-w", ["emulated-wifi"]),
        ("edgejoule testbed up cluster=emulated-w", ["emulated-wifi"]),
    ],
)
def test_bash_completes(line: str, replies: list[str], tmp_path: Path) -> None:
    assert completed(line, tmp_path) == replies


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_accept_their_script(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    done = subprocess.run([shell, "-n"], input=shell_completion.SCRIPTS[shell](), capture_output=True, text=True, timeout=60)
    assert (done.stderr, done.returncode) == ("", 0)
