"""The record's ``dilation``: emulated boards whose time is another than the machine's that emulated them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from bench.record.block import Block, Entry


@dataclass(frozen=True, kw_only=True)
class BoardSpeedRecord(Block):
    """What one board stands for, and what its share of the machine achieved on the point's own model."""

    host: Annotated[str, Entry("the board's name in the inventory")]
    device: Annotated[str | None, Entry("the device that it stands for; null: the dilation was given as a number")]
    class_flop_s: Annotated[float | None, Entry("training rate of its class; null: given as a number", "1/s")]
    class_low_flop_s: Annotated[float | None, Entry("the least that this rate may be; null: given as a number", "1/s")]
    class_high_flop_s: Annotated[float | None, Entry("the most that this rate may be; null: given as a number", "1/s")]
    class_source: Annotated[str | None, Entry("where this rate is from; null: given as a number")]
    quota_cores: Annotated[float | None, Entry("its share of the machine; null: no limit", "1")]
    together_flop_s: Annotated[float | None, Entry("achieved while all boards computed; null: not measured", "1/s")]
    alone_flop_s: Annotated[float | None, Entry("achieved while the others slept; null: not measured", "1/s")]


@dataclass(frozen=True, kw_only=True)
class DilationRecord(Block):
    """All times, joules and rates of the record are in the boards' time; each second took ``factor`` of the machine's."""

    factor: Annotated[float, Entry("seconds of the machine for one second of the boards", "1", more_than=0)]
    low: Annotated[float, Entry("the least that the factor may be, by the range of the classes' training rates", "1")]
    high: Annotated[float, Entry("the most that it may be", "1")]
    source: Annotated[str, Entry("what the factor follows from")]
    latency_s: Annotated[float, Entry("latency of a message between two boards, one way", "s")]
    latency_source: Annotated[str, Entry("where the latency is from")]
    latency_by: Annotated[
        Literal["none", "netem", "receives"],
        Entry("what made messages late: nothing needed to, the kernel, or receives that complete later"),
    ]
    receive_delay_s: Annotated[float, Entry("added to each message, in the machine's time", "s")]
    quota_scale: Annotated[float, Entry("the boards' shares were multiplied with it; below 1: their classes are slower", "1")]
    machine_window_s: Annotated[float, Entry("length of all timed windows in the machine's time", "s")]
    seq: Annotated[int | None, Entry("tokens of a sample in the measurement of the speeds; null: not measured", "1")]
    samples: Annotated[int | None, Entry("samples at once in that measurement; null: not measured", "1")]
    disturbance: Annotated[
        float | None, Entry("how much faster a board computes while the others sleep, median of all; null: not measured", "1")
    ]
    boards: Annotated[Sequence[BoardSpeedRecord], Entry("what each board stands for and achieved")]
