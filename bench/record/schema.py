"""The record's schema: what a result.json must hold, and reading one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs

from bench.common.user_error import UserError

RESULT = "edgejoule.result/2"
SCHEMA = Path(__file__).with_name("result.schema.json")
Record = dict[str, Any]


def _from_1(record: Record) -> Record:
    """The first version did not say how the hosts were connected."""
    if not isinstance(record.get("point"), dict):
        return record  # the schema will say what is wrong with it
    return {**record, "schema": RESULT, "point": {**record["point"], "network": None}}


MIGRATIONS: Mapping[str, Callable[[Record], Record]] = {"edgejoule.result/1": _from_1}
"""What makes a record of an older version one of this: nothing is guessed, what was not recorded is null."""


@cache
def validator() -> jsonschema.Draft202012Validator:
    """The one that finds the words for what is wrong."""
    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))


@cache
def _quick() -> jsonschema_rs.Draft202012Validator:
    """Says whether a record is good some fifty times as fast: studies have thousands."""
    return jsonschema_rs.Draft202012Validator(json.loads(SCHEMA.read_text()))


def problem(record: Any) -> str | None:
    """The first place where ``record`` breaks the schema, in words; None for a good record."""
    if _quick().is_valid(record):
        return None
    error = jsonschema.exceptions.best_match(validator().iter_errors(record))
    return "$: it is not valid" if error is None else f"{error.json_path}: {error.message[:200]}"


def load_record(path: Path) -> Record:
    """Read, migrate and validate a result.json. Raises UserError, one line, for anything that is not a whole record."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; the point has not finished") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a whole record ({error}); run the point again") from None
    found = record.get("schema") if isinstance(record, dict) else None
    if isinstance(found, str) and found in MIGRATIONS:
        record = MIGRATIONS[found](record)
    elif found != RESULT:
        known = ", ".join(repr(name) for name in (*MIGRATIONS, RESULT))
        raise UserError(f"{path} has schema {found!r}, this version reads {known}; use the version that wrote it")
    wrong = problem(record)
    if wrong is not None:
        raise UserError(f"{path} breaks the schema at {wrong}")
    return record
