"""All board classes as Markdown tables: their numbers, and what they achieve in training. ``docs/reference/boards.md``."""

from __future__ import annotations

import re
from pathlib import Path

from bench.cluster.board_class import BoardClass
from bench.cluster.board_files import load_board
from bench.cluster.training_rate import TrainingRate
from bench.common.sourced_number import SourcedNumber

URL = re.compile(r"https?://[^\s,;()]+")


def table(folder: Path) -> str:
    """All board classes of a folder as a Markdown table, each number linked to its source.

    Args:
        folder: Holds a file ``CLASS.yaml`` for each class.

    Returns:
        The lines of the table, with heading and last line break.
    """
    rows = [
        "| board | cores | memory, GiB | Ethernet, Gbit/s | peak fp32, Gflop/s | idle, W | busy, W (at work) | "
        "all cores, W more | limit, W | power modes |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for path in sorted(folder.glob("*.yaml")):
        board = load_board(path.stem, folder)
        device = (board.flop_s.device or "").upper() if board.flop_s is not None else ""
        cells = [
            board.name,
            _linked(board.cores),
            _linked(board.memory_bytes, 2**30),
            _linked(board.network_bit_s, 1e9),
            f"{_linked(board.flop_s, 1e9)} {device}".strip(),
            _linked(board.power.idle_W),
            _at_work(board.power.busy_W),
            _linked(board.power.cpu_W),
            _linked(board.max_W),
            ", ".join(f"**{name}**" if name == board.default_mode else name for name in board.power_modes),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def training_table(folder: Path) -> str:
    """What the board classes of a folder achieve in training, each rate linked to the first page of its source.

    Args:
        folder: Holds a file ``CLASS.yaml`` for each class.

    Returns:
        The lines of the table, with heading and last line break; a class without rates has one line that says so.
    """
    rows = [
        "| board | device | precision | power mode | Gflop/s | low to high | share of the peak | evidence |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for path in sorted(folder.glob("*.yaml")):
        board = load_board(path.stem, folder)
        rows += [_training_row(board, rate) for rate in board.train_flop_s] or [f"| {board.name} | not found | | | | | | |"]
    return "\n".join(rows) + "\n"


def _training_row(board: BoardClass, rate: TrainingRate) -> str:
    """One rate; its share of the peak where ``flop_s`` is of the same device, mode and precision."""
    peak, share = board.flop_s, ""
    if peak is not None and (rate.device, rate.precision, rate.power_mode) == (peak.device, "fp32", board.default_mode):
        share = f"{rate.value / peak.value:.2f}"
    url, evidence = URL.search(rate.source), rate.source.split()[0].strip(":,").lower()
    value, low, high = (f"{float(f'{number / 1e9:.3g}'):g}" for number in (rate.value, rate.low, rate.high))
    cells = [board.name, rate.device, rate.precision, rate.power_mode or "", value, f"{low} to {high}", share]
    return f"| {' | '.join([*cells, f'[{evidence}]({url[0]})' if url else evidence])} |"


def _at_work(number: SourcedNumber | None) -> str:
    """Watts with what was at work when they were read."""
    text = _linked(number)
    return text if number is None or number.device is None else f"{text} {number.device.upper()}"


def _linked(number: SourcedNumber | None, unit: float = 1) -> str:
    if number is None:
        return "not found"
    text = f"{number.value / unit:.4g}"
    url = URL.search(number.source)
    return f"[{text}]({url[0].rstrip('.')})" if url else text
