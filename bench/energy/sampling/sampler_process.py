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
import sys
import threading
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.common.user_error import UserError
from bench.energy.sampling.sampler_messages import SamplerAnswer, SamplerEnd, SamplerOrder, SourceBeingRead
from bench.energy.sensor_base.source import Place, Source
from bench.energy.sensor_base.source_choice import OpenedSource, open_meter, select

JITTER = 0.4  # so wide that a load with the period of the readings looks like noise and not like a constant
STOP_TIMEOUT_S = 10.0
REOPEN_AFTER_S = 1.0
LEAST_RAW, MOST_RAW = -(2**63), 2**63 - 1
"""What a reading's table holds. Instruments say 9.9E37 for infinity and 9.91E37 for no number."""


class Reader(threading.Thread):
    """Reads one source until told to stop. A reading that fails leaves a gap; a source that stays away is opened again.

    Args:
        opened: The source, and what it is to the host.
        period_s: Mean time between two readings, in seconds.
        reopen: Opens the source anew; may raise what opening raises.
    """

    def __init__(self, opened: OpenedSource, period_s: float, reopen: Callable[[], Source]) -> None:
        super().__init__(daemon=True)
        self.opened, self.source, self.period_s, self.reopen = opened, opened.source, period_s, reopen
        self.errors = 0
        self.earlier_failures: dict[str, int] = {}
        self.data = array("q", self._reading())
        self.width = len(self.data)
        self.last_good_s = time.monotonic()
        self.stopping = threading.Event()

    def run(self) -> None:
        """Read about every ``period_s``, at times that no periodic load can follow."""
        while not self.stopping.wait(self.period_s * random.uniform(1 - JITTER, 1 + JITTER)):
            self._try()
        self._try()  # so that the readings reach over whatever came before the order to stop

    def _try(self) -> None:
        try:
            reading = self._reading()
        except Exception:  # noqa: BLE001 -- whatever a reader raises, the thread lives; a gap is seen by its times
            self.errors += 1
            if time.monotonic() - self.last_good_s > REOPEN_AFTER_S:
                self._reopen()
            return
        self.data.extend(reading)
        self.last_good_s = time.monotonic()

    def _reading(self) -> list[int]:
        before = time.monotonic_ns()
        raw = self.source.read()
        after = time.monotonic_ns()
        if len(raw) != len(self.source.channels):
            raise ValueError(f"{self.source.name} gives {len(raw)} values for {len(self.source.channels)} channels")
        for channel, value in zip(self.source.channels, raw, strict=True):
            if not isinstance(value, int) or not LEAST_RAW <= value <= MOST_RAW:
                raise ValueError(f"{self.source.name}: {channel.id} reads {str(value)[:40]} raw units, which no meter can mean")
        if self.source.taken_ns is not None:  # a message that was waited for has its own time
            before = after = self.source.taken_ns
        return [before, after, *raw]

    def _reopen(self) -> None:
        with contextlib.suppress(Exception):  # it stays away: tried again later
            fresh = self.reopen()
            if [c.id for c in fresh.channels] == [c.id for c in self.source.channels]:
                self.earlier_failures = self.failed_parts()
                with contextlib.suppress(OSError):
                    self.source.close()
                self.source = fresh
            else:
                fresh.close()

    def failed_parts(self) -> dict[str, int]:
        """How many readings failed of channels that others have inside, also before the source was opened again."""
        now, before = self.source.failed_parts, self.earlier_failures
        return {name: now.get(name, 0) + before.get(name, 0) for name in {**before, **now}}

    def newest(self) -> list[list[int]]:
        """The first and the last reading so far."""
        whole = len(self.data) // self.width
        return [list(self.data[: self.width]), list(self.data[(whole - 1) * self.width : whole * self.width])]

    def about(self) -> SourceBeingRead:
        """What the parent needs to make a trace of the readings."""
        return SourceBeingRead(
            source=self.source.name,
            kind=self.source.kind,
            meter=self.opened.meter,
            check_of=self.opened.check_of,
            period_s=self.period_s,
            channels=self.source.channels,
            not_measured=self.source.not_measured,
        )


def open_all(order: SamplerOrder) -> tuple[list[Reader], list[dict[str, str]]]:
    """Open all sources and meters of an order.

    Args:
        order: The sources and meters, the root and the board.

    Returns:
        A reader for each, and what was left out, with the reason.

    Raises:
        UserError: A source that was asked for, or a meter, cannot be read.
    """
    place = Place(Path(order.root), order.board)
    opened, left_out = list[OpenedSource](), list[dict[str, str]]()
    if order.sources:
        opened, left_out = select(order.sources, place, order.metered)
    opened += [open_meter(name, meter.to_dict(), place) for name, meter in order.meters.items()]
    readers = []
    for one in opened:
        period_s = order.period_s or one.source.period_s
        readers.append(Reader(one, period_s, lambda one=one: _open_anew(one, order, place)))  # type: ignore[misc]
    return readers, left_out


def _open_anew(opened: OpenedSource, order: SamplerOrder, place: Place) -> Source:
    if opened.meter is not None:
        return open_meter(opened.meter, order.meters[opened.meter].to_dict(), place).source
    return type(opened.source).open(place)


def serve() -> None:
    """The process: open the sources, read them until told to stop, write the readings to stdout."""
    order = SamplerOrder.from_json(sys.stdin.readline())
    try:
        readers, left_out = open_all(order)
    except (UserError, OSError, ValueError, LookupError) as error:
        _say({"error": str(error) or type(error).__name__})
        return
    _say(SamplerAnswer(tuple(reader.about() for reader in readers), tuple(left_out)).to_dict())
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


def _hand_over(readers: Sequence[Reader]) -> None:
    for reader in readers:
        reader.stopping.set()
    for reader in readers:
        reader.join(STOP_TIMEOUT_S)
    used = resource.getrusage(resource.RUSAGE_SELF)
    tables = [reader.data[: len(reader.data) // reader.width * reader.width] for reader in readers]
    errors = tuple(reader.errors for reader in readers)
    failed = tuple(reader.failed_parts() for reader in readers)
    _say(asdict(SamplerEnd(tuple(map(len, tables)), errors, used.ru_utime + used.ru_stime, failed)))
    for table in tables:
        sys.stdout.buffer.write(table.tobytes())
    sys.stdout.buffer.flush()


def _say(answer: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
