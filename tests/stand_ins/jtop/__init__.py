"""Stands in for the package ``jtop`` of jetson-stats 7.2.2: the same calls, replies recorded instead of a service.

``replies/BOARD.json`` is what jetson-stats' own power code returns for the trees in ``tests/boards``; those with a version in
their name have the form and the shortened names of versions 3 and 4.0, with numbers of our own. ``BOARD`` chooses one,
``FAULT`` what the service does wrong, by the text or the exception that the real client has for it.
"""

from __future__ import annotations

import json
from pathlib import Path
from threading import Thread
from typing import Any

__version__ = "7.2.2"
BOARD = "jetson-orin-nano"
FAULT: Exception | None = None
OPEN: list[jtop] = []


class JtopException(Exception):
    def __init__(self, message: str, errors: str = "") -> None:
        super().__init__(message, errors)
        self.message, self.errors = message, errors

    def __str__(self) -> str:
        return str(self.message)


class jtop(Thread):
    def __init__(self, interval: float = 1.0) -> None:
        super().__init__(daemon=True)
        self.interval_user, self._server_interval = float(interval), -1.0
        self._stats: dict[str, Any] = {}
        self._error: Exception | None = None
        self._running = False
        OPEN.append(self)  # the real one has a thread from here on

    def start(self) -> None:
        if FAULT is not None:
            raise FAULT
        self._server_interval = self.interval_user  # the first client sets it
        self._stats = {"power": json.loads((Path(__file__).parent / "replies" / f"{BOARD}.json").read_text())}
        self._running = True

    @property
    def interval(self) -> float:
        return self._server_interval

    @property
    def power(self) -> Any:
        power = self._stats["power"]
        return (power["all"], power["power"]) if "all" in power else power  # versions 3 and 4.0

    def ok(self, spin: bool = False) -> bool:
        if self._error:
            raise self._error
        return self._running

    def close(self) -> None:
        self._running = False
        if self in OPEN:
            OPEN.remove(self)
