"""What the pages name exists: files and folders of the project, and pages that the code points to."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.project import ROOT

TOP = ["analysis", "bench", "benchmarks", "conf", "data", "docs", "edgejoule", "hostfiles", "strategies", "tests"]
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - {ROOT / "CHANGELOG.md"})
NAMED = re.compile(rf"(?<![\w./-])(?:{'|'.join(TOP)})/[\w./-]*\w/?")
DOCS = re.compile(r"(?<![\w./-])docs/[\w/-]+\.md\b")
NOT_OURS = {"setup.py", "fnirsi_logger.py", "train.py", "script.py"}
PLACEHOLDERS = re.compile(r"/(?:NAME|CLASS|mine)(?!\w)|/[A-Z_]+$")
"""Files that a reader makes: ``conf/model/mine.yaml``, ``analysis/figures/NAME.py``."""


def files() -> list[str]:
    """The project's own files, with those that are not committed yet."""
    line = ["git", "ls-files", "-co", "--exclude-standard"]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def missing(text: str) -> list[str]:
    """The paths that a text names and the project does not have; ``*`` and words in capitals stand for something."""
    named = {path.rstrip("/.") for path in NAMED.findall(text) if not PLACEHOLDERS.search(path)}
    return sorted(path for path in named if not (ROOT / path).exists() and not (ROOT / f"{path}.py").exists())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_name_files_that_exist(page: Path) -> None:
    """A page that names a file by an old path sends its reader nowhere."""
    assert missing(page.read_text()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_name_modules_that_exist(page: Path) -> None:
    """Also where the folder is not said: ``ring_attention.py``."""
    known = {Path(name).name for name in files()}
    assert sorted(set(re.findall(r"(?<![\w/.-])[a-z]\w*\.py\b", page.read_text())) - known - NOT_OURS) == []


def test_code_points_to_pages_that_exist() -> None:
    """Docstrings, errors, configuration and scripts name pages of docs/ by their path."""
    wrong = []
    for name in files():
        path = ROOT / name
        if path.suffix in (".py", ".yaml", ".yml", ".toml", ".sh", ".j2") and path.is_file() and "records" not in path.parts:
            wrong += [f"{name}: {page}" for page in DOCS.findall(path.read_text()) if not (ROOT / page).is_file()]
    assert wrong == []


def test_a_wrong_path_is_found() -> None:
    assert missing("see `bench/no_such_module.py` and bench/run/worker.py") == ["bench/no_such_module.py"]


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=lambda page: page.name)
def test_links_into_the_docs_lead_somewhere(page: Path) -> None:
    """MkDocs sees pages below docs/ only; links of README and CONTRIBUTING, with their anchors, are looked up here."""
    for target, _, anchor in re.findall(r"\]\((?!https?:)([^)#]+)(#([\w-]+))?\)", page.read_text()):
        assert (ROOT / target).exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", (ROOT / target).read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def unknown_names(text: str) -> list[str]:
    """Dotted names of a text that are neither a module nor something in one."""
    unknown = []
    for name in sorted(set(re.findall(r"(?<![\w./-])(?:bench|analysis|strategies|tests)(?:\.[A-Za-z_]\w*)+", text))):
        parts = name.split(".")
        known = next(
            n for n in range(len(parts), 0, -1) if module_file(parts[:n]).is_file() or ROOT.joinpath(*parts[:n]).is_dir()
        )
        file, rest = module_file(parts[:known]), parts[known:]
        if rest and not (file.is_file() and re.search(rf"\b{rest[0]}\b", file.read_text())):
            unknown.append(name)
    return unknown


def module_file(parts: list[str]) -> Path:
    """The file of a module or of a package."""
    module = ROOT.joinpath(*parts).with_suffix(".py")
    return module if module.is_file() else ROOT.joinpath(*parts, "__init__.py")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_name_python_that_exists(page: Path) -> None:
    """``python -m bench.planner`` and ``bench.cluster.board_classes.table`` are there."""
    assert unknown_names(page.read_text()) == []


def test_a_wrong_name_is_found() -> None:
    assert unknown_names("bench.no_such, bench.common.paths.PROJECT, bench.common.paths.NO_SUCH") == [
        "bench.common.paths.NO_SUCH",
        "bench.no_such",
    ]
