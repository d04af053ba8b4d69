"""The newest line of a serial device, a growing file or a program, as numbers."""

from __future__ import annotations

import errno
import os
import select
import stat
import subprocess
import tempfile
import termios
import threading
import time
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from bench.energy.sensor_base.external_meter import exact, whole
from bench.energy.sensor_base.source import SourceUnavailable

COLUMNS = "power_W, voltage_V and current_A, energy_J or energy_Wh"
QUANTITIES = ("power_W", "voltage_V", "current_A", "energy_J", "energy_Wh")
POLL_S = 0.02
BLOCK_S, BLOCK_LINES = 0.05, 8
"""So many lines within so short a time are a block; USB meters send four at once."""
PLAIN_OUTPUT = {"PYTHONUNBUFFERED": "1", "TERM": "dumb", "COLUMNS": "500"}
"""On a terminal, programs shall write plain lines."""
CHUNK = 65536
Numbers = dict[str, Decimal]


class ColumnTable:
    """Which column has which quantity: a number counts from 1, a name needs a header, the first line that has all names."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        columns, separator = settings.get("columns"), str(settings.get("separator", ","))
        names = set(columns) if isinstance(columns, Mapping) else set()
        electric, counters = names & {"voltage_V", "current_A"}, names & {"energy_J", "energy_Wh"}
        good = names and names <= set(QUANTITIES) and len(electric) != 1 and len(counters) < 2
        if not isinstance(columns, Mapping) or not good or ("power_W" in names and electric):
            raise SourceUnavailable(f"columns: {columns} does not say where the numbers are; give {COLUMNS}")
        self.columns = {name: str(where) for name, where in columns.items()}
        self.separator = None if separator.isspace() else separator
        try:
            self.scale = exact(settings.get("scale", 1))
        except ValueError as error:
            raise SourceUnavailable(f"scale: {error}") from None
        if "0" in self.columns.values():
            raise SourceUnavailable(f"columns: {columns} has column 0; the first one is 1")
        self.headers = {where for where in self.columns.values() if not where.isdigit()}
        self.indices: dict[str, int] | None = None if self.headers else self._indices([])

    def parse(self, line: str) -> Numbers | None:
        """The numbers of a line.

        Args:
            line: One line, without its end.

        Returns:
            Scaled numbers by name; None for a header, a comment, or part of a line.
        """
        words = [word.strip().strip('"') for word in line.split(self.separator)]
        if self.indices is None:
            self.indices = self._indices(words) if self.headers <= set(words) else None
            return None
        try:
            return {name: exact(words[index]) * self.scale for name, index in self.indices.items()}
        except (ValueError, LookupError):
            return None

    def _indices(self, header: list[str]) -> dict[str, int]:
        return {name: int(where) - 1 if where.isdigit() else header.index(where) for name, where in self.columns.items()}


class Stream(threading.Thread):
    """Takes lines as they come and keeps the newest that has its numbers. SourceUnavailable when it cannot be opened."""

    def __init__(self, settings: Mapping[str, Any], table: ColumnTable) -> None:
        super().__init__(daemon=True)
        self.table, self.ending, self.news = table, threading.Event(), threading.Condition()
        self.numbers: Numbers | None = None
        self.last, self.came_s, self.problem = "", 0.0, ""
        self.rest, self.skip, self.terminal, self.regular = b"", False, False, False
        self.process: subprocess.Popen[bytes] | None = None
        self.complaints: IO[bytes] | None = None
        command, address = settings.get("command"), settings.get("address")
        if (command is None) == (address is None):
            raise SourceUnavailable("address and command exclude each other; give one")
        self.lines = 0
        """How many lines with numbers came."""
        if command is None:
            self.where, self.file = str(address), self._open(Path(str(address)), whole(settings, "baud", 115200))
        else:
            self.where, self.file = self._program(command, settings.get("terminal", True) is not False)
        self.start()

    def _program(self, command: Any, terminal: bool) -> tuple[str, int]:
        """Start it on a pseudo terminal: into a pipe, most programs write blocks of 4 or 8 KB instead of lines."""
        if not isinstance(command, list) or not command or not all(isinstance(word, (str, int, float)) for word in command):
            raise SourceUnavailable(f"command: {command} is no list of words; write it like [logger, --csv]")
        words = [str(word) for word in command]
        output, into = os.openpty() if terminal else os.pipe()
        self.complaints = tempfile.TemporaryFile()  # noqa: SIM115 -- closed with the stream
        try:
            if terminal:
                _set_raw(into, termios.B38400)
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=into, stderr=self.complaints, env={**os.environ, **PLAIN_OUTPUT}
            )
        except (OSError, ValueError) as error:
            os.close(output)
            self.complaints.close()
            why = getattr(error, "strerror", None) or error
            raise SourceUnavailable(f"{words[0]} cannot be started ({why}); install it, or give its path") from None
        finally:
            os.close(into)
        return " ".join(words), output

    def _open(self, path: Path, baud: int) -> int:
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except PermissionError:
            raise SourceUnavailable(f"{path} may not be read; add your user to the device's group (dialout)") from None
        except OSError as error:
            raise SourceUnavailable(f"{path} cannot be opened ({error.strerror}); check the address and the cable") from None
        self.terminal, self.regular = os.isatty(file), stat.S_ISREG(os.fstat(file).st_mode)
        if self.terminal:
            speed = getattr(termios, f"B{baud}", None)
            if speed is None:
                os.close(file)
                raise SourceUnavailable(f"baud: {baud} is no rate of serial devices; use one such as 9600 or 115200")
            _set_raw(file, speed)
            self.skip = True  # the first line may have begun before
        elif self.regular:
            self._go_to_the_end(file)
        return file

    def _go_to_the_end(self, file: int) -> None:
        """Past the lines that are there, which are old. A header is looked for in the beginning."""
        for line in os.pread(file, CHUNK, 0).split(b"\n")[:-1]:
            if self.table.indices is None:
                self.table.parse(line.decode(errors="replace"))
        if self.table.indices is not None:
            end = os.lseek(file, 0, os.SEEK_END)
            self.skip = end > 0 and os.pread(file, 1, end - 1) != b"\n"

    def run(self) -> None:
        """The thread: read until ``close``, or until there is nothing to come."""
        try:
            while not self.ending.is_set():
                if select.select([self.file], [], [], 0.1)[0]:
                    chunk = self._chunk()
                    *lines, self.rest = (self.rest + chunk).split(b"\n")
                    for line in lines:
                        self._take(line)
                    if not chunk:
                        self._wait_for_more()
        except OSError as error:
            self.problem = f"it cannot be read any more ({error.strerror})"

    def _chunk(self) -> bytes:
        try:
            return os.read(self.file, CHUNK)
        except OSError as error:
            if error.errno == errno.EIO and self.process is not None:
                return b""  # the end of a pseudo terminal: the program has closed it
            raise

    def _wait_for_more(self) -> None:
        """At the end of a file that will grow, or of a program or device that has ended."""
        if self.process is not None and self.complaints is not None:
            code = self.process.wait()
            said = os.pread(self.complaints.fileno(), CHUNK, 0).decode(errors="replace").split()
            self.problem = f"the program ended with code {code} {' '.join(said)[-80:]}".rstrip()
            self.ending.set()
        elif self.terminal:
            self.problem = "the device is gone"
            self.ending.set()
        elif self.regular and os.fstat(self.file).st_size < os.lseek(self.file, 0, os.SEEK_CUR):
            os.lseek(self.file, 0, os.SEEK_SET)  # the logger began the file again
            self.rest = b""
        else:
            self.ending.wait(POLL_S)

    def _take(self, line: bytes) -> None:
        if self.skip:
            self.skip = False
            return
        text = line.decode(errors="replace").strip()
        numbers = self.table.parse(text)
        with self.news:
            self.last = text or self.last
            if numbers is not None:
                self.numbers, self.came_s, self.lines = numbers, time.monotonic(), self.lines + 1
                self.news.notify_all()

    def newest(self, timeout_s: float, wait: bool = False) -> Numbers:
        """The numbers of the newest line.

        Args:
            timeout_s: How old the line may be.
            wait: Whether to wait so long for the first one.

        Returns:
            Numbers by name.

        Raises:
            OSError: There is none, it is older, or the stream has ended.
        """
        deadline_s = time.monotonic() + timeout_s
        with self.news:
            while wait and self.numbers is None and not self.problem and time.monotonic() < deadline_s:
                self.news.wait(POLL_S)
            if self.problem:
                raise OSError(self.problem)
            if self.numbers is None or time.monotonic() - self.came_s > timeout_s:
                last_line = f"; the last line is {self.last[:60]!r}" if self.last else ""
                raise OSError(f"no new line with numbers for {timeout_s:g} s{last_line}")
            return self.numbers

    def block_s(self, timeout_s: float) -> float:
        """Whether the writer buffers: many lines at once, then nothing for a while. Asked after the first lines.

        Args:
            timeout_s: How long to wait for the next block.

        Returns:
            Seconds between two blocks; 0 where lines come as they are written.
        """
        time.sleep(BLOCK_S)
        with self.news:
            before, lines = self.came_s, self.lines
            if lines < BLOCK_LINES:
                return 0.0
            deadline_s = time.monotonic() + timeout_s
            while self.lines == lines and not self.problem and time.monotonic() < deadline_s:
                self.news.wait(POLL_S)
            return (self.came_s if self.lines > lines else time.monotonic()) - before

    def close(self) -> None:
        """End the thread and the program, and close the file."""
        self.ending.set()
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.join()
        os.close(self.file)
        if self.complaints is not None:
            self.complaints.close()


def _set_raw(file: int, speed: int) -> None:
    """Eight bits, no parity, no echo, no flow control: what meters write, unchanged."""
    attributes = termios.tcgetattr(file)
    attributes[0] = attributes[1] = attributes[3] = 0
    attributes[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
    attributes[4] = attributes[5] = speed
    termios.tcsetattr(file, termios.TCSANOW, attributes)
