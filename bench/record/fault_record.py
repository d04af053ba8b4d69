"""The record's ``fault``: one rank was killed and the others went on. All other blocks are of the time before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from bench.common.phases import RecoveryPhase
from bench.record.block import Block, Entry
from bench.record.point_record import MeshRecord
from bench.record.spent_record import WindowEnergyRecord


@dataclass(frozen=True, kw_only=True)
class RecoveryRecord(WindowEnergyRecord):
    """The whole recovery, on the hosts of the survivors."""

    seconds: Annotated[float, Entry("from the failure until the lost steps were done again", "s")]


@dataclass(frozen=True, kw_only=True)
class RecoveryPhaseRecord(WindowEnergyRecord):
    """One phase of the recovery, on the hosts of the survivors."""

    name: Annotated[
        RecoveryPhase,
        Entry("the failure is noticed, the communicator shrinks, state is rebuilt from copies, lost steps are replayed"),
    ]
    start_s: Annotated[float, Entry("begin, from the start of the run", "s")]
    end_s: Annotated[float, Entry("end, from the start of the run", "s")]


@dataclass(frozen=True, kw_only=True)
class TrainingStretchRecord(WindowEnergyRecord):
    """Steps before or after the failure."""

    ranks: Annotated[int, Entry("ranks that trained", "1", minimum=1)]
    start_s: Annotated[float, Entry("begin, from the start of the run", "s")]
    end_s: Annotated[float, Entry("end, from the start of the run", "s")]
    steps: Annotated[int, Entry("steps inside", "1", minimum=1)]
    samples_per_s: Annotated[float, Entry("samples over its length", "1/s")]
    per_sample_J: Annotated[float | None, Entry("joules of one sample; null: a host has no readings", "J")]


@dataclass(frozen=True, kw_only=True)
class CopiesRecord(TrainingStretchRecord):
    """Copies of the training state to other ranks, and the steps between them up to the failure."""

    every_steps: Annotated[int, Entry("steps between two copies", "1", minimum=1)]
    seconds: Annotated[Sequence[float], Entry("time of each copy", "s")]
    payload_bytes: Annotated[int, Entry("bytes that all copies sent, over all ranks", "B", minimum=0)]
    memory_bytes: Annotated[
        Sequence[Annotated[int, Entry("bytes of one rank", "B", minimum=0)]], Entry("memory that copies take on each rank", "B")
    ]


@dataclass(frozen=True, kw_only=True)
class AfterFaultRecord(TrainingStretchRecord):
    """Steps of the survivors after the lost ones were done again."""

    mesh: Annotated[MeshRecord, Entry("mesh of the survivors")]
    hosts: Annotated[Sequence[str], Entry("hosts of the survivors")]


@dataclass(frozen=True, kw_only=True)
class FaultStepRecord(Block):
    """One step of the time around the failure."""

    part: Annotated[Literal["copies", "redo", "after"], Entry("before the failure, a lost step again, or after")]
    step: Annotated[int, Entry("number of the step, from 0", minimum=0)]
    ranks: Annotated[int, Entry("ranks that took it", "1", minimum=1)]
    start_s: Annotated[float, Entry("begin, from the start of the run", "s")]
    end_s: Annotated[float, Entry("end, from the start of the run", "s")]
    loss: Annotated[float, Entry("training loss", "nat")]


@dataclass(frozen=True, kw_only=True)
class FaultRecord(Block):
    """The failure of one rank, and how the others went on."""

    rank: Annotated[int, Entry("the rank that was killed", minimum=1)]
    host: Annotated[str, Entry("its host")]
    step: Annotated[int, Entry("the step in which it was killed", minimum=0)]
    at_s: Annotated[float, Entry("when it was killed, from the start of the run", "s")]
    recovered_s: Annotated[float, Entry("when the lost steps were done again, from the start of the run", "s")]
    recovery: Annotated[RecoveryRecord, Entry("seconds and joules from the failure until then")]
    phases: Annotated[Sequence[RecoveryPhaseRecord], Entry("the same by phase")]
    lost_steps: Annotated[int, Entry("steps that had to be done again", "1", minimum=0)]
    loss_difference: Annotated[
        float | None,
        Entry("largest relative difference of the losses of a lost step and its repetition; null: none", "1"),
    ]
    restored_bytes: Annotated[int, Entry("bytes of copies that survivors received", "B", minimum=0)]
    copies: Annotated[CopiesRecord, Entry("copies of the state, and the steps up to the failure")]
    after: Annotated[AfterFaultRecord, Entry("steps of the survivors")]
    steps: Annotated[Sequence[FaultStepRecord], Entry("every step around the failure")]
