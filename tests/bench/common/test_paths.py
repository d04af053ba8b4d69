"""Where files are looked for: the user's before the suite's, and those of a source tree and of an installed tool."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.common import paths
from tests.project import ROOT


def test_a_source_tree_has_its_resources_at_its_top() -> None:
    assert not paths.INSTALLED
    assert (paths.CONF, paths.DATA, paths.JOB_FOLDER) == (ROOT / "conf", ROOT / "data", ROOT)
    assert paths.import_variables() == {"PYTHONPATH": str(ROOT)}


def test_code_in_the_interpreters_own_packages_needs_no_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """PYTHONPATH would put all of them before the standard library."""
    monkeypatch.setattr(paths.site, "getsitepackages", lambda: [str(tmp_path)])
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    assert paths.import_variables() == {}


def test_files_of_the_working_folder_come_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert paths.conf_folders("board") == [ROOT / "conf/board"]
    assert paths.resource("hostfiles/local") == ROOT / "hostfiles/local"
    (tmp_path / "conf").mkdir()
    (tmp_path / "hostfiles").mkdir()
    (tmp_path / "hostfiles/local").touch()
    assert paths.conf_folders("board") == [tmp_path / "conf/board", ROOT / "conf/board"]
    assert paths.resource("hostfiles/local").resolve() == tmp_path / "hostfiles/local"
    monkeypatch.chdir(ROOT)
    assert paths.conf_folders("board") == [ROOT / "conf/board"]  # once, although it is the working folder's too


def test_weights_lie_where_the_user_says_else_in_the_tree_or_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EDGEJOULE_WEIGHTS", raising=False)
    assert paths.weights_root() == ROOT / "weights"
    monkeypatch.setattr(paths, "INSTALLED", True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert paths.weights_root() == tmp_path / "edgejoule/weights"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.weights_root() == tmp_path / ".cache/edgejoule/weights"
    monkeypatch.setenv("EDGEJOULE_WEIGHTS", "/elsewhere")
    assert paths.weights_root() == Path("/elsewhere")
