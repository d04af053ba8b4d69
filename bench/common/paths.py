"""Where the project's files are: one root, and what lies under it."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
CONF = PROJECT / "conf"
DATA = PROJECT / "data"
