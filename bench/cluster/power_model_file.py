"""The file of a fitted power model: what ``calibrate model`` writes and a board class names (``power: {model: FILE}``)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.cluster.board_power import NUMBERS, Plain
from bench.common.sourced_yaml import check_keys, check_number, check_positive, check_text
from bench.common.user_error import UserError

SCHEMA = "edgejoule.power_model/1"
COMMAND = "python -m bench.calibrate model"


def read_power_model(where: str, file: Any, folder: Path) -> Plain:
    """The coefficients of a fit.

    Args:
        where: The key that names the file, which begins every message.
        file: Its path as the description has it, relative to the folder of the description.
        folder: That folder.

    Returns:
        The keys of ``power`` that the fit gives, each number with its source.

    Raises:
        UserError: There is no such file, or it is no power model.
    """
    check_text(where, file)
    path = folder / Path(file).expanduser()
    try:
        fit = json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"{where}: {path} cannot be read ({error.strerror}); make it with {COMMAND}") from None
    except ValueError:
        fit = None
    if not isinstance(fit, Mapping) or fit.get("schema") != SCHEMA or not isinstance(fit.get("power"), Mapping):
        schema = fit.get("schema", "no schema") if isinstance(fit, Mapping) else "not JSON"
        raise UserError(f"{where}: {path} is no {SCHEMA} ({schema}); make it with {COMMAND}")
    check_keys(f"{where}: {path}: power", fit["power"], (*NUMBERS, "cpu_W_at"), ("idle_W", "cpu_W", "model_u"))
    return dict(fit["power"])


def check_clocks(where: str, clocks: Any) -> None:
    """Check watts at several clocks.

    Args:
        where: Their place in the description, which begins the message.
        clocks: As YAML has them.

    Raises:
        UserError: They are no list of clock, value and source, or not in the order of the clocks.
    """
    if not isinstance(clocks, Sequence) or isinstance(clocks, str):
        raise UserError(f"{where} must be a list of frequency_Hz, value and source, found {clocks!r}")
    for one in clocks:
        check_number(where, one, ("frequency_Hz",))
        check_positive(f"{where}.frequency_Hz", one["frequency_Hz"])
    rates = [one["frequency_Hz"] for one in clocks]
    if rates != sorted(set(rates)):
        raise UserError(f"{where} must go from the lowest clock to the highest, each once, found {rates}")
