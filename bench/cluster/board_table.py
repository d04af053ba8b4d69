"""All board classes as a Markdown table: ``docs/reference/boards.md`` holds it."""

from __future__ import annotations

import re
from pathlib import Path

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
        "| board | cores | memory, GiB | Ethernet, Gbit/s | peak fp32, Gflop/s | training, Gflop/s (range) "
        "| idle, W | busy, W | power modes |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
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
            "; ".join(map(_training, board.train_flop_s)) or "not found",
            _linked(board.power.idle_W),
            _linked(board.power.busy_W),
            ", ".join(f"**{name}**" if name == board.default_mode else name for name in board.power_modes),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _training(rate: TrainingRate) -> str:
    """A rate with its range, device, precision and mode."""
    words = " ".join(word for word in (rate.device.upper(), rate.precision, rate.power_mode) if word)
    return f"{_linked(SourcedNumber(rate.value, rate.source), 1e9)} ({rate.low / 1e9:.3g} to {rate.high / 1e9:.3g}) {words}"


def _linked(number: SourcedNumber | None, unit: float = 1) -> str:
    if number is None:
        return "not found"
    text = f"{number.value / unit:.4g}"
    url = URL.search(number.source)
    return f"[{text}]({url[0].rstrip('.')})" if url else text
