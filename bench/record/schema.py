"""The record's schema: what a result.json must hold, and reading one."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from bench.errors import UserError

RESULT = "edgejoule.result/1"
HERE = Path(__file__).parent


@cache
def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads((HERE / "result.schema.json").read_text())
    return jsonschema.Draft202012Validator(schema)


def problem(record: Any) -> str | None:
    """The first place where ``record`` breaks the schema, in words; None for a good record."""
    error = jsonschema.exceptions.best_match(validator().iter_errors(record))
    return None if error is None else f"{error.json_path}: {error.message[:200]}"


def load_record(path: Path) -> dict[str, Any]:
    """Read and validate a result.json. Raises UserError, one line, for anything that is not a whole record."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; the point has not finished") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a whole record ({error}); run the point again") from None
    found = record.get("schema") if isinstance(record, dict) else None
    if found != RESULT:
        raise UserError(f"{path} has schema {found!r}, this version reads {RESULT!r}; use the version that wrote it")
    wrong = problem(record)
    if wrong is not None:
        raise UserError(f"{path} breaks the schema at {wrong}")
    return record
