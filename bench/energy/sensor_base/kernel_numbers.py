"""Whole numbers that the kernel shows in files of their own: each error names the file and what the system said."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path

from bench.energy.sensor_base.source import Opener, SourceUnavailable

LONGEST_BYTES = 64
WHOLE_NUMBER = re.compile(rb"\s*(-?\d{1,40})\s*\Z")
TRIES, PAUSE_S = 5, 0.05
"""A sensor that is asked for the first time may want a conversion's time (EAGAIN)."""


class KernelNumbers:
    """Open files, each with one whole number; read again and again without opening them again.

    Args:
        paths: The files.
        opener: Opens one for reading.

    Raises:
        OSError: One cannot be opened; the others are closed again.
    """

    def __init__(self, paths: Sequence[Path], opener: Opener) -> None:
        self.paths = tuple(paths)
        self.files: list[int] = []
        try:
            for path in self.paths:
                self.files.append(opener(path))
        except OSError as error:
            self.close()
            raise _of(error, path) from None

    def read(self) -> list[int]:
        """The numbers, in the order of the files.

        Returns:
            One number for each file.

        Raises:
            OSError: A file cannot be read.
            ValueError: A file holds no whole number.
        """
        return [_number(file, path) for file, path in zip(self.files, self.paths, strict=True)]

    def first(self) -> list[int]:
        """As ``read``, when a source is opened: a sensor that is not ready yet is asked again.

        Returns:
            One number for each file.

        Raises:
            OSError: A file cannot be read.
            ValueError: A file holds no whole number.
        """
        for _ in range(TRIES - 1):
            try:
                return self.read()
            except BlockingIOError:
                time.sleep(PAUSE_S)
        return self.read()

    def close(self) -> None:
        """Close the files."""
        for file in self.files:
            os.close(file)
        self.files = []


def open_numbers(paths: Sequence[Path], opener: Opener, title: str) -> tuple[KernelNumbers, list[int]]:
    """Open files of a source and read them once.

    Args:
        paths: The files.
        opener: Opens one for reading.
        title: What they are of, in words.

    Returns:
        The open files, and their first numbers.

    Raises:
        SourceUnavailable: One cannot be opened or read, or holds no number; says what to do.
    """
    try:
        numbers = KernelNumbers(paths, opener)
    except OSError as error:
        raise SourceUnavailable(f"{said(error)} ({title}); `sudo chmod a+r` it, or see dmesg") from None
    try:
        return numbers, numbers.first()
    except (OSError, ValueError) as error:
        numbers.close()
        raise SourceUnavailable(f"{said(error)} ({title}); `sudo chmod a+r` it, or see dmesg") from None


def _number(file: int, path: Path) -> int:
    try:
        text = os.pread(file, LONGEST_BYTES, 0)
    except OSError as error:
        raise _of(error, path) from None
    number = WHOLE_NUMBER.match(text)
    if number is None:
        shown = repr(text[:20].decode(errors="replace")) if text else "nothing"
        raise ValueError(f"{path} holds {shown} instead of a whole number")
    return int(number[1])


def _of(error: OSError, path: Path) -> OSError:
    """The same error with the file's name, which a failed read does not have."""
    return OSError(error.errno, error.strerror or "cannot be read", str(path))


def said(error: Exception) -> str:
    """An error of a file in one line.

    Args:
        error: What ``KernelNumbers`` raised.

    Returns:
        The file, the system's words and the error number.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return f"{error.filename}: {error.strerror} (errno {error.errno})"
    return str(error)


def text_of(path: Path) -> str | None:
    """The text of a small file.

    Args:
        path: The file.

    Returns:
        Its first bytes without white space around; None where it cannot be read or is empty.
    """
    try:
        with path.open("rb") as file:
            return " ".join(file.read(256).decode(errors="replace").split()) or None
    except OSError:
        return None


def number_of(path: Path) -> int | None:
    """The whole number in a small file.

    Args:
        path: The file.

    Returns:
        The number; None where the file cannot be read or holds none.
    """
    number = WHOLE_NUMBER.match((text_of(path) or "").encode())
    return int(number[1]) if number else None
