"""A study to give away: its records without what is of one machine alone, small enough to lie beside a paper.

    python -m analysis publish results/quickstart --into artefact/quickstart

Kept is every number. Replaced are the project's folder (``.``), home folders (``~``) and boot ids (``boot-1``, ...). Left out
are logs, configurations and events, and raw power but that of first repeats. Host names, addresses and processors stay: they
are the environment. ``environment.published`` says that a record is such a copy.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.study.study import Study
from bench.common.atomic_files import write_json
from bench.common.user_error import UserError
from bench.record.record_file import problem
from bench.record.study_folder import SEARCH_FILE, STUDY

POWER = ("first", "all", "none")
HOME = re.compile(r"(?:/home/[^/\s\"']+|/root)(?=/|\s|$)")


def publish(study: Study, into: Path, power: str = "first") -> int:
    """Write the copies of a study's records.

    Args:
        study: In a folder.
        into: The folder of the copy; must not exist.
        power: Whose ``power.parquet`` goes with them: of the ``first`` repeat of each configuration, of ``all``, of ``none``.

    Returns:
        The number of records.

    Raises:
        UserError: ``into`` exists, ``power`` is unknown, or a copy breaks the schema.
    """
    if power not in POWER:
        raise UserError(f"--power={power} is unknown; use {', '.join(POWER)}")
    if into.exists():
        raise UserError(f"{into} exists; choose another --into, or move that folder away")
    boots: dict[str, str] = {}
    for record in study.records:
        folder = record.folder or study.folder / record.point.name
        copy = published(json.loads((folder / "result.json").read_text(encoding="utf-8")), folder.name, study.name, boots)
        if wrong := problem(copy):
            raise UserError(f"{folder} cannot be published: its copy breaks the schema at {wrong}")
        write_json(into / folder.name / "result.json", copy)
        trace = folder / "power.parquet"
        if trace.exists() and (power == "all" or (power == "first" and record.point.repeat == 0)):
            shutil.copyfile(trace, into / folder.name / trace.name)
    about = json.loads((study.folder / "study.json").read_text())
    write_json(into / "study.json", {**about, "schema": STUDY})
    if (study.folder / SEARCH_FILE).exists():
        shutil.copyfile(study.folder / SEARCH_FILE, into / SEARCH_FILE)
    return len(study.records)


def published(record: Mapping[str, Any], point: str, study: str, boots: dict[str, str]) -> dict[str, Any]:
    """The copy of one record, without what is private to the machine.

    Args:
        record: As it lies in its file; it is not changed.
        point: Name of the point's folder.
        study: Name of the study's folder.
        boots: The names that boot ids were given so far; gets new ones.

    Returns:
        A copy with every number, paths and boot ids replaced.
    """
    command = record["environment"].get("command") or ""
    path = re.search(rf"(\S+)/results/{re.escape(study)}/{re.escape(point)}/", command)
    project = path[1] if path else None
    for identity in _boot_ids(record):
        boots.setdefault(identity, f"boot-{len(boots) + 1}")

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: clean(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [clean(inner) for inner in value]
        if not isinstance(value, str):
            return value
        if value in boots:
            return boots[value]
        return HOME.sub("~", value if project is None else value.replace(project, "."))

    copy: dict[str, Any] = clean(dict(record))
    copy["environment"]["published"] = {"replaced": ["project folder", "home folders", "boot ids"]}
    return copy


def _boot_ids(value: Any) -> list[str]:
    """All of a record, in the order in which they stand in it."""
    if isinstance(value, dict):
        here = [value["boot_id"]] if isinstance(value.get("boot_id"), str) else []
        return here + [identity for inner in value.values() for identity in _boot_ids(inner)]
    return [identity for inner in value for identity in _boot_ids(inner)] if isinstance(value, list) else []
