"""The verb ``import``: from its words to a new study and what is printed of it."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

from analysis.imports.log import civil_times, column_hosts
from analysis.imports.log.log_format import LOG_FORMATS, read_log
from analysis.imports.log.log_units import Unit, asked_unit
from analysis.imports.log.meter_log import Log, LogOptions
from analysis.imports.metered.meter_traces import Alignment
from analysis.imports.metered.metered_record import MeteredRecord
from analysis.imports.metered.metered_study import ImportedPoints, check_overlap, check_target, read_source, write_study
from bench.common.user_error import UserError

RECORDED = (
    *("column", "host", "unit", "decimal", "time_zone", "time_column", "start", "offset_s", "alignment_s", "accuracy", "level"),
    "kind",
)
"""The words that a record of the import keeps."""

MOST_OFFSET_S = 3.2e8


def run(arguments: argparse.Namespace) -> int:
    """Write the new study and print what became of its points.

    Args:
        arguments: The words of the verb (``add_arguments``).

    Returns:
        1 when a point is not valid with these readings, else 0.

    Raises:
        UserError: Something cannot be imported.
    """
    alignment = Alignment(arguments.offset_s, arguments.alignment_s)
    _check_numbers(arguments)
    source = read_source(arguments.study, arguments.point)
    check_target(source, arguments.into)
    hosts_of_columns = column_hosts.parse_columns(arguments.column)
    known = column_hosts.known_hosts([*source.points.values(), *source.others])
    column_hosts.check_hosts(hosts_of_columns, known)
    log = read_log(arguments.file, arguments.format, _log_options(arguments, tuple(hosts_of_columns)))
    log_format = LOG_FORMATS.get(log.source)
    if (arguments.unit or arguments.decimal) and not log_format.takes_units:
        raise UserError(f"{log.path} is a log of {log.source}, which states its units; leave --unit and --decimal out")
    offset_reason = log_format.offset_reason
    if offset_reason is not None and alignment.offset_s is None:
        raise UserError(f"{log.path}: {offset_reason}")
    meters = column_hosts.meters_of(log, hosts_of_columns, arguments.host, known)
    check_overlap(log, source, alignment)
    words = {name: value for name, value in vars(arguments).items() if name in RECORDED and value not in (None, [])}
    points = write_study(log, source, meters, alignment, arguments.into, words)
    for line in source.problems:
        print(f"left out: {line}")
    _print(points, log, [meter.name for meter in meters], len(source.others), arguments)
    return 1 if any(metered.record.status != "ok" for metered in points.imported) else 0


def _log_options(arguments: argparse.Namespace, columns: tuple[str, ...]) -> LogOptions:
    zone = None if arguments.time_zone is None else civil_times.zone_of(arguments.time_zone)
    unit, column_units = _units(arguments.unit)
    return LogOptions(
        zone=zone,
        start_ns=None if arguments.start is None else civil_times.moment_ns("--start", arguments.start, zone),
        time_column=arguments.time_column,
        columns=columns,
        level=arguments.level,
        accuracy=None if arguments.accuracy is None else arguments.accuracy / 100,
        kind=arguments.kind,
        unit=unit,
        column_units=column_units,
        decimal=arguments.decimal,
    )


def _units(texts: Sequence[str]) -> tuple[Unit | None, dict[str, Unit]]:
    """The words of ``--unit``: UNIT of all columns, or NAME=UNIT of one."""
    general: Unit | None = None
    of_columns: dict[str, Unit] = {}
    for text in texts:
        name, sign, symbol = text.rpartition("=")
        if (sign and name in of_columns) or (not sign and general is not None):
            raise UserError(f"--unit {text}: {name or 'the unit of all columns'} is given twice; give it once, or NAME=UNIT")
        if sign:
            of_columns[name] = asked_unit(symbol)
        else:
            general = asked_unit(symbol)
    return general, of_columns


def _check_numbers(arguments: argparse.Namespace) -> None:
    accuracy, alignment_s, offset_s = arguments.accuracy, arguments.alignment_s, arguments.offset_s
    if accuracy is not None and not 0 <= accuracy < 100:
        raise UserError(f"--accuracy {accuracy:g} must be per cent of the reading, from 0 to below 100")
    if alignment_s is not None and not 0 <= alignment_s < math.inf:
        raise UserError(f"--alignment-s {alignment_s:g} must be seconds, from 0 on")
    if offset_s is not None and not abs(offset_s) <= MOST_OFFSET_S:
        raise UserError(f"--offset-s {offset_s:g} must be a number of seconds, ten years at most")


def _print(points: ImportedPoints, log: Log, used: list[str], not_chosen: int, arguments: argparse.Namespace) -> None:
    for metered in points.imported:
        print(_line(metered))
    for record in points.copied:
        print(f"copied    {record.point.name}: {record.status}, it has no numbers")
    for what in (*log.unused, *(f"{name}" for name in log.names if name not in used)):
        print(f"not used  {what}")
    if arguments.accuracy is None:
        print("note: without --accuracy the uncertainty has sampling and alignment only, not the meter's own error")
    for note in log.notes:
        print(f"note: {note}")
    kind_note = LOG_FORMATS.get(log.source).kind_note
    if kind_note is not None and arguments.kind is None:
        print(f"note: {kind_note}")
    more = f", {not_chosen} not chosen" if not_chosen else ""
    print(f"study: {arguments.into} ({len(points.imported)} imported, {len(points.copied)} copied{more})")


def _line(metered: MeteredRecord) -> str:
    record = metered.record
    name, energy = record.point.name, record.energy
    if record.status != "ok":
        return f"invalid   {name}: {record.reason}"
    share = 100 * energy.uncertainty_J / energy.total_J if energy.total_J and energy.uncertainty_J else 0.0
    return f"imported  {name}: {energy.per_sample_J:.4g} J per sample (+-{share:.2g} %), {energy.mean_power_W:.4g} W"
