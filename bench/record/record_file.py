"""Reading a ``result.json``: whole, of a known version, and as the schema says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs

from bench.common.user_error import UserError
from bench.record.monitored_record import MONITORED, MonitoredRecord
from bench.record.record import RESULT, Record
from bench.record.result_schema import monitored_schema, result_schema

Json = dict[str, Any]


def _from_1(record: Json) -> Json:
    """The first version did not say how the hosts were connected."""
    if not isinstance(record.get("point"), dict):
        return record  # the schema will say what is wrong with it
    return {**record, "schema": RESULT, "point": {**record["point"], "network": None}}


MIGRATIONS: Mapping[str, Callable[[Json], Json]] = {"edgejoule.result/1": _from_1}
"""For each older version the function that makes a record of this one: nothing is guessed, what was not recorded is null."""


@cache
def validator() -> jsonschema.Draft202012Validator:
    """The validator that says in words what is wrong."""
    return jsonschema.Draft202012Validator(result_schema())


@cache
def _quick() -> jsonschema_rs.Draft202012Validator:
    """Says whether a record is good some fifty times as fast: studies have thousands."""
    return jsonschema_rs.Draft202012Validator(result_schema())


def problem(record: Any) -> str | None:
    """The first place where a record breaks the schema.

    Args:
        record: A record as JSON, of this version.

    Returns:
        The place and what is wrong there, in words; None for a good one.
    """
    if _quick().is_valid(record):
        return None
    error = jsonschema.exceptions.best_match(validator().iter_errors(record))
    return "$: it is not valid" if error is None else f"{error.json_path}: {error.message[:200]}"


def load_monitored(path: Path) -> MonitoredRecord:
    """Read and validate a ``monitored.json``.

    Args:
        path: The file.

    Returns:
        The record.

    Raises:
        UserError: One line, for anything that is not a whole record.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a whole record ({error}); run edgejoule monitor --merge {path.parent}") from None
    version = record.get("schema") if isinstance(record, dict) else None
    if version != MONITORED:
        raise UserError(f"{path} has schema {version!r}, this version reads {MONITORED!r}; use the version that wrote it")
    broken = jsonschema.exceptions.best_match(_monitored_validator().iter_errors(record))
    if broken is not None:
        raise UserError(f"{path} breaks the schema at {broken.json_path}: {broken.message[:200]}")
    return MonitoredRecord.from_dict(record)


@cache
def _monitored_validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(monitored_schema())


def load_record(path: Path) -> Record:
    """Read, migrate and validate a ``result.json``.

    Args:
        path: The file of this version or an older one.

    Returns:
        The record; a ``MeasuredRecord`` where the point finished.

    Raises:
        UserError: One line, for anything that is not a whole record.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; the point has not finished") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a whole record ({error}); run the point again") from None
    version = record.get("schema") if isinstance(record, dict) else None
    if isinstance(version, str) and version in MIGRATIONS:
        record = MIGRATIONS[version](record)
    elif version != RESULT:
        known = ", ".join(repr(name) for name in (*MIGRATIONS, RESULT))
        raise UserError(f"{path} has schema {version!r}, this version reads {known}; use the version that wrote it")
    wrong = problem(record)
    if wrong is not None:
        raise UserError(f"{path} breaks the schema at {wrong}")
    return Record.from_dict(record)
