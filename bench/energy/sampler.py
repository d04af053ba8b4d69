"""One process per host that reads its power source while the ranks work.

A process of its own, so that the ranks' interpreter lock cannot delay it; light imports, so that it costs little. It is
told what to do by a line of JSON on stdin, answers with one when its first reading stands, and ends at a second line or
when stdin closes (its parent died). Then it hands over its readings.
"""

from __future__ import annotations

import contextlib
import json
import random
import resource
import select as io
import subprocess
import sys
import time
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.energy.channel import Channel
from bench.energy.sources import base
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.energy.channel import HostTrace

JITTER = 0.1
START_TIMEOUT_S = 30.0


def serve() -> None:
    """The process: select the source, read it until told to stop, write the readings to stdout."""
    order = json.loads(sys.stdin.readline())
    try:
        source, left_out = base.select(order["source"], order["board"], Path(order["root"]))
        first = _reading(source)
    except (UserError, OSError, ValueError) as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    about = {
        "source": source.name,
        "kind": source.kind,
        "channels": [channel.to_dict() for channel in source.channels],
        "left_out": left_out,
        "not_measured": list(source.not_measured),
    }
    print(json.dumps(about), flush=True)
    data, errors = array("q", first), 0
    period_s = order["period_s"]
    while not io.select([sys.stdin], [], [], period_s * random.uniform(1 - JITTER, 1 + JITTER))[0]:
        try:
            data.extend(_reading(source))
        except (OSError, ValueError):
            errors += 1  # a gap: the integration sees it by its times
    told = sys.stdin.readline()
    if told:
        with contextlib.suppress(OSError, ValueError):
            data.extend(_reading(source))  # so that the readings reach over whatever came before the order to stop
    used = resource.getrusage(resource.RUSAGE_SELF)
    source.close()
    if told:
        end = {"values": len(data), "cpu_s": used.ru_utime + used.ru_stime, "errors": errors}
        sys.stdout.write(json.dumps(end) + "\n")
        sys.stdout.flush()
        sys.stdout.buffer.write(data.tobytes())
        sys.stdout.buffer.flush()


def _reading(source: base.Source) -> list[int]:
    before = time.monotonic_ns()
    raw = source.read()
    return [before, time.monotonic_ns(), *raw]


class Sampler:
    """The parent's side of a host's sampler process."""

    def __init__(self, source: str, board: Mapping[str, Any], root: str, period_s: float) -> None:
        self.order = {"source": source, "board": dict(board), "root": root, "period_s": period_s}
        self.period_s = period_s
        self.about: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when the first reading stands. Raises UserError when there is no source to read."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.energy.sampler"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).resolve().parents[2],
        )
        self._tell(json.dumps(self.order))
        assert self._process.stdout is not None
        if not io.select([self._process.stdout], [], [], START_TIMEOUT_S)[0]:
            self.kill()
            raise UserError(f"the power sampler did not start within {START_TIMEOUT_S:.0f} s; run it with energy=none")
        self.about = json.loads(self._process.stdout.readline() or '{"error": "the power sampler ended at once"}')
        if "error" in self.about:
            self.kill()
            raise UserError(self.about["error"])

    def stop(self, host: str, boot_id: str, board: str, rank: int) -> HostTrace:
        """End the process and take its readings."""
        import numpy as np

        from bench.energy.channel import HostTrace

        assert self._process is not None
        assert self._process.stdout is not None
        self._tell("stop")
        end = json.loads(self._process.stdout.readline())
        data = np.frombuffer(self._process.stdout.read(8 * end["values"]), dtype=np.int64)
        self.kill()
        channels = tuple(Channel.from_dict(channel) for channel in self.about["channels"])
        table = data.reshape(-1, 2 + len(channels))
        return HostTrace(
            host=host,
            boot_id=boot_id,
            board=board,
            source=self.about["source"],
            kind=self.about["kind"],
            period_s=self.period_s,
            channels=channels,
            t_before_ns=table[:, 0],
            t_after_ns=table[:, 1],
            raw=table[:, 2:],
            left_out=tuple(self.about["left_out"]),
            not_measured=tuple(self.about["not_measured"]),
            cpu_s=end["cpu_s"],
            errors=end["errors"],
            rank=rank,
        )

    def kill(self) -> None:
        """Close the pipes; the process ends by itself. Safe to call twice."""
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
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
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()


if __name__ == "__main__":
    serve()
