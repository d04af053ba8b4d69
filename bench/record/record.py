"""The record of one point, ``result.json``: one block a file, each beside this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar, cast

from bench.record.block import Block, Entry
from bench.record.check_record import Check
from bench.record.communication_record import CommunicationRecord
from bench.record.dilation_record import DilationRecord
from bench.record.energy_record import EnergyRecord
from bench.record.environment_record import EnvironmentRecord
from bench.record.fault_record import FaultRecord
from bench.record.learning_record import LearningRecord
from bench.record.memory_record import MemoryRecord
from bench.record.plan_record import PlanRecord
from bench.record.point_record import PointRecord
from bench.record.spent_record import ReplicationRecord
from bench.record.time_record import TimeRecord
from bench.record.traffic_record import TrafficRecord

Schema = Literal["edgejoule.result/2"]
Status = Literal["ok", "invalid", "oom", "failed", "timeout", "interrupted"]
RESULT: Schema = "edgejoule.result/2"
WITH_NUMBERS: tuple[Status, ...] = ("ok", "invalid")
"""A record of such a status has plan, time, energy, traffic, memory and learning; any other has a reason."""
RecordType = TypeVar("RecordType", bound="Record")
NUMBERS = ("plan", "time", "energy", "traffic", "memory", "learning")


@dataclass(frozen=True, kw_only=True)
class Record(Block):
    """The record of one point. Times are seconds from the start of the run, on one axis for all ranks."""

    schema: Annotated[Schema, Entry("version of this format")] = RESULT
    status: Annotated[
        Status,
        Entry("ok; invalid: a check failed; oom: too little memory, a valid result; failed, timeout or interrupted: no result"),
    ]
    reason: Annotated[str | None, Entry("why it is not ok; null: it is")]
    point: Annotated[PointRecord, Entry("which experiment this is")]
    plan: Annotated[PlanRecord | None, Entry("what the strategy said before it ran; missing: the point did not finish")] = None
    time: Annotated[TimeRecord | None, Entry("how long steps took; missing: the point did not finish")] = None
    energy: Annotated[EnergyRecord | None, Entry("joules of the windows; missing: the point did not finish")] = None
    traffic: Annotated[TrafficRecord | None, Entry("bytes of one step; missing: the point did not finish")] = None
    communication: Annotated[
        CommunicationRecord | None,
        Entry("how ranks communicated; missing: not finished, or of an older version"),
    ] = None
    memory: Annotated[MemoryRecord | None, Entry("bytes of each rank; missing: the point did not finish")] = None
    replication: Annotated[
        ReplicationRecord | None, Entry("bringing the weights to the ranks; null: not asked for", or_null=True)
    ] = None
    learning: Annotated[LearningRecord | None, Entry("what was learnt; missing: the point did not finish")] = None
    checks: Annotated[Sequence[Check], Entry("what was looked at, with its verdict")]
    environment: Annotated[EnvironmentRecord, Entry("code, machines and ranks")]
    fault: Annotated[FaultRecord | None, Entry("a rank was killed; missing: none was")] = None
    dilation: Annotated[
        DilationRecord | None, Entry("emulated boards with a time of their own; missing: it is the machine's")
    ] = None
    log_tail: Annotated[Sequence[str] | None, Entry("last lines of mpirun.log; missing: the point finished")] = None

    @classmethod
    def from_dict(cls: type[RecordType], values: Mapping[str, Any]) -> RecordType:
        """The record of a JSON object.

        Args:
            values: An object that obeys the schema.

        Returns:
            A ``MeasuredRecord`` where it has the numbers of a finished point, else a ``Record``.

        Raises:
            KeyError: A key is missing that must be there.
            ValueError: There is a key that records do not have.
        """
        if cls is Record and values["status"] in WITH_NUMBERS:
            return cast("RecordType", MeasuredRecord.from_dict(values))
        return super().from_dict(values)


@dataclass(frozen=True, kw_only=True)
class MeasuredRecord(Record):
    """The record of a point that finished, valid or not: it has all numbers."""

    plan: Annotated[PlanRecord, Entry("what the strategy said before it ran")] = field()
    time: Annotated[TimeRecord, Entry("how long steps took")] = field()
    energy: Annotated[EnergyRecord, Entry("joules of the windows")] = field()
    traffic: Annotated[TrafficRecord, Entry("bytes of one step")] = field()
    memory: Annotated[MemoryRecord, Entry("bytes of each rank")] = field()
    learning: Annotated[LearningRecord, Entry("what was learnt")] = field()
