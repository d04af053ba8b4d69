"""Which tests may run beside each other is said by a marker, and no test that uses the machine forgets it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import ROOT, TESTS

USES_MACHINE = {
    "tests.mpirun",
    "tests.fake_boards",
    "tests.stand_ins.web",
    "tests.stand_ins.plug",
    "tests.stand_ins.instrument",
    "tests.bench.emulation.real_boards",
    "tests.bench.energy.live_rapl",
}
"""Helpers that start ranks, boards or servers, or that must be read on time."""

MODULES = sorted(path for path in TESTS.rglob("test_*.py") if TESTS / "mpi" not in path.parents)


def imported(path: Path) -> set[str]:
    """The modules that a file imports, also as ``from package import module``."""
    names = set[str]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return names


def uses_machine(path: Path) -> list[str]:
    """Why a test needs the machine for itself: helpers that it imports, or processes that it watches while they run."""
    reasons = sorted(USES_MACHINE & imported(path))
    return reasons + ["subprocess.Popen"] * ("subprocess.Popen(" in path.read_text())


def marked(path: Path) -> bool:
    """Whether the whole module is marked, or a test of it."""
    return "pytest.mark.machine" in path.read_text()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(TESTS)))
def test_who_uses_the_machine_is_marked(path: Path) -> None:
    """Without the marker, such a test runs beside others, and its times and joules are theirs."""
    reasons = uses_machine(path) if path != Path(__file__) else []
    assert not reasons or marked(path), f"{path.name} uses {', '.join(reasons)}: add pytestmark = pytest.mark.machine"


@pytest.mark.slow
def test_marked_tests_run_on_one_worker(tmp_path: Path) -> None:
    """Six marked tests of three modules under two workers: all on one of them, and something else runs on the other one."""
    (tmp_path / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    machine: as in the project\n")
    body = (
        "import os, time\nfrom pathlib import Path\nimport pytest\n{mark}\n"
        "@pytest.mark.parametrize('n', range({count}))\n"
        "def test_it(n):\n"
        "    time.sleep(0.05)\n"
        "    Path(__file__).with_name({name!r} + f'-{{n}}.ran').write_text(os.environ['PYTEST_XDIST_WORKER'])\n"
    )
    for name in ("a", "b", "c"):
        text = body.format(mark="pytestmark = pytest.mark.machine", count=2, name=f"marked-{name}")
        (tmp_path / f"test_{name}.py").write_text(text)
    (tmp_path / "test_d.py").write_text(body.format(mark="", count=6, name="free"))
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    line = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout
    workers = {path.stem: path.read_text() for path in tmp_path.glob("*.ran")}
    assert len(workers) == 12
    on_machine = {worker for name, worker in workers.items() if name.startswith("marked")}
    assert len(on_machine) == 1
    assert {worker for name, worker in workers.items() if name.startswith("free")} - on_machine


def test_quick_tests_leave_the_machine_alone() -> None:
    """The expression that ``./run_all.sh test quick`` gives to pytest is the one that the markers are made for."""
    assert "not machine and not slow" in (ROOT / "run_all.sh").read_text()
