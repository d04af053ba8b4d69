"""What was measured, as JSON keeps it: a cell is one line of the table on one network. Tables are made from it alone."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from bench.common.atomic_files import write_json, write_text
from bench.common.user_error import UserError

SCHEMA = "edgejoule.peers/1"
SHARED_MEMORY, OWN_NETWORK = "shared memory", "network of the hosts"
Status = Literal["ok", "refused", "wrong", "failed"]


@dataclass(frozen=True)
class Cell:
    """One comparison.

    Attributes:
        network: ``shared memory``, or the rate of the boards' links as it was asked for.
        ranks: How many there were.
        model: The workload.
        ours: Our strategy with its options.
        peer: Torch's way; None where it has none.
        status: ``refused`` (one of both cannot run this), ``wrong`` (other losses), ``failed`` (it ended or hung).
        reason: Of what is not ok, in one line.
        ours_s: Seconds of a step in each round.
        peer_s: Those of the peer, in the same rounds.
        single_s: Those of one process with the whole batch; empty where the limit was not asked for.
        limit_s: What the schedule allows (``benchmarks/schedule_limit.py``) in each round.
        sent_bytes: That a rank must send in a step, mean over ranks.
        link_bit_s: The rate of a link as measured before, in one direction while the other is as busy.
        loss: Of the last step, ours.
        loss_difference: The largest relative one between ours and the others over all steps.
        comm: How ours communicated, as ``auto`` decided.
    """

    network: str
    ranks: int
    model: str
    ours: str
    peer: str | None
    status: Status = "ok"
    reason: str = ""
    ours_s: tuple[float, ...] = ()
    peer_s: tuple[float, ...] = ()
    single_s: tuple[float, ...] = ()
    limit_s: tuple[float, ...] = ()
    sent_bytes: float = 0.0
    link_bit_s: float = 0.0
    loss: float | None = None
    loss_difference: float | None = None
    comm: str = ""

    @classmethod
    def of(cls, values: dict[str, Any]) -> Cell:
        """A cell as JSON has it.

        Args:
            values: The JSON object.

        Returns:
            The cell.
        """
        plain: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        return cls(**plain)

    @property
    def place(self) -> tuple[str, int, str, str, str | None]:
        """What is compared where: two cells of one place are two measurements of the same."""
        return self.network, self.ranks, self.model, self.ours, self.peer


@dataclass(frozen=True)
class PeerRecord:
    """Cells of one or several runs, and lines about the machine."""

    about: tuple[str, ...]
    cells: tuple[Cell, ...]


def write_record(record: PeerRecord, path: Path) -> None:
    """Write what was measured.

    Args:
        record: The cells.
        path: ``.csv``: a row for each round; else JSON.
    """
    if path.suffix == ".csv":
        write_text(path, as_csv(record))
    else:
        write_json(path, {"schema": SCHEMA, "about": list(record.about), "cells": [asdict(cell) for cell in record.cells]})


def as_csv(record: PeerRecord) -> str:
    """A row for each round of each cell, and one for each cell without a round.

    Args:
        record: The cells.

    Returns:
        The text with a head.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    head = ("network", "ranks", "model", "ours", "peer", "status", "reason")
    table.writerow([*head, "round", "ours_s", "peer_s", "single_s", "limit_s", "sent_bytes", "link_bit_s"])
    for cell in record.cells:
        first = [getattr(cell, name) for name in head]
        sides = (cell.ours_s, cell.peer_s, cell.single_s, cell.limit_s)
        for number in range(max(1, len(cell.ours_s))):
            seconds = [side[number] if number < len(side) else "" for side in sides]
            table.writerow([*first, number, *seconds, cell.sent_bytes, cell.link_bit_s])
    return text.getvalue()


def read_records(paths: Sequence[Path]) -> PeerRecord:
    """Read JSON files; where two have a cell of the same place, the later file's counts.

    Args:
        paths: The files.

    Returns:
        All cells, in the order in which they came first.

    Raises:
        UserError: A file is none of these.
    """
    about: list[str] = []
    cells: dict[tuple[str, int, str, str, str | None], Cell] = {}
    for path in paths:
        try:
            values = json.loads(path.read_text())
            if values["schema"] != SCHEMA:
                raise UserError(f"{path} has the schema {values['schema']}, not {SCHEMA}; measure it again")
            for each in map(Cell.of, values["cells"]):
                cells[each.place] = each
            about += [line for line in values["about"] if line not in about]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is no record of this benchmark ({error}); give a JSON file of --out") from None
    return PeerRecord(tuple(about), tuple(cells.values()))
