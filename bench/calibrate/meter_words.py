"""A meter that a word of the command line describes: ``--meter 'source: shelly, address: http://...'``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from bench.common.user_error import UserError
from bench.energy.calibration import side_by_side
from bench.energy.sampling.inventory_meters import read_meters
from bench.energy.sampling.meter_entry import MeterEntry


def meter_of(text: str, host: str) -> MeterEntry:
    """The complete entry of the meter that ``--meter`` describes.

    Args:
        text: YAML of one mapping, with or without its braces.
        host: The only host that the meter stands in front of.

    Returns:
        The meter's entry, as an inventory would have it.

    Raises:
        UserError: For text that describes no meter.
    """
    return read_meters({side_by_side.METER: entry_of(text)}, [host])[side_by_side.METER]


def entry_of(text: str) -> dict[str, Any]:
    """The mapping that ``--meter`` describes.

    Args:
        text: YAML of one mapping, with or without its braces.

    Returns:
        Its keys and values, of which only ``source`` is checked.

    Raises:
        UserError: For text that describes no meter.
    """
    try:
        entry = yaml.safe_load(text if text.lstrip().startswith("{") else f"{{{text}}}")
    except yaml.YAMLError:
        entry = None
    if not isinstance(entry, Mapping) or not isinstance(entry.get("source"), str):
        raise UserError(f"--meter {text!r} is no meter; give it as 'source: shelly, address: http://192.168.1.50'")
    return dict(entry)
