"""The wheel: what it holds, and that the tool installed from it works from any folder, without the source tree."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from bench.conditions.host_agreement import code_hash
from bench.launch.mpirun import find_mpirun
from tests import mpirun
from tests.project import ROOT

pytestmark = pytest.mark.machine  # one of them starts ranks, and one worker builds the wheel for all

FOLDERS = ("edgejoule", "bench", "strategies", "analysis", "hydra_plugins", "benchmarks", "conf", "hostfiles", "data")
FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "CITATION.cff", "tests/__init__.py")
RESOURCES = ("conf", "hostfiles", "data")
DECOY = "raise ImportError('a module of the standard library, hidden by the working folder or by PYTHONPATH')\n"


def pip(*words: str, folder: Path, python: Path | None = None) -> None:
    target = [] if python is None else ["--python", str(python)]
    line = [sys.executable, "-m", "pip", *target, "--disable-pip-version-check", "-q", *words]
    subprocess.run(line, cwd=folder, check=True, capture_output=True, timeout=600)


def build(source: Path, out: Path) -> Path:
    """The wheel of ``source``; with the setuptools of this environment where it has one."""
    try:
        metadata.version("setuptools")
        isolation = ["--no-build-isolation"]
    except metadata.PackageNotFoundError:
        isolation = []
    pip("wheel", ".", "--no-deps", *isolation, "-w", str(out), folder=source)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source tree: a build leaves folders in it, which are not to come into anybody's checkout."""
    copy = tmp_path_factory.mktemp("source")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        (copy / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    stale = copy / "build/lib/bench/gone.py"
    stale.parent.mkdir(parents=True)
    stale.write_text("")
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def prefix(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel alone, in somebody's repository. It sees this environment's packages, but not its ``.pth``
    files, and so not an editable install of the source tree."""
    repository = tmp_path_factory.mktemp("repository")
    for words in (["init", "-q"], ["-c", "user.name=x", "-c", "user.email=x@y", "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", *words], cwd=repository, check=True, timeout=60)
    folder = repository / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120)
    pip("install", "--no-deps", str(wheel), folder=repository, python=folder / "bin/python")
    outside = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    packages = next(folder.glob("lib/python3*/site-packages"))
    (packages / "outside.pth").write_text("".join(f"{path}\n" for path in outside))
    (packages / "statistics.py").write_text(DECOY)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's working folder, with a model of their own."""
    working = tmp_path_factory.mktemp("working")
    model = working / "conf/model/mine.yaml"
    model.parent.mkdir(parents=True)
    model.write_text((ROOT / "conf/model/llama-tiny.yaml").read_text().replace("name: llama-tiny", "name: mine"))
    return working


def run(program: Path, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(program.parent), os.environ["PATH"], str(Path(find_mpirun()).parent)])
    environment = mpirun.environment(PATH=path, XDG_CACHE_HOME=str(folder / "cache"))
    for name in ("PYTHONPATH", "EDGEJOULE_WEIGHTS"):
        environment.pop(name, None)
    return subprocess.run([program, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def names_of(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_holds_what_the_tool_reads_and_nothing_else(wheel: Path) -> None:
    names = names_of(wheel)
    kept = {path.relative_to(ROOT) for name in RESOURCES for path in (ROOT / name).rglob("*") if path.is_file()}
    assert {f"edgejoule/resources/{path}" for path in kept} == {
        name for name in names if name.startswith("edgejoule/resources/") and not name.endswith("CITATION.cff")
    }
    assert "edgejoule/resources/data/reviews/LICENSE" in names
    assert "edgejoule/resources/CITATION.cff" in names
    assert {f"{package}/py.typed" for package in ("edgejoule", "bench", "strategies", "analysis")} <= names
    modules = {
        str(path.relative_to(ROOT))
        for package in ("edgejoule", "bench", "strategies", "analysis", "hydra_plugins")
        for suffix in ("*.py", "*.j2", "*.mplstyle", "*.json")
        for path in (ROOT / package).rglob(suffix)
    }
    code = {name for name in names if ".dist-info/" not in name and not name.startswith("edgejoule/resources/")}
    assert {name for name in code if not name.endswith("py.typed")} == modules  # no tests, no benchmarks, nothing stale


def test_an_sdist_builds_the_same_wheel(source: Path, wheel: Path, tmp_path: Path) -> None:
    code = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=source, check=True, capture_output=True, timeout=300)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    again = build(next((tmp_path / "unpacked").iterdir()), tmp_path / "wheel")
    assert names_of(again) == names_of(wheel)


def test_the_installed_code_is_that_of_the_wheel(prefix: Path, folder: Path) -> None:
    """Otherwise all that follows would test the source tree."""
    code = (
        "import analysis, bench, edgejoule, strategies; print(*(m.__file__ for m in (analysis, bench, edgejoule, strategies)))"
    )
    done = run(prefix / "bin/python", "-c", code, folder=folder)
    assert len(done.stdout.split()) == 4
    assert all(Path(path).is_relative_to(prefix) for path in done.stdout.split())
    done = run(prefix / "bin/edgejoule", "--version", folder=folder)
    assert done.stdout == f"edgejoule {metadata.version('edgejoule')}\n"


def test_a_point_its_report_and_its_checks(prefix: Path, folder: Path) -> None:
    """Two ranks, started and reported from a folder that knows nothing of the source tree."""
    words = ("strategy=data", "ranks=2", "model=llama-tiny", "task=lm", "smoke=true", "study=x")
    done = run(prefix / "bin/edgejoule", "run", *words, folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("results/x/*/result.json")
    record = json.loads(path.read_text())
    about = record["environment"]
    assert record["status"] == "ok"
    assert about["git"] == {"commit": None, "dirty": None}  # not that of the repository around the environment
    assert about["packages"]["edgejoule"] == metadata.version("edgejoule")
    assert {host["code_hash"] for host in about["hosts"]} == {code_hash(ROOT)}
    assert "PYTHONPATH" not in about["command"]

    done = run(prefix / "bin/edgejoule", "report", "results/x", "--out", "report", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "report/index.html" in done.stdout
    assert (folder / "report/index.html").is_file()

    done = run(prefix / "bin/edgejoule", "check", "results/x", folder=folder)
    assert "study x" in done.stdout
    (rule_9,) = (line for line in (folder / "report/report.md").read_text().splitlines() if "rule 9," in line)
    missing = rule_9.partition("not in the records: ")[2].partition(";")[0]
    assert "governor" in missing or "network" in missing or missing == ""  # the list is where it is looked for
    assert "commit" not in missing  # an installed tool has a version instead


def test_the_doctor_looks_at_this_machine(prefix: Path, folder: Path) -> None:
    done = run(prefix / "bin/edgejoule", "doctor", "energy", "doctor.seconds=1", folder=folder)
    assert (done.returncode in (0, 1), done.stderr) == (True, "")
    assert "PASS" in done.stdout or "WARN" in done.stdout


def test_conf_and_hostfiles_of_the_working_folder_and_of_the_package(prefix: Path, folder: Path, tmp_path: Path) -> None:
    words = ("strategy=data", "ranks=2", "task=lm", "dry_run=true")
    own = run(prefix / "bin/edgejoule", "run", *words, "model=mine", folder=folder)
    assert "data-n2-mine-lm" in own.stdout, own.stderr
    words = (*words, "model=llama-tiny", "cluster.hostfile=hostfiles/local")
    packed = run(prefix / "bin/edgejoule", "run", *words, folder=folder)
    assert "data-n2-llama-tiny-lm" in packed.stdout, packed.stderr
    (tmp_path / "hostfiles").mkdir()
    (tmp_path / "hostfiles/local").write_text("localhost slots=1\n")
    small = run(prefix / "bin/edgejoule", "run", *words, folder=tmp_path)
    assert "has 1 (localhost: 1)" in small.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "model=minilm", "dry_run=true"], ["cache/edgejoule/weights", "get them with: edgejoule fetch"]),
        (["doctor", "push", "cluster=two-boards"], ["push brings a source tree", "install the same version"]),
        (["gallery"], ["give the folder of a gallery"]),
    ],
)
def test_what_needs_more_than_the_package_is_said_in_one_line(
    prefix: Path, folder: Path, words: list[str], told: list[str]
) -> None:
    done = run(prefix / "bin/edgejoule", *words, folder=folder)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert all(text in done.stderr for text in told), done.stderr
