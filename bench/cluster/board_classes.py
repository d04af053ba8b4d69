"""Board classes, ``conf/board/CLASS.yaml``: what a board has, draws and can be set to. Every number has its source.

The numbers at the top describe the board in its ``default_mode``. Watts are of the whole board where such are published;
the source says where they are of a module alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.common.sourced_yaml import check_keys, check_number, check_positive, check_text, read
from bench.common.user_error import UserError
from strategies.common.registry import did_you_mean

NUMBERS = ("cores", "memory_bytes", "network_bit_s", "flop_s")
KEYS = ("name", "description", *NUMBERS, "power", "power_modes", "default_mode")
NEEDED = ("name", "description", "cores", "memory_bytes", "power")
WATTS = ("idle_W", "busy_W", "network_J_per_byte")
SET = ("nvpmodel", "jetson_clocks", "governor", "max_frequency_Hz", "rapl_limit_W")
MODE_KEYS = (*SET, "speed", "power")
DEVICES = ("cpu", "gpu")
URL = re.compile(r"https?://[^\s,;()]+")


def load_board(name: str, folder: Path | Sequence[Path]) -> dict[str, Any]:
    """The description of a board class. UserError, one line, for an unknown one and for anything wrong in its file."""
    board = read("board", name, folder)
    where = f"board {name}"
    check_keys(where, board, KEYS, NEEDED)
    check_text(f"{where}: description", board["description"])
    for key in NUMBERS:
        if key in board:
            check_number(f"{where}: {key}", board[key], ("device",) if key == "flop_s" else ())
    if "flop_s" in board and board["flop_s"]["device"] not in DEVICES:
        raise UserError(f"{where}: flop_s.device must be {' or '.join(DEVICES)}, found {board['flop_s']['device']!r}")
    _check_power(where, "power", board["power"])
    _check_modes(where, board)
    return board


def mode_of(board: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What a power mode sets on the board, with its speed and watts where they are known. UserError for an unknown mode."""
    modes = board.get("power_modes") or {}
    if name not in modes:
        known = f"known are {', '.join(modes)}{did_you_mean(name, modes)}" if modes else "it has no power modes"
        raise UserError(f"unknown power mode {name} of board {board['name']}; {known}")
    return dict(modes[name])


def power_of(board: Mapping[str, Any], mode: str | None) -> dict[str, float]:
    """The watts of a mode (null: the default one) by name: idle_W, busy_W, network_J_per_byte, as far as they are known.

    Raises UserError for an unknown mode, and for one without watts: those of another mode would be wrong.
    """
    described = board["power"] if mode is None else mode_of(board, mode).get("power")
    if described is None and mode == board.get("default_mode"):
        described = board["power"]
    if not described:
        of = f"board {board['name']}" if mode is None else f"power mode {mode} of board {board['name']}"
        raise UserError(f"{of} has no watts; measure with its sensor, or add idle_W and busy_W with their source")
    return {key: float(number["value"]) for key, number in described.items()}


def in_mode(board: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The description of an emulated board in a power mode: the mode's watts, and its ``mode_speed`` (1.0: the default mode's).

    Watts of another mode would be wrong, so a mode without published ones has none, and its energy cannot be modelled. Raises
    UserError for an unknown mode, and for one without a speed, which cannot be emulated.
    """
    mode, default = mode_of(board, name), name == board.get("default_mode")
    if "speed" not in mode and not default:
        raise UserError(
            f"power mode {name} of board {board['name']} has no speed to emulate; add it with its source, or use "
            f"{board.get('default_mode')}"
        )
    power = board["power"] if default else mode.get("power", {})
    return {**board, "power": power, "mode_speed": mode["speed"]["value"] if "speed" in mode else 1.0}


def table(folder: Path) -> str:
    """All board classes as a Markdown table, each number linked to its source; ``docs/reference/boards.md`` holds it."""
    rows = [
        "| board | cores | memory, GiB | Ethernet, Gbit/s | peak fp32, Gflop/s | idle, W | busy, W | power modes |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for path in sorted(folder.glob("*.yaml")):
        board = load_board(path.stem, folder)
        device = board["flop_s"]["device"].upper() if "flop_s" in board else ""
        cells = [
            board["name"],
            _linked(board["cores"]),
            _linked(board["memory_bytes"], 2**30),
            _linked(board.get("network_bit_s"), 1e9),
            f"{_linked(board.get('flop_s'), 1e9)} {device}".strip(),
            _linked(board["power"].get("idle_W")),
            _linked(board["power"].get("busy_W")),
            ", ".join(f"**{name}**" if name == board["default_mode"] else name for name in board.get("power_modes", {})),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _linked(number: Mapping[str, Any] | None, unit: float = 1) -> str:
    if number is None:
        return "not found"
    text = f"{number['value'] / unit:.4g}"
    url = URL.search(number["source"])
    return f"[{text}]({url[0].rstrip('.')})" if url else text


def _check_power(where: str, key: str, power: Any) -> None:
    check_keys(f"{where}: {key}", power, WATTS)
    for name, number in power.items():
        check_number(f"{where}: {key}.{name}", number)
    idle, busy = (power[name]["value"] if name in power else None for name in ("idle_W", "busy_W"))
    if idle is not None and busy is not None and busy < idle:
        raise UserError(f"{where}: {key}.busy_W = {busy} is below idle_W = {idle}; were they swapped?")


def _check_modes(where: str, board: Mapping[str, Any]) -> None:
    modes, default = board.get("power_modes"), board.get("default_mode")
    if modes is None:
        if default is not None:
            raise UserError(f"{where}: default_mode is {default}, but there are no power_modes; leave it out")
        return
    if not isinstance(modes, Mapping) or not modes:
        raise UserError(f"{where}: power_modes must be a mapping from a name to what is set, found {modes!r}")
    for name, mode in modes.items():
        _check_mode(where, name, mode)
    if default not in modes:
        raise UserError(f"{where}: default_mode {default} is none of {', '.join(modes)}{did_you_mean(str(default), modes)}")
    if "power" in modes[default]:
        raise UserError(f"{where}: {default} is the default_mode, so its watts are the board's power; leave out its own")


def _check_mode(where: str, name: Any, mode: Any) -> None:
    if not isinstance(name, str):
        raise UserError(f"{where}: the name of a power mode must be text, found {name!r}; put it in quotes")
    at = f"{where}: power_modes.{name}"
    check_keys(at, mode, MODE_KEYS)
    if not any(key in mode for key in SET):
        raise UserError(f"{at} sets nothing; give it one of {', '.join(SET)}")
    if "nvpmodel" in mode and (
        isinstance(mode["nvpmodel"], bool) or not isinstance(mode["nvpmodel"], int) or mode["nvpmodel"] < 0
    ):
        raise UserError(f"{at}.nvpmodel must be the id of a mode, a whole number, found {mode['nvpmodel']!r}")
    if "jetson_clocks" in mode and not isinstance(mode["jetson_clocks"], bool):
        raise UserError(f"{at}.jetson_clocks must be true or false, found {mode['jetson_clocks']!r}")
    if "governor" in mode:
        check_text(f"{at}.governor", mode["governor"])
    for key in ("max_frequency_Hz", "rapl_limit_W"):
        if key in mode:
            check_positive(f"{at}.{key}", mode[key])
    if "speed" in mode:
        check_number(f"{at}.speed", mode["speed"])
    if "power" in mode:
        _check_power(where, f"power_modes.{name}.power", mode["power"])
