"""The verb ``import``: from its words to a new study and what is printed of it."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from analysis.imports import civil_times, codecarbon, column_hosts, perun, power_csv
from analysis.imports.meter_log import Asked, Log
from analysis.imports.metered_record import Alignment, Joined
from analysis.imports.metered_study import Told, check_overlap, check_target, read_source, write_study
from bench.common.user_error import UserError

READERS = {"perun": perun.read, "codecarbon": codecarbon.read, "csv": power_csv.read}
OPTIONS = ("column", "host", "time_zone", "time_column", "start", "offset_s", "alignment_s", "accuracy", "level", "kind")
"""The words that a record of the import keeps."""
HDF5 = b"\x89HDF\r\n\x1a\n"


def run(arguments: argparse.Namespace) -> int:
    """1 when a point is not valid with these readings."""
    how = Alignment(arguments.offset_s, arguments.alignment_s)
    _check_numbers(arguments)
    source = read_source(arguments.study, arguments.point)
    check_target(source, arguments.into)
    pairs = column_hosts.pairs_of(arguments.column)
    known = column_hosts.known_hosts([*source.points.values(), *source.others])
    column_hosts.check_hosts(pairs, known)
    log = read_log(arguments.file, arguments.format, _asked(arguments, tuple(pairs)))
    if log.source == "perun" and how.offset_s is None:
        raise UserError(
            f"{log.path}: perun tells when it was started, not when it took its first reading, which is seconds later; give "
            "that time as --offset-s, or --offset-s 0 for perun monitor --binary, which reads at once"
        )
    meters = column_hosts.meters_of(log, pairs, arguments.host, known)
    check_overlap(log, source, how)
    words = {name: value for name, value in vars(arguments).items() if name in OPTIONS and value is not None}
    told = write_study(log, source, meters, how, arguments.into, words)
    for line in source.problems:
        print(f"left out: {line}")
    _print(told, log, [meter.name for meter in meters], len(source.others), arguments)
    return 1 if any(joined.record["status"] != "ok" for joined in told.imported) else 0


def read_log(path: Path, asked_format: str | None, asked: Asked) -> Log:
    """Read the log as what it is called or, without a word, as what it looks like."""
    if not path.is_file():
        raise UserError(f"{path} is no file; give the meter's log")
    return READERS[asked_format or _looks_like(path)](path, asked)


def _looks_like(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(HDF5):
        return "perun"
    header = head.decode("utf-8", "replace").splitlines()[0].split(",") if head else []
    return "codecarbon" if {"energy_consumed", "duration"} <= set(header) or "codecarbon_version" in header else "csv"


def _asked(arguments: argparse.Namespace, columns: tuple[str, ...]) -> Asked:
    zone = None if arguments.time_zone is None else civil_times.zone_of(arguments.time_zone)
    return Asked(
        zone=zone,
        start_ns=None if arguments.start is None else civil_times.moment_ns("--start", arguments.start, zone),
        time_column=arguments.time_column,
        columns=columns,
        level=arguments.level,
        accuracy=None if arguments.accuracy is None else arguments.accuracy / 100,
        kind=arguments.kind,
    )


def _check_numbers(arguments: argparse.Namespace) -> None:
    accuracy, alignment_s, offset_s = arguments.accuracy, arguments.alignment_s, arguments.offset_s
    if accuracy is not None and not 0 <= accuracy < 100:
        raise UserError(f"--accuracy {accuracy:g} must be per cent of the reading, from 0 to below 100")
    if alignment_s is not None and not 0 <= alignment_s < math.inf:
        raise UserError(f"--alignment-s {alignment_s:g} must be seconds, from 0 on")
    if offset_s is not None and not math.isfinite(offset_s):
        raise UserError(f"--offset-s {offset_s:g} must be a number of seconds")


def _print(told: Told, log: Log, used: list[str], not_chosen: int, arguments: argparse.Namespace) -> None:
    for joined in told.imported:
        print(_line(joined))
    for record in told.copied:
        print(f"copied    {record['point']['name']}: {record['status']}, it has no numbers")
    for what in (*log.unused, *(f"{name}" for name in log.names if name not in used)):
        print(f"not used  {what}")
    if arguments.accuracy is None:
        print("note: without --accuracy the uncertainty has sampling and alignment only, not the meter's own error")
    if log.source == "codecarbon" and arguments.kind is None:
        print("note: CodeCarbon estimates what it cannot read and does not say which; the energy is called modelled")
    more = f", {not_chosen} not chosen" if not_chosen else ""
    print(f"study: {arguments.into} ({len(told.imported)} imported, {len(told.copied)} copied{more})")


def _line(joined: Joined) -> str:
    record = joined.record
    name, energy = record["point"]["name"], record["energy"]
    if record["status"] != "ok":
        return f"invalid   {name}: {record['reason']}"
    share = 100 * energy["uncertainty_J"] / energy["total_J"] if energy["total_J"] else 0.0
    return f"imported  {name}: {energy['per_sample_J']:.4g} J per sample (+-{share:.2g} %), {energy['mean_power_W']:.4g} W"
