"""The joules of waiting: starts ``waiting_ranks`` on the ranks of this machine and says what one waiting rank draws."""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from bench.cluster.board_class import BoardClass
from bench.common.atomic_files import write_json, write_text
from bench.common.paths import JOB_FOLDER, import_variables
from bench.common.student_t import NORMAL, mean_interval
from bench.common.user_error import UserError
from bench.config.host_config import Host
from bench.energy.calibration.waiting_ranks import SETTLE_S, TAIL_S, order_of
from bench.energy.calibration.waiting_readings import WaitingReadings, WaitingSegment
from bench.energy.sampling.energy_settings import EnergySettings
from bench.launch.mpirun import Job, find_mpirun, launcher_for, own_environment
from bench.launch.supervised_process import RUN_ID, run, telling_line

SCHEMA = "edgejoule.waiting/1"
MODULE = "bench.energy.calibration.waiting_ranks"
LEAST_ROUNDS = 2
START_S, SLACK = 60.0, 1.5
BUSY = 0.05
"""A rank that stands in line for a core for so much of the time shows that other processes had a part in the watts."""


@dataclass(frozen=True)
class Order:
    """How waiting is measured: ``ranks`` on this machine, ``seconds`` in each state, ``rounds`` times.

    ``energy`` are the resolved settings for one host of this name, ``board`` is its description.
    """

    ranks: int
    seconds: float
    rounds: int
    energy: EnergySettings
    board: BoardClass
    host: str

    def check(self) -> None:
        """Check what is to be measured.

        Raises:
            UserError: It cannot be measured.
        """
        cores = len(os.sched_getaffinity(0))
        if not 2 <= self.ranks <= cores + 1:
            raise UserError(
                f"--ranks {self.ranks} must be between 2 and {cores + 1}: one sleeps, and each of the others needs one of the "
                f"{cores} cores to wait on"
            )
        if self.seconds <= 0:
            raise UserError(f"--seconds {self.seconds:g} must be a positive number of seconds")
        if self.rounds < LEAST_ROUNDS:
            raise UserError(f"--rounds {self.rounds} must be at least {LEAST_ROUNDS}: an interval needs more than one value")

    @property
    def about_s(self) -> float:
        """About how long it takes, in seconds."""
        return len(order_of(self.ranks, self.rounds)) * (self.seconds + SETTLE_S + TAIL_S)


@dataclass(frozen=True)
class WaitingPower:
    """Watts of one waiting rank above idle, mean over the rounds with a 95 % interval.

    ``ranks`` waited at once. ``cores`` are those that one of them used, ``cores_wanted`` those that it would have used on a
    free machine.
    """

    state: str
    wait: str
    ranks: int
    watts_per_rank: float
    interval_W: list[float]
    rounds: int
    cores: float
    cores_wanted: float


def measure(order: Order, mpirun: str | None = None) -> dict[str, Any]:
    """Run mpirun to its end.

    Args:
        order: Ranks, rounds, seconds and the settings of energy.
        mpirun: The program; None: that beside this Python, or on PATH.

    Returns:
        The whole result, as it is written to the file.

    Raises:
        UserError: mpirun fails or runs too long, or there are too few good readings.
    """
    launcher = launcher_for(find_mpirun(mpirun))
    with tempfile.TemporaryDirectory(prefix="edgejoule-waiting-") as name:
        folder, run_id = Path(name), uuid.uuid4().hex
        order_values = {
            "seconds": order.seconds,
            "rounds": order.rounds,
            "energy": order.energy.to_dict(),
            "host": order.host,
            "board": order.board.to_dict(),
            "found": str(folder / "found.json"),
        }
        write_json(folder / "order.json", order_values)
        job = Job(
            ranks=order.ranks,
            hosts=[Host("localhost", order.ranks)],
            hostfile=folder / "hostfile",
            module=MODULE,
            arguments=[str(folder / "order.json")],
            environment={RUN_ID: run_id, **import_variables()},
            python=sys.executable,
            root=os.geteuid() == 0,
        )
        write_text(job.hostfile, launcher.hostfile(job.hosts))
        environment = own_environment(**{RUN_ID: run_id, **import_variables()})
        limit_s = START_S + SLACK * order.about_s
        outcome = run(launcher.command(job), folder / "mpirun.log", limit_s, run_id, JOB_FOLDER, environment)
        if outcome.status == "interrupted":
            raise KeyboardInterrupt
        if outcome.status == "timeout":
            raise UserError(f"the ranks did not end within {limit_s:.0f} s: {telling_line(outcome.log_tail)}")
        if outcome.exit_code or not (folder / "found.json").exists():
            told = telling_line(outcome.log_tail)
            raise UserError(told.removeprefix("error: ") if told.startswith("error: ") else f"mpirun failed: {told}")
        readings = WaitingReadings.from_dict(json.loads((folder / "found.json").read_text()))
    return result(order, readings, date.today())


def result(order: Order, readings: WaitingReadings, day: date) -> dict[str, Any]:
    """The values of the file: powers of one waiting rank above idle, by state and way of waiting, and all segments.

    Args:
        order: What was measured.
        readings: What rank 0 read.
        day: The day of the measurement.

    Returns:
        The file's keys and values; powers in watts with 95 % intervals.

    Raises:
        UserError: Too few rounds have good readings of idle.
    """
    good = [segment for segment in readings.segments if segment.quality == "good"]
    idle = {segment.round: segment for segment in good if segment.state == "idle"}
    if len(idle) < LEAST_ROUNDS:
        why = next((s.quality for s in readings.segments if s.quality != "good"), "no readings")
        raise UserError(f"fewer than {LEAST_ROUNDS} rounds have good readings ({why}); use more --seconds, or another --source")
    pairs = list(dict.fromkeys((s.state, s.wait) for s in readings.segments if s.wait is not None))
    rows = [_row(state, wait, good, idle) for state, wait in pairs]
    mean, low, high = mean_interval([segment.watts for segment in idle.values()], _mean_u(list(idle.values())))
    plain = readings.to_dict()
    return {
        "schema": SCHEMA,
        "host": order.host,
        "board": order.board.name,
        "made": day.isoformat(),
        "ranks": order.ranks,
        "seconds": order.seconds,
        "rounds": order.rounds,
        **{key: plain[key] for key in ("kind", "source", "levels", "not_measured")},
        "idle": {"watts": mean, "interval_W": [low, high]},
        "waiting": [asdict(row) for row in rows if row is not None],
        "warnings": warnings(readings.segments),
        **_status(readings.segments),
        "segments": plain["segments"],
    }


def _row(state: str, wait: str, good: Sequence[WaitingSegment], idle: Mapping[int, WaitingSegment]) -> WaitingPower | None:
    """Watts of one waiting rank above the idle power of the same round."""
    segments = [s for s in good if (s.state, s.wait) == (state, wait) and s.round in idle]
    if len(segments) < LEAST_ROUNDS:
        return None
    ranks = segments[0].ranks
    above = [(s.watts - idle[s.round].watts) / ranks for s in segments]
    known_u = math.hypot(_mean_u(segments), _mean_u([idle[s.round] for s in segments])) / ranks
    mean, _, high = mean_interval(above, known_u)
    # The sensor's gain is in the difference as it is in the powers.
    half = math.hypot(high - mean, NORMAL * max(s.systematic for s in segments) * mean)
    return WaitingPower(
        state=state,
        wait=wait,
        ranks=ranks,
        watts_per_rank=mean,
        interval_W=[mean - half, mean + half],
        rounds=len(segments),
        cores=sum(s.cores for s in segments) / len(segments),
        cores_wanted=sum(s.cores_wanted for s in segments) / len(segments),
    )


def _mean_u(segments: Sequence[WaitingSegment]) -> float:
    """Standard uncertainty of the mean of the segments' watts by what is known of each."""
    return math.hypot(*(segment.random_u_W for segment in segments)) / len(segments)


def warnings(segments: Sequence[WaitingSegment]) -> list[str]:
    """What is left out of the result.

    Args:
        segments: All segments.

    Returns:
        A line for each segment without good readings.
    """
    return [f"round {s.round + 1}, {text(s.state, s.wait)} is left out: {s.quality}" for s in segments if s.quality != "good"]


def _status(segments: Sequence[WaitingSegment]) -> dict[str, str | None]:
    """``invalid`` where other processes took cores from the ranks: on a machine that is busy anyway, waiting seems free."""
    queue = max((s.cores_wanted - s.cores for s in segments), default=0.0)
    if queue <= BUSY:
        return {"status": "ok", "reason": None}
    return {
        "status": "invalid",
        "reason": f"a rank stood in line for a core for {100 * queue:.0f} % of the time: other processes were at work; run it "
        "on a machine that does nothing else",
    }


def text(state: str, wait: str | None) -> str:
    """A state in words.

    Args:
        state: Which ranks wait.
        wait: The way of waiting; None: idle.

    Returns:
        The words, for a line of output.
    """
    return "idle" if wait is None else f"{state} rank waits ({wait})" if state == "one" else f"{state} wait ({wait})"


def table(outcome: Mapping[str, Any]) -> list[list[str]]:
    """The powers of waiting, as text.

    Args:
        outcome: What ``result`` returned.

    Returns:
        Rows of way, state, ranks, watts per rank, its 95 % interval, and cores.
    """
    return [
        [
            row["wait"],
            row["state"],
            str(row["ranks"]),
            f"{row['watts_per_rank']:.3f}",
            f"{row['interval_W'][0]:.3f} to {row['interval_W'][1]:.3f}",
            f"{row['cores']:.3f}",
        ]
        for row in outcome["waiting"]
    ]
