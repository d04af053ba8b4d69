"""``python -m analysis import FILE results/STUDY --into results/STUDY-metered``: readings of another meter under our events.

What follows from the readings (the ``energy`` block, joules of learning and replication, the checks that hang on them) is
computed as for our own meters; the study that is read is never changed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from analysis.imports.log.log_format import LOG_FORMATS
from analysis.imports.log.meter_log import KINDS, LEVELS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words of the verb ``import``.

    Args:
        parser: Of the verb; it is changed.
    """
    parser.add_argument("file", type=Path, help="the meter's log")
    parser.add_argument("study", type=Path, help="folder of the study, results/STUDY; it is not changed")
    parser.add_argument("--into", type=Path, required=True, help="folder of the new study")
    parser.add_argument("--format", choices=list(LOG_FORMATS.all()), help="what the log is (default: by its content)")
    parser.add_argument(
        "--host", metavar="NAME", help="whose power it is, in a log of one column; NAME,NAME for one meter of several"
    )
    parser.add_argument(
        "--column",
        metavar="NAME=HOST",
        action="append",
        default=[],
        help="whose power a column of the CSV, a node of perun or a project of CodeCarbon is (HOST,HOST: of one meter of both; "
        "VOLTS*AMPS=HOST: of two columns, for direct current)",
    )
    parser.add_argument(
        "--unit",
        metavar="UNIT",
        action="append",
        default=[],
        help="of numbers whose column does not say it: W, mW, kW, J, Wh, kWh, ...; NAME=UNIT: of one column",
    )
    parser.add_argument("--decimal", choices=(".", ","), help="the decimal mark, where a comma may also group digits")
    parser.add_argument("--point", metavar="PATTERN", default="*", help="only these points, such as 'data-*' (default: all)")
    parser.add_argument("--time-zone", metavar="ZONE", help="of times that have none: UTC, +01:00, Europe/Berlin")
    parser.add_argument("--time-column", metavar="NAME", help="the CSV's column of times, or DAY+TIME (default: by name)")
    parser.add_argument("--start", metavar="TIME", help="civil time of second 0, for a CSV whose seconds count from a start")
    parser.add_argument("--offset-s", metavar="X", type=float, help="seconds to add to the log's times")
    parser.add_argument(
        "--alignment-s",
        metavar="X",
        type=float,
        help="how well log and hosts then agree, in seconds (default: to what is printed)",
    )
    parser.add_argument(
        "--accuracy", metavar="PERCENT", type=float, help="standard uncertainty of the meter, in per cent of the reading"
    )
    parser.add_argument("--level", choices=LEVELS, help="where the meter sits (perun and CodeCarbon: package)")
    parser.add_argument("--kind", choices=KINDS, help="default: measured; CodeCarbon's are estimates, so modelled")


def import_verb(arguments: argparse.Namespace) -> int:
    """Import a meter's log into a new study.

    Args:
        arguments: The words of ``add_arguments``.

    Returns:
        1 when a point is not valid with these readings, else 0.

    Raises:
        UserError: The log or the study cannot be imported.
    """
    from analysis.imports.import_command import run  # other verbs do without what it needs

    return run(arguments)
