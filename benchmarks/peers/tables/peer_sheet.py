"""The table while it is measured: a line as soon as it is there, and the record at the end, however that comes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from bench.common.exit_codes import FAILED, OK
from bench.common.user_error import UserError
from benchmarks.peers.peer_pairs import PAIRS
from benchmarks.peers.starting.peer_order import Order
from benchmarks.peers.tables.peer_record import Cell, PeerRecord, write_record
from benchmarks.peers.tables.peer_tables import HEAD, not_run, row, summary


class Sheet:
    """Takes cells: ``with Sheet(about, out) as sheet: sheet.show(cell)``. The record is written also where that is ended."""

    def __init__(self, about: str, out: Path | None, quiet: bool = False) -> None:
        self.about, self.out, self.quiet = about, out, quiet
        self.cells: list[Cell] = []

    @property
    def code(self) -> int:
        """The exit code: whether every line has a ratio."""
        return FAILED if any(cell.status != "ok" for cell in self.cells) else OK

    def __enter__(self) -> Sheet:
        self._say(f"{self.about}\n\n{HEAD}")
        return self

    def show(self, cell: Cell) -> None:
        """Take a cell.

        Args:
            cell: One comparison.
        """
        self.cells.append(cell)
        self._say(row(cell) if cell.status == "ok" else not_run(cell))

    @contextmanager
    def refusing(self, order: Order, ranks: int) -> Iterator[None]:
        """Take what cannot be measured somewhere as one line, and go on.

        Args:
            order: What is to be measured there.
            ranks: On so many.

        Yields:
            Nothing; a UserError from inside ends here.
        """
        try:
            yield
        except UserError as error:
            print(f"error: {order.network}, {ranks} ranks: {error}", file=sys.stderr, flush=True)
            done = {cell.place for cell in self.cells}
            pairs = [(model, PAIRS[number]) for model, number in order.lines]
            cells = [Cell(order.network, ranks, model, pair.ours, pair.peer, "failed", str(error)) for model, pair in pairs]
            self.cells += [cell for cell in cells if cell.place not in done]

    def _say(self, text: str) -> None:
        if not self.quiet:
            print(text, flush=True)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.out is not None:
            write_record(PeerRecord((self.about,), tuple(self.cells)), self.out)
        self._say("\n" + "\n".join(summary(cell for cell in self.cells if cell.status == "ok")))
