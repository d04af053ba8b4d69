"""The documentation builds without a warning: no link, anchor or picture of it leads nowhere, and no page is left out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import ROOT

pytestmark = pytest.mark.slow


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(config), "--site-dir", str(site)]
    return subprocess.run(line, capture_output=True, text=True, timeout=240)


def test_docs_build_strictly(tmp_path: Path) -> None:
    done = build(ROOT / "mkdocs.yml", tmp_path / "site")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site/index.html").is_file()


@pytest.mark.parametrize("text", ["[a page](nowhere.md)", "[a heading](index.md#nowhere)", "![a picture](nowhere.png)"])
def test_a_broken_link_fails(tmp_path: Path, text: str) -> None:
    """The settings of the project's own mkdocs.yml refuse each kind of broken link."""
    settings = (ROOT / "mkdocs.yml").read_text()
    (tmp_path / "mkdocs.yml").write_text(settings[: settings.index("nav:\n  - ")])
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text(f"# Start\n\n{text}\n")
    done = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert done.returncode != 0
    assert "nowhere" in done.stdout + done.stderr
