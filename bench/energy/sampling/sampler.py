"""The parent's side of a host's sampler process: start it, ask for powers, take its readings as traces."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.cluster.board_class import BoardClass
from bench.common.paths import JOB_FOLDER, plugin_variables
from bench.common.user_error import UserError
from bench.energy.sampling.host_identity import HostIdentity
from bench.energy.sampling.meter_entry import MeterEntry
from bench.energy.sampling.sampler_messages import SamplerAnswer, SamplerEnd, SamplerOrder
from bench.energy.sensor_base.part_readings import why_left_out, without_failed_parts
from bench.joules.channel import Calibration, Channel

if TYPE_CHECKING:
    from bench.joules.channel import Trace

MODULE = "bench.energy.sampling.sampler_process"
START_TIMEOUT_S = 30.0


class Sampler:
    """A host's sampler process.

    Args:
        sources: Names of sources, or ``auto`` or ``measured`` alone, or nothing.
        board: The host's class.
        root: Under which sys, proc and the programs of the host lie.
        period_s: Seconds between two readings; None leaves each source its own.
        meters: The meters that this host reads, by their names.
        metered: Whether a meter, read here or elsewhere, has this host's energy.
    """

    def __init__(
        self,
        sources: Sequence[str],
        board: BoardClass,
        root: str,
        period_s: float | None = None,
        meters: Mapping[str, MeterEntry] | None = None,
        metered: bool = False,
    ) -> None:
        self.order = SamplerOrder(tuple(sources), board, root, period_s, dict(meters or {}), metered)
        self.answer: SamplerAnswer | None = None
        """What it reads; None until ``start`` has returned."""
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start the process, and return at once: it loads and opens its sources beside what the caller does until ``start``."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=JOB_FOLDER,
            env={**os.environ, **plugin_variables()},
        )
        self._tell(self.order.to_json())

    def start(self) -> None:
        """Start the sampler where it was not begun before, and return when the first readings stand.

        Raises:
            UserError: There is no source to read, or the process does not start.
        """
        if self._process is None:
            self.begin()
        assert self._process is not None
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], START_TIMEOUT_S)[0]:
            self.kill()
            raise UserError(f"the power sampler did not start within {START_TIMEOUT_S:.0f} s; run it with energy=none")
        answer = self._reply() or {"error": "the power sampler ended at once"}
        if "error" in answer:
            self.kill()
            raise UserError(answer["error"])
        self.answer = SamplerAnswer.from_dict(answer)

    @property
    def reading(self) -> SamplerAnswer:
        """What it reads. Only after ``start``."""
        assert self.answer is not None
        return self.answer

    @property
    def channels(self) -> list[tuple[Channel, ...]]:
        """The channels of each source."""
        return [source.channels for source in self.reading.sources]

    def powers_W(self) -> list[list[float]]:
        """Mean power of each channel of each source since the start, in watts; nan before a second reading."""
        self._tell("now")
        reply = self._reply()
        if reply is None:
            return [[float("nan")] * len(channels) for channels in self.channels]
        return [_powers_W(channels, *pair) for channels, pair in zip(self.channels, reply["readings"], strict=True)]

    def stop(
        self, host: HostIdentity, covers: Mapping[str, Sequence[str]], calibration: Mapping[str, Calibration]
    ) -> list[Trace]:
        """End the process and take its readings.

        Args:
            host: The host that was read.
            covers: The hosts of each meter, by the meter's name.
            calibration: Those of this host's sources, by source.

        Returns:
            A trace for each source; none where the process died.
        """
        import numpy as np

        assert self._process is not None
        assert self._process.stdout is not None
        self._tell("stop")
        reply = self._reply()
        if reply is None:
            self.kill()
            return []
        end, tables = SamplerEnd(**reply), []
        for values, channels in zip(end.values, self.channels, strict=True):
            data = np.frombuffer(self._process.stdout.read(8 * values), dtype=np.int64)
            tables.append(data.reshape(-1, 2 + len(channels)))
        self.kill()
        return [self._trace(number, table, end, host, covers, calibration) for number, table in enumerate(tables)]

    def _trace(
        self,
        number: int,
        table: Any,
        end: SamplerEnd,
        host: HostIdentity,
        covers: Mapping[str, Sequence[str]],
        calibration: Mapping[str, Calibration],
    ) -> Trace:
        from bench.joules.channel import Trace

        source = self.reading.sources[number]
        failures = end.failed_parts[number] if end.failed_parts else {}
        channels, kept = without_failed_parts(source.channels, failures)
        failed = why_left_out(failures, len(table))
        left_out = self.reading.left_out if number == 0 else ()
        return Trace(
            host=host.name,
            boot_id=host.boot_id,
            board=host.board,
            source=source.source,
            kind=source.kind,
            period_s=source.period_s,
            channels=channels,
            t_before_ns=table[:, 0],
            t_after_ns=table[:, 1],
            raw=table[:, [2 + index for index in kept]],
            label=host.label,
            covers=tuple(covers[source.meter]) if source.meter else (host.label,),
            meter=source.meter,
            check_of=source.check_of,
            calibration=None if source.meter else calibration.get(source.source),
            left_out=(*left_out, *({"source": f"{source.source} {name}", "why": why} for name, why in failed.items())),
            not_measured=source.not_measured,
            cpu_s=end.cpu_s if number == 0 else 0.0,
            errors=end.errors[number],
            rank=host.rank,
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

    def _reply(self) -> dict[str, Any] | None:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else None


def _powers_W(channels: Sequence[Channel], first: Sequence[int], last: Sequence[int]) -> list[float]:
    """Mean power of each channel between two readings, which begin with their two times in ns."""
    seconds, powers_W = (last[0] - first[0]) / 1e9, []
    for channel, begin, end in zip(channels, first[2:], last[2:], strict=True):
        if channel.kind == "power":
            powers_W.append((begin + end) / 2 * channel.scale)
        elif seconds <= 0:
            powers_W.append(float("nan"))
        else:
            steps = end - begin + (channel.modulus or 0) * (end < begin)
            powers_W.append(steps * channel.scale / seconds + channel.baseline_W)
    return powers_W
