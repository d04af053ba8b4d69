"""Points as a table: one row for each, with its factors and its quantities.

Factors are what a sweep varies, null where a point has none: ``strategy, model, task, ranks, boards, cluster, device,
power_mode, hosts, link, link_rate_bit_s, link_delay_s, batch, micro_batches, seq, ...`` and the strategy's options under
``option.``. Lists are text: ``pi-1,pi-2``. ``label`` and ``hash`` name the configuration. Quantities have their unit at the end
of the name; ``PointQuantities`` and ``FailureQuantities`` say what each is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from analysis.study.configuration_labels import factors_of, plain
from analysis.study.study_record import label_of
from bench.common.phases import PHASES, RECOVERY, STATES
from bench.common.unfitted_model import UNFITTED_U
from bench.record.energy_record import EnergyRecord
from bench.record.fault_record import FaultRecord
from bench.record.record import MeasuredRecord, Record
from bench.record.time_record import TimeRecord

DRAWN_PHASES = (*PHASES[1:4], PHASES[0], *PHASES[4:])
"""In the order of figures and columns: what has no name of its own after what has one."""
MIB = 2**20
NOT_COLUMNS = ("weights", "smoke")


@dataclass(frozen=True)
class PointQuantities:
    """The numbers of a point. Of a point in which a rank was killed they are of the time before."""

    kind: str
    """Of energy: measured, modelled or none."""
    samples_per_s: float
    tokens_per_s: float
    step_s: float
    """The median step."""
    per_sample_J: float | None
    per_token_J: float | None
    edp_Js: float | None
    """Energy-delay product of a sample."""
    power_W: float | None
    """Of all hosts, mean over the windows."""
    idle_W: float | None
    """Of all hosts."""
    idle_per_sample_J: float | None
    """Idle power over the time of a sample."""
    random_share: float | None
    """Standard uncertainty of the energy that repeats average out, as a share of it."""
    systematic_share: float | None
    """Standard uncertainty of the energy that all repeats have in common, as a share of it; the model's is in it."""
    model_share: float | None
    """That of the model of modelled energy alone; of older records, which do not state it, what published wattages have."""
    modelled_as: str | None
    """The board classes of the model, joined by commas."""
    peak_MiB: float
    """Of the largest rank."""
    predicted_MiB: float
    """Of the largest rank, by the plan."""
    wire_bytes: float
    """Of a step, all ranks."""
    replication_s: float | None
    replication_J: float | None
    replication_bytes: int | None
    metric: float | None
    """Its last value; ``metric_name`` says of what."""
    metric_name: str
    loss: float | None
    """Of the last step."""
    compute_s: float
    """Of a step, mean over ranks; so are the other states and phases in seconds."""
    communicate_s: float
    wait_s: float
    exposed_share: float
    """Of a step, that a rank moves data or waits for others instead of computing."""
    exposed_most: str | None
    """The operation with the largest part of it; null in old records and where one rank runs."""
    forward_s: float | None
    """Null in old records, as the other phases."""
    backward_s: float | None
    optimizer_s: float | None
    other_s: float | None
    compute_J: float | None
    """Of a sample, as all joules of states and phases."""
    communicate_J: float | None
    wait_J: float | None
    phase_forward_J: float | None
    phase_backward_J: float | None
    phase_optimizer_J: float | None
    phase_other_J: float | None
    phase_communicate_J: float | None
    phase_wait_J: float | None
    steps: int
    """Of all windows."""


@dataclass(frozen=True)
class FailureQuantities:
    """The numbers of a point in which a rank was killed. A part that there was none of took nothing."""

    recovery_s: float
    """From the failure until the lost steps were done again."""
    recovery_J: float | None
    recovery_notice_s: float
    recovery_shrink_s: float
    recovery_rebuild_s: float
    recovery_redo_s: float
    recovery_notice_J: float | None
    recovery_shrink_J: float | None
    recovery_rebuild_J: float | None
    recovery_redo_J: float | None
    lost_steps: int
    copy_s: float
    """Of one copy of the state."""
    copy_bytes: float
    """Of one copy, all ranks."""
    copies_samples_per_s: float
    """Of the steps with copies between them."""
    copies_per_sample_J: float | None
    after_samples_per_s: float
    """Of the survivors."""
    after_per_sample_J: float | None
    after_ranks: int


COLUMNS = (
    *("label", "hash", "point", "repeat", "order", "kind", "smoke", "strategy", "model", "task", "ranks", "boards", "cluster"),
    *(one.name for one in fields(PointQuantities) if one.name not in ("kind", "steps")),
    *(one.name for one in fields(FailureQuantities)),
)
"""Columns that every table of points has."""


def points_frame(records: Sequence[MeasuredRecord]) -> pd.DataFrame:
    """The table of points.

    Args:
        records: Those with numbers, in the order of the rows.

    Returns:
        One row for each record, with ``COLUMNS`` and a column for each factor; with no record no rows and ``COLUMNS`` alone.
    """
    if not records:
        return pd.DataFrame(columns=list(COLUMNS))
    frame = pd.DataFrame([_row(record) for record in records])
    return frame.reindex(columns=[*frame.columns, *(column for column in COLUMNS if column not in frame)])


def _row(record: MeasuredRecord) -> dict[str, Any]:
    failure = {} if record.fault is None else vars(failure_quantities(record.fault))
    return {**factor_row(record), **vars(point_quantities(record)), **failure}


def factor_row(record: Record) -> dict[str, Any]:
    """The factors of any record, also of one that has no numbers.

    Args:
        record: Of any status.

    Returns:
        Values by name of column.
    """
    point = record.point
    factors = {key: value for key, value in factors_of(point).items() if key not in point.options and key not in NOT_COLUMNS}
    return {
        "label": label_of(point),
        "hash": point.hash,
        "point": point.name,
        "repeat": point.repeat,
        "order": point.order,
        "smoke": point.smoke,
        "strategy": point.strategy,
        "ranks": point.ranks,
        **{key: _cell(value) for key, value in factors.items()},
        **{f"option.{key}": _cell(value) for key, value in point.options.items()},
    }


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    return plain(value) if isinstance(value, list) else value


def point_quantities(record: MeasuredRecord) -> PointQuantities:
    """The numbers of a point as its record has them.

    Args:
        record: One with numbers.

    Returns:
        In the units of their names; null where the record has none.
    """
    time, energy, learning, sent = record.time, record.energy, record.learning, record.replication
    return PointQuantities(
        kind=energy.kind,
        samples_per_s=time.samples_per_s,
        tokens_per_s=time.tokens_per_s,
        step_s=time.step_s.median,
        per_sample_J=energy.per_sample_J,
        per_token_J=energy.per_token_J,
        edp_Js=energy.edp_Js,
        power_W=energy.mean_power_W,
        idle_W=energy.idle_W,
        idle_per_sample_J=None if energy.idle_W is None else energy.idle_W / time.samples_per_s,
        random_share=_share(energy.random_J, energy.total_J),
        systematic_share=_common_share(energy),
        model_share=_model_share(energy),
        modelled_as=_modelled_as(record) if energy.kind == "modelled" else None,
        peak_MiB=max(record.memory.peak_bytes) / MIB,
        predicted_MiB=max(record.memory.predicted_bytes) / MIB,
        wire_bytes=sum(record.traffic.wire_bytes.values()),
        replication_s=None if sent is None else sent.seconds,
        replication_J=None if sent is None else sent.joules,
        replication_bytes=None if sent is None else sent.payload_bytes,
        metric=None if learning.final is None else learning.final.value,
        metric_name=learning.metric_name,
        loss=learning.curve.loss[-1] if learning.curve.loss else None,
        **_seconds(time),
        **_joules(energy, time.samples),
        steps=time.steps,
    )


def _model_share(energy: EnergyRecord) -> float | None:
    """The model's uncertainty as a share of the energy; of older records that of published wattages."""
    if energy.kind != "modelled" or not energy.total_J:
        return None
    return UNFITTED_U if energy.model_J is None else energy.model_J / energy.total_J


def _common_share(energy: EnergyRecord) -> float | None:
    stated = _share(energy.systematic_J, energy.total_J)
    if stated is None or energy.kind != "modelled" or energy.model_J is not None:
        return stated
    return math.hypot(stated, UNFITTED_U)


def _modelled_as(record: MeasuredRecord) -> str:
    hosts = [host for host in record.energy.by_host if host.kind == "modelled"]
    return ", ".join(sorted({host.modelled_as or host.board for host in hosts} or set(record.point.boards)))


def _seconds(time: TimeRecord) -> dict[str, Any]:
    """Of a step, by state and by phase; of old records the phases are null."""
    states = {f"{state}_s": getattr(time.by_phase, f"{state}_s") for state in STATES}
    phases = {f"{phase}_s": getattr(time.phases, f"{phase}_s", None) for phase in DRAWN_PHASES if phase not in STATES}
    operations = {} if time.exposed is None else time.exposed.by_operation
    return {
        **states,
        **phases,
        "exposed_share": 1 - states["compute_s"] / sum(states.values()),
        "exposed_most": max(operations, key=lambda name: operations[name], default=None),
    }


def _joules(energy: EnergyRecord, samples: int) -> dict[str, Any]:
    """Of a sample, by state and by phase; null where the energy could not be shared out."""
    by_state, by_phase = energy.by_phase, {str(row.phase): row.joules / samples for row in energy.phases or ()}
    states = {f"{state}_J": None if by_state is None else getattr(by_state, f"{state}_J") / samples for state in STATES}
    return states | {f"phase_{phase}_J": by_phase.get(phase) for phase in DRAWN_PHASES}


def failure_quantities(fault: FaultRecord) -> FailureQuantities:
    """The numbers of a failure as its record has them.

    Args:
        fault: The record's block of the failure.

    Returns:
        In the units of their names; null where the record has none.
    """
    copies, after, recovery = fault.copies, fault.after, fault.recovery
    spent = {str(row.name): row for row in fault.phases}
    nothing_J = None if recovery.joules is None else 0.0
    parts: dict[str, Any] = {}
    for name in RECOVERY:
        part = spent.get(name)
        parts[f"recovery_{name}_s"] = 0.0 if part is None else part.end_s - part.start_s
        parts[f"recovery_{name}_J"] = nothing_J if part is None else part.joules
    return FailureQuantities(
        recovery_s=recovery.seconds,
        recovery_J=recovery.joules,
        **parts,
        lost_steps=fault.lost_steps,
        copy_s=sum(copies.seconds) / len(copies.seconds),
        copy_bytes=copies.payload_bytes / len(copies.seconds),
        copies_samples_per_s=copies.samples_per_s,
        copies_per_sample_J=copies.per_sample_J,
        after_samples_per_s=after.samples_per_s,
        after_per_sample_J=after.per_sample_J,
        after_ranks=after.ranks,
    )


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole
