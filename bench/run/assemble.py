"""The record of a point from its blocks, and its files: rank 0 only, when the run is over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.common import atomic_files
from bench.faults.fault_block import fault_block
from bench.joules.energy_block import energy_block
from bench.joules.metered_parts import EnergyContext
from bench.record import checks, repeat_spread
from bench.record.fault_record import FaultRecord
from bench.record.point_block import point_block
from bench.record.point_record import PointRecord
from bench.record.record import MeasuredRecord, Status
from bench.run.blocks.communication_block import communication_block
from bench.run.blocks.dilation_block import dilation_block
from bench.run.blocks.environment_block import environment_block
from bench.run.blocks.event_rows import event_rows
from bench.run.blocks.learning_block import learning_block
from bench.run.blocks.memory_block import memory_block
from bench.run.blocks.plan_block import plan_block
from bench.run.blocks.point_checks import point_checks
from bench.run.blocks.replication_block import replication_block
from bench.run.blocks.time_block import time_block
from bench.run.blocks.traffic_block import traffic_block
from bench.run.gathered_run import GatheredRun


def write_record(gathered: GatheredRun) -> Status:
    """Write result.json, power.parquet and events.parquet of the point.

    Args:
        gathered: The run that is over.

    Returns:
        The record's status: ``ok``, or ``invalid`` where a check failed.
    """
    folder = gathered.config.folder
    record = judged(gathered, assemble(gathered), folder)
    if gathered.traces:
        atomic_files.write_power(folder / "power.parquet", gathered.traces, gathered.to_common, gathered.cover.in_total)
    atomic_files.write_events(folder / "events.parquet", event_rows(gathered))
    atomic_files.write_json(folder / "result.json", record.to_dict())
    return record.status


def assemble(gathered: GatheredRun) -> MeasuredRecord:
    """The record's blocks, not yet judged.

    Args:
        gathered: The run that is over.

    Returns:
        A record of status ``ok`` without checks.
    """
    context = EnergyContext.of(gathered.config.energy)
    return MeasuredRecord(
        status="ok",
        reason=None,
        point=_point(gathered),
        plan=plan_block(gathered),
        time=time_block(gathered),
        energy=energy_block(gathered.cover, gathered.traces, gathered.clock.bound_s, gathered.run, context),
        traffic=traffic_block(gathered),
        communication=communication_block(gathered),
        memory=memory_block(gathered),
        replication=replication_block(gathered),
        learning=learning_block(gathered),
        checks=[],
        environment=environment_block(gathered),
        fault=_fault(gathered),
        dilation=dilation_block(gathered),
    )


def judged(gathered: GatheredRun, record: MeasuredRecord, folder: Path) -> MeasuredRecord:
    """The record with its checks, and the status that follows from them.

    Args:
        gathered: The run that is over.
        record: Its blocks.
        folder: The point's folder; those of earlier repeats lie beside it.

    Returns:
        A copy of the record, ``ok`` or ``invalid``.
    """
    verdicts = [*point_checks(gathered, record), repeat_spread.agree(record, folder)]
    status, reason = checks.overall(verdicts)
    return replace(record, status=status, reason=reason, checks=verdicts)


def _point(gathered: GatheredRun) -> PointRecord:
    return replace(point_block(gathered.config), threads=max(report.facts.threads for report in gathered.reports))


def _fault(gathered: GatheredRun) -> FaultRecord | None:
    config = gathered.config
    if gathered.plan_after is None or config.fault is None:
        return None
    return fault_block(
        config.fault,
        config.train.batch,
        gathered.plan_after,
        [report.lived for report in gathered.reports if report.lived is not None],
        [report.facts.host for report in gathered.reports],
        gathered.cover_of,
        gathered.clock.bound_s,
        gathered.to_common,
    )
