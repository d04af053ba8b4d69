"""One process per host that reads its power sources while the ranks work.

A process of its own, so that the ranks' interpreter lock cannot delay it; light imports, so that it costs little; a thread
for each source, so that a slow meter delays no other. It is told what to read by a line of JSON on stdin and answers with
one when the first readings stand. ``now`` asks for the first and the newest readings, ``stop`` for all of them; when stdin
closes (its parent died) it ends.
"""

from __future__ import annotations

import contextlib
import json
import random
import resource
import select as io
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.common.paths import JOB_FOLDER
from bench.common.user_error import UserError
from bench.energy.sensors import source
from bench.joules.channel import Calibration, Channel

if TYPE_CHECKING:
    from bench.joules.channel import Trace

JITTER = 0.4  # so wide that a load with the period of the readings looks like noise and not like a constant
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
REOPEN_AFTER_S = 1.0


class Reader(threading.Thread):
    """Reads one source until told to stop. A reading that fails leaves a gap; a source that stays away is opened again."""

    def __init__(self, opened: source.Opened, period_s: float, again: Callable[[], source.Source]) -> None:
        super().__init__(daemon=True)
        self.opened, self.source, self.period_s, self.again = opened, opened.source, period_s, again
        self.errors = 0
        self.data = array("q", self._reading())
        self.width = len(self.data)
        self.last_good_s = time.monotonic()
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.wait(self.period_s * random.uniform(1 - JITTER, 1 + JITTER)):
            self._try()
        self._try()  # so that the readings reach over whatever came before the order to stop

    def _try(self) -> None:
        try:
            reading = self._reading()
        except (OSError, ValueError, LookupError):
            self.errors += 1  # a gap: the integration sees it by its times
            if time.monotonic() - self.last_good_s > REOPEN_AFTER_S:
                self._reopen()
            return
        self.data.extend(reading)
        self.last_good_s = time.monotonic()

    def _reading(self) -> list[int]:
        before = time.monotonic_ns()
        raw = self.source.read()
        return [before, time.monotonic_ns(), *raw]

    def _reopen(self) -> None:
        with contextlib.suppress(OSError, ValueError, UserError, source.SourceUnavailable):
            fresh = self.again()
            if [c.id for c in fresh.channels] == [c.id for c in self.source.channels]:
                with contextlib.suppress(OSError):
                    self.source.close()
                self.source = fresh
            else:
                fresh.close()

    def newest(self) -> list[list[int]]:
        """The first and the last reading so far."""
        whole = len(self.data) // self.width
        return [list(self.data[: self.width]), list(self.data[(whole - 1) * self.width : whole * self.width])]


def open_all(order: Mapping[str, Any]) -> tuple[list[Reader], list[dict[str, str]]]:
    """A reader for each source of the order, and what was left out. Raises UserError."""
    place = source.Place(Path(order["root"]), order["board"])
    opened, left_out = list[source.Opened](), list[dict[str, str]]()
    if order["sources"]:
        opened, left_out = source.select(order["sources"], place, order["metered"])
    opened += [source.open_meter(name, settings, place) for name, settings in order["meters"].items()]
    readers = []
    for found in opened:
        period_s = order["period_s"] or found.source.period_s
        readers.append(Reader(found, period_s, lambda found=found: _again(found, order, place)))  # type: ignore[misc]
    return readers, left_out


def _again(found: source.Opened, order: Mapping[str, Any], place: source.Place) -> source.Source:
    if found.meter is not None:
        return source.open_meter(found.meter, order["meters"][found.meter], place).source
    return type(found.source).open(place)


def serve() -> None:
    """The process: open the sources, read them until told to stop, write the readings to stdout."""
    order = json.loads(sys.stdin.readline())
    try:
        readers, left_out = open_all(order)
    except (UserError, OSError, ValueError, LookupError) as error:
        _say({"error": str(error) or type(error).__name__})
        return
    _say({"sources": [_about(reader) for reader in readers], "left_out": left_out})
    for reader in readers:
        reader.start()
    for line in sys.stdin:
        if line.strip() == "now":
            _say({"readings": [reader.newest() for reader in readers]})
        if line.strip() == "stop":
            _hand_over(readers)
            break
    for reader in readers:
        reader.stopping.set()


def _about(reader: Reader) -> dict[str, Any]:
    source = reader.source
    return {
        "source": source.name,
        "kind": source.kind,
        "meter": reader.opened.meter,
        "check_of": reader.opened.check_of,
        "period_s": reader.period_s,
        "channels": [channel.to_dict() for channel in source.channels],
        "not_measured": list(source.not_measured),
    }


def _hand_over(readers: Sequence[Reader]) -> None:
    for reader in readers:
        reader.stopping.set()
    for reader in readers:
        reader.join(STOP_TIMEOUT_S)
    used = resource.getrusage(resource.RUSAGE_SELF)
    tables = [reader.data[: len(reader.data) // reader.width * reader.width] for reader in readers]
    errors = [reader.errors for reader in readers]
    _say({"values": [len(table) for table in tables], "errors": errors, "cpu_s": used.ru_utime + used.ru_stime})
    for table in tables:
        sys.stdout.buffer.write(table.tobytes())
    sys.stdout.buffer.flush()


def _say(what: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class Home:
    """The host that a sampler reads for: its processor name, boot id, board class, name in the inventory, and a rank."""

    name: str
    boot_id: str
    board: str
    label: str
    rank: int = 0


class Sampler:
    """The parent's side of a host's sampler process.

    ``sources`` are names, or ``auto`` or ``measured``, or nothing; ``meters`` the settings of the meters that this host
    reads, by name; ``metered`` says whether a meter, read here or elsewhere, has this host's energy. ``period_s`` None
    leaves each source its own.
    """

    def __init__(
        self,
        sources: Sequence[str],
        board: Mapping[str, Any],
        root: str,
        period_s: float | None = None,
        meters: Mapping[str, Mapping[str, Any]] | None = None,
        metered: bool = False,
    ) -> None:
        self.order = {
            "sources": list(sources),
            "board": dict(board),
            "root": root,
            "period_s": period_s,
            "meters": {name: dict(settings) for name, settings in (meters or {}).items()},
            "metered": metered,
        }
        self.about: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when the first readings stand. Raises UserError when there is no source to read."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.energy.sampling.sampler"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=JOB_FOLDER,
        )
        self._tell(json.dumps(self.order))
        assert self._process.stdout is not None
        if not io.select([self._process.stdout], [], [], START_TIMEOUT_S)[0]:
            self.kill()
            raise UserError(f"the power sampler did not start within {START_TIMEOUT_S:.0f} s; run it with energy=none")
        about = self._answer() or {"error": "the power sampler ended at once"}
        if "error" in about:
            self.kill()
            raise UserError(about["error"])
        self.about = about

    @property
    def channels(self) -> list[tuple[Channel, ...]]:
        """The channels of each source."""
        return [tuple(Channel.from_dict(channel) for channel in source["channels"]) for source in self.about["sources"]]

    def powers_W(self) -> list[list[float]]:
        """Mean power of each channel of each source since the start, in watts; nan before a second reading."""
        self._tell("now")
        found = self._answer()
        if found is None:
            return [[float("nan")] * len(channels) for channels in self.channels]
        return [_powers(channels, *pair) for channels, pair in zip(self.channels, found["readings"], strict=True)]

    def stop(self, home: Home, covers: Mapping[str, Sequence[str]], calibration: Mapping[str, Any]) -> list[Trace]:
        """End the process and take its readings; none where it died.

        ``covers`` has the hosts of each meter, ``calibration`` those of this host's sources, by source.
        """
        import numpy as np

        assert self._process is not None
        assert self._process.stdout is not None
        self._tell("stop")
        end = self._answer()
        if end is None:
            self.kill()
            return []
        tables = []
        for values, channels in zip(end["values"], self.channels, strict=True):
            data = np.frombuffer(self._process.stdout.read(8 * values), dtype=np.int64)
            tables.append(data.reshape(-1, 2 + len(channels)))
        self.kill()
        return [
            self._trace(number, table, end, home, covers, calibration) for number, table in enumerate(tables)
        ]  # fmt: skip

    def _trace(
        self,
        number: int,
        table: Any,
        end: Mapping[str, Any],
        home: Home,
        covers: Mapping[str, Sequence[str]],
        calibration: Mapping[str, Any],
    ) -> Trace:
        from bench.joules.channel import Trace

        about = self.about["sources"][number]
        found = None if about["meter"] else calibration.get(about["source"])
        return Trace(
            host=home.name,
            boot_id=home.boot_id,
            board=home.board,
            source=about["source"],
            kind=about["kind"],
            period_s=about["period_s"],
            channels=self.channels[number],
            t_before_ns=table[:, 0],
            t_after_ns=table[:, 1],
            raw=table[:, 2:],
            label=home.label,
            covers=tuple(covers[about["meter"]]) if about["meter"] else (home.label,),
            meter=about["meter"],
            check_of=about["check_of"],
            calibration=None if found is None else Calibration(**found),
            left_out=tuple(self.about["left_out"]) if number == 0 else (),
            not_measured=tuple(about["not_measured"]),
            cpu_s=end["cpu_s"] if number == 0 else 0.0,
            errors=end["errors"][number],
            rank=home.rank,
        )

    def kill(self) -> None:
        """Close the pipes; the process ends by itself. Safe to call twice."""
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _tell(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died: there will be no answer, which is seen
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def _answer(self) -> dict[str, Any] | None:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else None


def _powers(channels: Sequence[Channel], first: Sequence[int], last: Sequence[int]) -> list[float]:
    seconds = (last[0] - first[0]) / 1e9
    found = []
    for channel, begin, end in zip(channels, first[2:], last[2:], strict=True):
        if channel.kind == "power":
            found.append((begin + end) / 2 * channel.scale)
        elif seconds <= 0:
            found.append(float("nan"))
        else:
            steps = end - begin + (channel.modulus or 0) * (end < begin)
            found.append(steps * channel.scale / seconds + channel.baseline_W)
    return found


if __name__ == "__main__":
    serve()
