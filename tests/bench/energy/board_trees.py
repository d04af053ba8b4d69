"""The trees in ``tests/boards``, and ways to open them that fail. Faults are real: a file that may not be opened, one that
gives nothing, and ``/proc/self/mem``, which answers EIO at 0."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, on_board, open_for_reading
from bench.joules.channel import cover
from tests.project import TESTS

BOARDS = TESTS / "boards"
STAND_INS = TESTS / "stand_ins"


class Opener:
    """Opens files and remembers them; ``refuse`` has the error for a file's name, ``broken`` what to open instead."""

    def __init__(self, refuse: dict[str, int] | None = None) -> None:
        self.refuse, self.files = refuse or {}, dict[str, int]()

    def __call__(self, path: Path) -> int:
        for name, number in self.refuse.items():
            if str(path).endswith(name):
                raise OSError(number, os.strerror(number), str(path))
        file = open_for_reading(path)
        self.files[str(path)] = file
        return file

    def turn_into(self, what: str) -> None:
        """Every file that was opened is now ``what``: a device that vanished, or an empty read."""
        for file in self.files.values():
            other = os.open(what, os.O_RDONLY)
            os.dup2(other, file)
            os.close(other)


def opened(name: str, root: Path, opener: Callable[[Path], int] = open_for_reading) -> Any:
    return closing(on_board()[name].open(Place(root, opener=opener)))


def refusal(name: str, root: Path, opener: Callable[[Path], int] = open_for_reading) -> str:
    """Why it cannot be opened: one line, and no file stays open."""
    gc.collect()  # what other tests left goes before the count
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(SourceUnavailable) as error:
        on_board()[name].open(Place(root, opener=opener))
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before
    assert "\n" not in str(error.value)
    return str(error.value)


def values(source: Source) -> dict[str, int]:
    return dict(zip([channel.id for channel in source.channels], source.read(), strict=True))


def total(source: Source) -> list[str]:
    return [source.channels[index].id for index in cover(source.channels)]


def watts(source: Source) -> float:
    raw = source.read()
    return sum(raw[index] * source.channels[index].scale for index in cover(source.channels))


def copy(board: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(BOARDS / board, tmp_path / board, symlinks=True))
