"""The command ``edgejoule``: its verbs are the programs that ``python -m`` runs, and what it says of itself is light."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from bench.common.program_names import as_called
from bench.doctor.doctor_verb import verbs as doctor_verbs
from edgejoule.verbs import VERBS
from tests.project import ROOT

HEAVY = ("torch", "pandas", "matplotlib", "scipy", "hydra", "mpi4py")


def edgejoule(*words: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    code = "import sys; from edgejoule.command_line import main; sys.argv[0] = 'edgejoule'; sys.exit(main())"
    return python("-c", code, *words, folder=folder)


def python(*words: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("program", ["edgejoule", "analysis"])
def test_help_imports_nothing_heavy(program: str) -> None:
    """A help text that waits for torch or pandas takes seconds on a board."""
    code = (
        f"import runpy, sys; sys.argv = ['{program}', '--help']\n"
        f"try: runpy.run_module('{program}', run_name='__main__')\n"
        f"except SystemExit: print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = python("-c", code)
    assert "report" in done.stdout
    assert done.stderr == "[]\n"


def test_help_names_every_verb_in_one_line_each() -> None:
    done = edgejoule("--help")
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.startswith("  ")}
    assert (list(lines), done.returncode) == (list(VERBS), 0)
    assert all(len(line) < 120 for line in lines.values())
    assert (edgejoule().stdout, edgejoule().returncode) == (done.stdout, 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_a_program(name: str) -> None:
    """Verbs name their modules as text, which no type checker follows."""
    assert callable(importlib.import_module(VERBS[name].module).main)


def test_completed_words_are_those_that_the_doctor_knows() -> None:
    assert sorted(VERBS["doctor"].words) == sorted(doctor_verbs())


def test_version_is_that_of_the_package() -> None:
    told = f"edgejoule {metadata.version('edgejoule')}\n"
    assert edgejoule("--version").stdout == told
    assert edgejoule("run", "--version").stdout == python("-m", "bench", "--version").stdout == told  # Hydra tells its own


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["reprot"], "error: unknown verb reprot; did you mean report?; all verbs: edgejoule --help\n"),
        (["--completion", "tcsh"], "error: --completion tcsh names no known shell; use bash|zsh|fish\n"),
        (["doctor", "enrgy"], "error: unknown verb enrgy; known are cluster, energy, push; did you mean energy?\n"),
        (["report", "nowhere"], "error: nowhere is not a study (no readable study.json); give results/STUDY\n"),
        (["run", "rnks=2"], "error: unknown key rnks; did you mean ranks?; all keys: edgejoule run --help\n"),
    ],
)
def test_mistakes_are_answered_in_one_line(words: list[str], said: str) -> None:
    done = edgejoule(*words)
    assert (done.stderr, done.stdout, done.returncode) == (said, "", 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["doctor", "testbed", "plan", "calibrate", "fetch", "report"])
def test_help_of_a_verb_calls_it_as_the_user_did(name: str) -> None:
    done = edgejoule(name, "--help")
    assert done.returncode == 0
    assert "usage: edgejoule " in done.stdout
    assert "python -m" not in done.stdout


def test_command_lines_in_texts_follow_the_name_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = {
        "python -m bench -m strategy=data": "edgejoule run -m strategy=data",
        "see python -m bench.planner plan ...": "see edgejoule plan ...",
        "python -m bench.doctor push": "edgejoule doctor push",
        "python -m analysis report results/x": "edgejoule report results/x",
        "python -m bench.run.worker": "python -m bench.run.worker",
    }
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/edgejoule", "run"])
    assert {line: as_called(line) for line in lines} == lines
    monkeypatch.setattr(sys, "argv", ["/somewhere/bench/__main__.py"])
    assert [as_called(line) for line in lines] == list(lines)


def test_the_option_of_a_users_conf_counts_before_the_suites_own(tmp_path: Path) -> None:
    """A model, and a board class with its watts, from ``conf`` of the working folder."""
    for name, old, new in (("model/llama-tiny", "llama-tiny", "mine"), ("board/x86-mini-pc", "x86-mini-pc", "my-pc")):
        text = (ROOT / f"conf/{name}.yaml").read_text()
        target = tmp_path / "conf" / name.split("/")[0] / f"{new}.yaml"
        target.parent.mkdir(parents=True)
        target.write_text(text.replace(f"name: {old}", f"name: {new}"))
    words = ("run", "strategy=data", "task=lm", "dry_run=true")
    done = edgejoule(*words, "model=mine", "cluster.board=my-pc", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "data-n2-mine-lm" in done.stdout
    done = edgejoule(*words, "model=mien", folder=tmp_path)
    assert done.stderr.endswith("did you mean mine?\n")


def test_another_programs_conf_is_refused_and_not_composed(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/config.yaml").write_text("db: mysql\n")
    done = edgejoule("run", "dry_run=true", folder=tmp_path)
    assert "config.yaml is not a configuration of EdgeJoule" in done.stderr
    assert (len(done.stderr.splitlines()), done.returncode) == (1, 2)
