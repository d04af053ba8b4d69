"""The record's ``time``: how long steps took and what the ranks did meanwhile. Seconds from the start of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from bench.record.block import Block, Entry, OpenBlock
from bench.record.schedule_record import ScheduleRecord


@dataclass(frozen=True, kw_only=True)
class WindowRecord(Block):
    """A timed window: consecutive whole steps without a pause."""

    start_s: Annotated[float, Entry("begin, from the start of the run", "s")]
    end_s: Annotated[float, Entry("end, from the start of the run", "s")]
    steps: Annotated[int, Entry("steps inside", "1")]


@dataclass(frozen=True, kw_only=True)
class IdleWindowRecord(Block):
    """A stretch of time in which all ranks slept."""

    start_s: Annotated[float, Entry("begin, from the start of the run", "s")]
    end_s: Annotated[float, Entry("end, from the start of the run", "s")]


@dataclass(frozen=True, kw_only=True)
class StepTimeRecord(Block):
    """The time of one optimizer step: the median over the steps of the windows, with its interval by rank."""

    median: Annotated[float, Entry("median over the timed steps", "s")]
    ci_low: Annotated[float | None, Entry("lower end of the median's interval; null: too few steps", "s")]
    ci_high: Annotated[float | None, Entry("upper end of the median's interval; null: too few steps", "s")]
    n: Annotated[int, Entry("number of timed steps", "1")]
    confidence: Annotated[float, Entry("confidence of the interval", "1")]
    values: Annotated[Sequence[float], Entry("the time of every timed step, in order", "s")]


@dataclass(frozen=True, kw_only=True)
class StateSecondsRecord(Block):
    """Seconds of one step by what a rank's main thread did, mean over ranks; they add up to the step."""

    compute_s: Annotated[float, Entry("computing", "s")]
    communicate_s: Annotated[float, Entry("moving data", "s")]
    wait_s: Annotated[float, Entry("waiting for other ranks", "s")]


@dataclass(frozen=True, kw_only=True)
class RankSecondsRecord(Block):
    """Seconds of one rank inside all timed windows; the first three add up to the windows' length."""

    rank: Annotated[int, Entry("the rank")]
    compute_s: Annotated[float, Entry("computing", "s")]
    communicate_s: Annotated[float, Entry("moving data", "s")]
    wait_s: Annotated[float, Entry("waiting for other ranks", "s")]
    overlapped_s: Annotated[float, Entry("communication that ran beside the computation", "s")]


ExposedShare = Annotated[float, Entry("of this operation", "1", minimum=0)]


@dataclass(frozen=True, kw_only=True)
class ExposedRecord(Block):
    """What communication costs in time: shares of the timed windows, mean over ranks.

    Exposed is the time in which the thread that computes is in an operation, or waits for one or for its partners, and so does
    not compute. Communication that runs beside the computation is not (``by_rank.overlapped_s``), though it takes processor
    time from it (``processor``).
    """

    share: Annotated[float, Entry("exposed time over all time, the sum of the next two", "1", minimum=0)]
    communicate_share: Annotated[float, Entry("moving data", "1", minimum=0)]
    wait_share: Annotated[float, Entry("waiting for other ranks", "1", minimum=0)]
    by_operation: Annotated[
        Mapping[str, ExposedShare],
        Entry("by ``axis.operation`` as in ``traffic``, the largest first; they add up to ``share``", "1"),
    ]


@dataclass(frozen=True, kw_only=True)
class RankProcessorRecord(Block):
    """Processor seconds of one rank in one step, by the kernel's clocks of its threads, mean over the timed steps."""

    rank: Annotated[int, Entry("the rank")]
    process_s: Annotated[float, Entry("of the whole process, all threads", "s", minimum=0)]
    messages_s: Annotated[float, Entry("of communication: the sum of the next three", "s", minimum=0)]
    main_s: Annotated[float, Entry("operations on the thread that computes: staging copies, MPI, spinning", "s", minimum=0)]
    comm_thread_s: Annotated[float, Entry("operations on the thread beside it", "s", minimum=0)]
    pump_s: Annotated[float, Entry("the thread that enters MPI so that messages move", "s", minimum=0)]


@dataclass(frozen=True, kw_only=True)
class ProcessorRecord(Block):
    """Processor time of messages. Where ranks spin, waiting is in it; the kernel's interrupts for the network are not."""

    messages_s: Annotated[float, Entry("of communication in one step, mean over ranks", "s", minimum=0)]
    process_s: Annotated[float, Entry("of the processes in one step, mean over ranks", "s", minimum=0)]
    share: Annotated[float | None, Entry("the first over the second; null: the process took no measurable time", "1")]
    by_rank: Annotated[Sequence[RankProcessorRecord], Entry("each rank")]


@dataclass(frozen=True, kw_only=True)
class WarmUpRecord(Block):
    """Steps before the timed windows, until they take the same time."""

    steps: Annotated[int, Entry("warm-up steps", "1")]
    step_s: Annotated[Sequence[float], Entry("the time of each", "s")]
    stable: Annotated[bool, Entry("whether the last three agreed before warmup.max_steps")]


@dataclass(frozen=True, kw_only=True)
class PhaseSecondsRecord(Block):
    """Seconds of one step by phase, mean over ranks; they add up to the step."""

    other_s: Annotated[float, Entry("computing outside of the phases below", "s")]
    forward_s: Annotated[float, Entry("computing forward", "s")]
    backward_s: Annotated[float, Entry("computing backward", "s")]
    optimizer_s: Annotated[float, Entry("updating the weights", "s")]
    communicate_s: Annotated[float, Entry("moving data", "s")]
    wait_s: Annotated[float, Entry("waiting for other ranks", "s")]


@dataclass(frozen=True, kw_only=True)
class StageRecord(Block):
    """A stage of the point on rank 0."""

    stage: Annotated[str, Entry("what was done: load, set up, conditions, idle, warm up, windows, evaluate, ...")]
    start_s: Annotated[float, Entry("begin, from the start of the run; loading is before it", "s")]
    end_s: Annotated[float, Entry("end, from the start of the run", "s")]


@dataclass(frozen=True, kw_only=True)
class ClockRecord(OpenBlock):
    """How well the clocks of the hosts agree on the common axis."""

    hosts_share_a_clock: Annotated[bool | None, Entry("whether all ranks run on one machine")] = None
    bound_s: Annotated[float | None, Entry("no offset is wrong by more: half of the longest round trip", "s")] = None
    residual_s: Annotated[float | None, Entry("how far the best exchanges of messages lie from the fitted line", "s")] = None
    drift_ppm: Annotated[Mapping[str, float] | None, Entry("drift against rank 0's clock, by rank", "1e-6")] = None


@dataclass(frozen=True, kw_only=True)
class TimeRecord(Block):
    """How long the steps of the timed windows took, on one axis of time for all ranks."""

    windows: Annotated[Sequence[WindowRecord], Entry("the timed windows")]
    window_s: Annotated[float, Entry("length of all timed windows together", "s")]
    steps: Annotated[int, Entry("optimizer steps in the windows", "1", minimum=1)]
    samples: Annotated[int, Entry("samples trained in the windows", "1")]
    tokens: Annotated[int, Entry("tokens trained in the windows, padding included", "1")]
    step_s: Annotated[StepTimeRecord, Entry("time of one optimizer step", "s")]
    samples_per_s: Annotated[float, Entry("samples over the windows' length", "1/s")]
    tokens_per_s: Annotated[float, Entry("tokens over the windows' length", "1/s")]
    by_phase: Annotated[StateSecondsRecord, Entry("seconds of a step computing, communicating and waiting", "s")]
    by_rank: Annotated[Sequence[RankSecondsRecord], Entry("seconds of each rank in the windows by the same states", "s")]
    exposed: Annotated[
        ExposedRecord | None, Entry("share of the steps that communication takes; missing: an older version")
    ] = None
    processor: Annotated[ProcessorRecord | None, Entry("processor time of messages; missing: an older version")] = None
    startup_s: Annotated[float, Entry("from the start of the ranks until they were ready to measure", "s")]
    warmup: Annotated[WarmUpRecord, Entry("steps before the windows")]
    idle: Annotated[
        Sequence[IdleWindowRecord] | None,
        Entry(
            "idle before and after the training; without length where it was not measured", at_least_items=2, at_most_items=2
        ),
    ] = None
    stages: Annotated[Sequence[StageRecord] | None, Entry("stages of rank 0 up to the gathering of its record", "s")] = None
    phases: Annotated[PhaseSecondsRecord | None, Entry("seconds of a step by phase, mean over ranks", "s")] = None
    schedule: Annotated[ScheduleRecord | None, Entry("order of a pipeline's computations; missing: no stages")] = None
    clock: Annotated[ClockRecord, Entry("how well the clocks of the hosts agree")]
