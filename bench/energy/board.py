"""Descriptions of board classes: ``conf/board/CLASS.yaml``, every number with its source."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml

from bench.errors import UserError


def load_board(name: str, folder: Path) -> dict[str, Any]:
    """The description of a board class. UserError for an unknown one, and for a number without its source."""
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UserError(f"unknown board {name}; known are {', '.join(known)}{hint}")
    board: dict[str, Any] = yaml.safe_load((folder / f"{name}.yaml").read_text())
    for key, number in board["power"].items():
        if not isinstance(number, dict) or not number.get("source") or not isinstance(number.get("value"), (int, float)):
            raise UserError(f"board {name}: power.{key} needs a value and its source, found {number!r}")
    return board
