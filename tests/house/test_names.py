"""Where files lie and what they are called."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.house.measures import PACKAGES, modules, name_of
from tests.project import ROOT, TESTS

ANONYMOUS = ("__init__.py", "__main__.py")
ONE_FILE_EACH = {"strategies"}
"""Folders whose loose files are one of a kind each: a strategy is one file beside ``base.py``."""
LOOSE = 5


def test_no_two_modules_share_a_name() -> None:
    """Two files of one name are two answers to one question: a reader opens the wrong one."""
    names = Counter(path.name for path in modules() if path.name not in ANONYMOUS)
    assert sorted(name_of(path) for path in modules() if names[path.name] > 1 and path.name not in ANONYMOUS) == []


def test_no_two_test_modules_share_a_name() -> None:
    tests = [path for path in TESTS.rglob("test_*.py") if TESTS / "mpi" not in path.parents]
    names = Counter(path.name for path in tests)
    assert sorted(str(path.relative_to(TESTS)) for path in tests if names[path.name] > 1) == []


def packages() -> list[Path]:
    """Folders with folders inside."""
    folders = {path.parent for path in modules()}
    return sorted(folder for folder in folders if any(other.parent == folder for other in folders))


@pytest.mark.parametrize("folder", packages(), ids=name_of)
def test_few_loose_files_lie_beside_folders(folder: Path) -> None:
    """What does not belong to a folder is soon a heap."""
    if name_of(folder) not in ONE_FILE_EACH:
        loose = [path.name for path in folder.glob("*.py") if path.name not in ANONYMOUS]
        assert len(loose) <= LOOSE, sorted(loose)


@pytest.mark.parametrize("package", PACKAGES)
def test_tests_mirror_the_packages(package: str) -> None:
    """Tests of ``bench/joules`` lie in ``tests/bench/joules``; a folder of tests of something that is gone is none."""
    for folder in (TESTS / package).rglob("*"):
        inside = folder.relative_to(TESTS)
        if folder.is_dir() and any(folder.glob("test_*.py")):
            assert (ROOT / inside).is_dir() or (ROOT / f"{inside}.py").is_file(), f"tests/{inside} mirrors nothing"
