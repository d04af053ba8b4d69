"""Board classes, ``conf/board/CLASS.yaml``: what a board has, draws and can be set to. Every number has its source.

The numbers at the top describe the board in its ``default_mode``. Watts are of the whole board where such are published;
the source says where they are of a module alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.cluster.board_class import NUMBERS, SETTINGS, BoardClass
from bench.cluster.board_power import AT_WORK, CPU, Plain
from bench.cluster.board_power import NUMBERS as WATTS
from bench.cluster.power_model_file import check_clocks, read_power_model
from bench.cluster.training_rate import DEVICES, check_training_rates
from bench.common.sourced_yaml import check_keys, check_number, check_positive, check_text, read
from bench.common.user_error import UserError
from strategies.common.registry import did_you_mean

KEYS = ("name", "description", *NUMBERS, "train_flop_s", "power", "power_modes", "default_mode")
NEEDED = ("name", "description", "cores", "memory_bytes", "power")
MODE_KEYS = (*SETTINGS, "speed", "power")


def load_board(name: str, folder: Path | Sequence[Path]) -> BoardClass:
    """Read the description of a board class.

    Args:
        name: The class: the file's name without ``.yaml``.
        folder: Where the files are; of several folders the first that has the file.

    Returns:
        The class with its numbers, their sources and its power modes.

    Raises:
        UserError: One line, for an unknown class and for anything wrong in its file.
    """
    board = read("board", name, folder)
    where = f"board {name}"
    home = next(place for place in ([folder] if isinstance(folder, Path) else folder) if (place / f"{name}.yaml").is_file())
    check_keys(where, board, KEYS, NEEDED)
    check_text(f"{where}: description", board["description"])
    for key in NUMBERS:
        if key in board:
            check_number(f"{where}: {key}", board[key], ("device",) if key == "flop_s" else ())
    if "flop_s" in board and board["flop_s"]["device"] not in DEVICES:
        raise UserError(f"{where}: flop_s.device must be {' or '.join(DEVICES)}, found {board['flop_s']['device']!r}")
    board["power"] = _read_power(where, "power", board["power"], home)
    _check_modes(where, board, home)
    if "train_flop_s" in board:
        check_training_rates(where, board["train_flop_s"], board.get("power_modes"))
    return BoardClass.from_dict(board)


def _read_power(where: str, key: str, power: Any, folder: Path) -> Plain:
    """The watts of a description, checked; where they name the file of a fit, those of the fit."""
    check_keys(f"{where}: {key}", power, (*WATTS, "cpu_W_at", "model"))
    if "model" in power:
        power = {**read_power_model(f"{where}: {key}.model", power["model"], folder), **power}
    for name in WATTS:
        if name in power:
            check_number(f"{where}: {key}.{name}", power[name], ("device",) if name == "busy_W" else ())
    at_work = power["busy_W"]["device"] if "busy_W" in power else CPU
    if at_work not in AT_WORK:
        raise UserError(
            f"{where}: {key}.busy_W.device must say what was at work when it was read: {', '.join(AT_WORK)}; found {at_work!r}"
        )
    check_clocks(f"{where}: {key}.cpu_W_at", power.get("cpu_W_at", []))
    idle, busy = (power[name]["value"] if name in power else None for name in ("idle_W", "busy_W"))
    if idle is not None and busy is not None and busy < idle:
        raise UserError(f"{where}: {key}.busy_W = {busy} is below idle_W = {idle}; were they swapped?")
    return dict(power)


def _check_modes(where: str, board: Plain, home: Path) -> None:
    modes, default = board.get("power_modes"), board.get("default_mode")
    if modes is None:
        if default is not None:
            raise UserError(f"{where}: default_mode is {default}, but there are no power_modes; leave it out")
        return
    if not isinstance(modes, Mapping) or not modes:
        raise UserError(f"{where}: power_modes must be a mapping from a name to what is set, found {modes!r}")
    for name, mode in modes.items():
        _check_mode(where, name, mode, home)
    if default not in modes:
        raise UserError(f"{where}: default_mode {default} is none of {', '.join(modes)}{did_you_mean(str(default), modes)}")
    if "power" in modes[default]:
        raise UserError(f"{where}: {default} is the default_mode, so its watts are the board's power; leave out its own")


def _check_mode(where: str, name: Any, mode: Any, home: Path) -> None:
    if not isinstance(name, str):
        raise UserError(f"{where}: the name of a power mode must be text, found {name!r}; put it in quotes")
    mode_of = f"{where}: power_modes.{name}"
    check_keys(mode_of, mode, MODE_KEYS)
    if not any(key in mode for key in SETTINGS):
        raise UserError(f"{mode_of} sets nothing; give it one of {', '.join(SETTINGS)}")
    if "nvpmodel" in mode and (
        isinstance(mode["nvpmodel"], bool) or not isinstance(mode["nvpmodel"], int) or mode["nvpmodel"] < 0
    ):
        raise UserError(f"{mode_of}.nvpmodel must be the id of a mode, a whole number, found {mode['nvpmodel']!r}")
    if "jetson_clocks" in mode and not isinstance(mode["jetson_clocks"], bool):
        raise UserError(f"{mode_of}.jetson_clocks must be true or false, found {mode['jetson_clocks']!r}")
    if "governor" in mode:
        check_text(f"{mode_of}.governor", mode["governor"])
    for key in ("max_frequency_Hz", "rapl_limit_W"):
        if key in mode:
            check_positive(f"{mode_of}.{key}", mode[key])
    if "speed" in mode:
        check_number(f"{mode_of}.speed", mode["speed"])
    if "power" in mode:
        mode["power"] = _read_power(where, f"power_modes.{name}.power", mode["power"], home)
