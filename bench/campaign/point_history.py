"""What is known of the points of a campaign: the little of each record that decides what runs next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bench.common.user_error import UserError
from bench.config.point_config import PointConfig
from bench.point import resolved_point as configs
from bench.record.energy_record import EnergyRecord
from bench.record.record import MeasuredRecord, Record
from bench.record.record_file import load_record
from bench.record.study_folder import FINISHED

START_S = 5.0  # mpirun and the interpreters, before a record's clock begins
Key = tuple[str, int]


@dataclass(frozen=True)
class Result:
    """``samples_per_s``, ``per_sample_J`` and ``step_s`` of a point that is ok (null otherwise, and where no energy was read).

    ``seconds`` that it took, null where its record does not say. ``kind`` says where its joules are from: measured, modelled or
    none.
    """

    status: str
    text: str
    samples_per_s: float | None = None
    per_sample_J: float | None = None
    seconds: float | None = None
    step_s: float | None = None
    kind: str = "none"

    @property
    def finished(self) -> bool:
        """Whether the point need not run again."""
        return self.status in FINISHED


History = dict[Key, Result]  # by hash and repeat


def headline(record: Record) -> str:
    """How a point ended, for one line.

    Args:
        record: That of the point.

    Returns:
        ``ok  42.1 samples/s  0.52 J/sample (modelled as raspberry-pi-4)``, or the status with its reason.
    """
    if record.status != "ok" or not isinstance(record, MeasuredRecord):
        return f"{record.status.upper()}: {record.reason}"
    energy = record.energy
    joules = "" if energy.kind == "none" else f"  {energy.per_sample_J:.3g} J/sample ({_origin(energy)})"
    return f"ok  {record.time.samples_per_s:.3g} samples/s{joules}"


def _origin(energy: EnergyRecord) -> str:
    """Where joules are from; of modelled ones as which board class."""
    classes = sorted({host.modelled_as for host in energy.by_host if host.modelled_as})
    return f"{energy.kind} as {', '.join(classes)}" if classes else energy.kind


def result_of(record: Record) -> Result:
    """The little of a record that a campaign needs.

    Args:
        record: That of a point.

    Returns:
        Status, headline, and speed, energy and duration where they are known.
    """
    if record.status != "ok" or not isinstance(record, MeasuredRecord):
        return Result(record.status, headline(record), None, None, duration_of(record))
    energy, time = record.energy, record.time
    return Result(
        status=record.status,
        text=headline(record),
        samples_per_s=time.samples_per_s,
        per_sample_J=energy.per_sample_J,
        seconds=duration_of(record),
        step_s=time.step_s.median,
        kind=energy.kind,
    )


def duration_of(record: Record) -> float | None:
    """Time from the start of mpirun to the record.

    Args:
        record: That of a point.

    Returns:
        Seconds; null for a point that was stopped or whose record does not say.
    """
    about = record.environment
    if record.status not in ("ok", "oom", "invalid") or not about.started or not about.finished:
        return None
    ran = datetime.fromisoformat(about.finished) - datetime.fromisoformat(about.started)
    return ran.total_seconds() + START_S


def read_history(points: Iterable[PointConfig], most: int, results: Path) -> History:
    """The results of all points that have a whole record.

    Args:
        points: The configurations.
        most: The first ``most`` repeats of each are looked for.
        results: The folder of all studies.

    Returns:
        Results by hash and repeat.
    """
    history = {}
    for point in points:
        for repeat in range(most):
            try:
                record = load_record(configs.named(point, results, repeat).folder / "result.json")
            except UserError:
                continue
            history[point.hash, repeat] = result_of(record)
    return history


def of_point(history: Mapping[Key, Result], code: str) -> dict[int, Result]:
    """The results of one configuration.

    Args:
        history: Results by hash and repeat.
        code: The configuration's hash.

    Returns:
        Results by repeat.
    """
    return {repeat: result for (of, repeat), result in history.items() if of == code}
