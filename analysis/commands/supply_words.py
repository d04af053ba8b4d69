"""The words about electricity, ``--co2`` and ``--price``: from the command line to what a kilowatt hour emits and costs."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from analysis.study.electricity_supply import MOST_G_PER_KWH, Intensity, Price, Supply
from bench.common.user_error import UserError

AMOUNT = re.compile(r"(?P<before>[^\d\s.+-]{1,6})?\s*(?P<number>\d+(\.\d+)?)\s*(?P<behind>[^\d\s.+-]{1,6})?", re.ASCII)


def add_supply_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words.

    Args:
        parser: The parser of a verb.
    """
    parser.add_argument(
        "--co2",
        metavar="G_PER_KWH|CSV",
        help="also carbon: grams of CO2 equivalent per kWh of the supply, or a CSV of them over time (default: energy.carbon "
        "of the records, if any)",
    )
    parser.add_argument("--co2-source", metavar="TEXT", help="who says so, for the caption")
    parser.add_argument("--co2-column", metavar="NAME", help="the CSV's column of intensities (default: by its unit)")
    parser.add_argument("--time-zone", metavar="ZONE", help="of the CSV's times that have none: UTC, +01:00, Europe/Berlin")
    parser.add_argument("--price", metavar="AMOUNT", help="also cost: the price of a kWh with its currency, such as '0.32 EUR'")


def supply_of(arguments: argparse.Namespace) -> Supply:
    """What the user says about the electricity.

    Args:
        arguments: What ``add_supply_arguments`` declares.

    Returns:
        Intensity and price, where they are stated.

    Raises:
        UserError: A word is no intensity or price, or has no meaning without another.
    """
    for word in ("co2_source", "co2_column", "time_zone"):
        if getattr(arguments, word) is not None and arguments.co2 is None:
            raise UserError(f"--{word.replace('_', '-')} is about --co2, which is not given; give both")
    names = ("co2", "co2_source", "co2_column", "time_zone", "price")
    stated = [(f"--{name.replace('_', '-')}", getattr(arguments, name)) for name in names]
    words = tuple(text for name, value in stated if value is not None for text in (name, value))
    intensity = None if arguments.co2 is None else _intensity(arguments)
    return Supply(intensity, None if arguments.price is None else _price(arguments.price), words)


def _intensity(arguments: argparse.Namespace) -> Intensity:
    text, source = arguments.co2, arguments.co2_source
    try:
        grams = float(text)
    except ValueError:
        return _series(arguments)
    if not 0 <= grams <= MOST_G_PER_KWH:
        raise UserError(f"--co2 {text} must be grams of CO2 equivalent per kWh, from 0 to {MOST_G_PER_KWH:g}")
    if arguments.co2_column is not None or arguments.time_zone is not None:
        raise UserError("--co2-column and --time-zone are about a CSV, and --co2 is a number; leave them out")
    return Intensity.constant(grams, source or f"--co2 {text}")


def _series(arguments: argparse.Namespace) -> Intensity:
    from analysis.imports.log.civil_times import zone_of  # other reports do without what reading logs needs
    from analysis.imports.log.intensity_series import read_intensities

    path = Path(arguments.co2)
    if not path.is_file():
        raise UserError(f"--co2 {arguments.co2} is neither a number of grams per kWh nor a file; give one of them")
    zone = None if arguments.time_zone is None else zone_of(arguments.time_zone)
    return read_intensities(path, arguments.co2_column, zone, arguments.co2_source)


def _price(text: str) -> Price:
    match = AMOUNT.fullmatch(text.strip())
    currency = match and (match["before"] or match["behind"])
    if match is None or (match["before"] and match["behind"]):
        raise UserError(f"--price {text} must be a price of a kWh with its currency, such as '0.32 EUR'")
    if not currency:
        raise UserError(f"--price {text} has no currency; give it, such as '{match['number']} EUR'")
    return Price(float(match["number"]), currency)
