"""Files of calibrations: what ``python -m bench.calibrate sensor`` writes and ``energy.calibration`` reads."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.common.user_error import UserError
from bench.joules.channel import Calibration

SCHEMA = "edgejoule.calibration/1"
NUMBERS = ("gain", "offset_W", "gain_u", "offset_u_W", "covariance")
TEXTS = ("against", "scope", "made", "level")
MAKE_ONE = "make one with: python -m bench.calibrate sensor"


def read_calibrations(path: Path) -> dict[str, dict[str, Calibration]]:
    """Read calibrations of board sensors.

    Args:
        path: A file, or a folder of which all files are read.

    Returns:
        Calibrations by host, then by source.

    Raises:
        UserError: A file is no calibration, or two are of one source of one host.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not path.exists() or not files:
        raise UserError(f"energy.calibration={path} holds no calibration; {MAKE_ONE}")
    by_host: dict[str, dict[str, Calibration]] = {}
    for file in files:
        try:
            values = json.loads(file.read_text())
            if values["schema"] != SCHEMA:
                raise UserError(f"{file} has schema {values['schema']}, not {SCHEMA}; calibrate again")
            by_source = by_host.setdefault(str(values["host"]), {})
            if values["source"] in by_source:
                raise UserError(f"{file} calibrates {values['source']} of {values['host']} a second time; keep one file")
            by_source[str(values["source"])] = _calibration(values)
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = f"it has no {error}" if isinstance(error, KeyError) else error
            raise UserError(f"{file} is not a calibration ({why}); {MAKE_ONE}") from None
    return by_host


def _calibration(values: Mapping[str, Any]) -> Calibration:
    """Raises KeyError, TypeError or ValueError."""
    numbers: dict[str, Any] = {key: float(values[key]) for key in NUMBERS}
    for key, number in numbers.items():
        if not math.isfinite(number):
            raise ValueError(f"{key} is {number}")
    if numbers["gain"] <= 0 or numbers["gain_u"] < 0 or numbers["offset_u_W"] < 0:
        raise ValueError("gain must be positive, and uncertainties not negative")
    return Calibration(**{**numbers, **{key: str(values[key]) for key in TEXTS}})
