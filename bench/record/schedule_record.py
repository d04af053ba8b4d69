"""The record's ``time.schedule``: when each computation of one pipeline step ran, predicted beside measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from bench.record.block import Block, Entry


class ScheduleInterval(NamedTuple):
    """One computation, in seconds from the first one of the step; in the record a list of four."""

    rank: Annotated[int, Entry("the rank, or the stage of what is predicted", minimum=0)]
    action: Annotated[
        str,
        Entry("F forward, B backward, I its input part, W its weight part; micro-batch and virtual stage",
              pattern=r"^[FBIW][0-9]+(\.[0-9]+)?$"),
    ]  # fmt: skip
    start_s: Annotated[float, Entry("begin", "s")]
    end_s: Annotated[float, Entry("end", "s")]


@dataclass(frozen=True, kw_only=True)
class PlayedScheduleRecord(Block):
    """A step of the schedule as it ran, or as the simulator plays it with free messages."""

    duration_s: Annotated[float, Entry("from the first computation to the end of the last one", "s")]
    bubble: Annotated[float, Entry("share of that time, over all ranks, in which nothing was computed", "1")]
    intervals: Annotated[Sequence[ScheduleInterval], Entry("[rank or stage, action, start_s, end_s] of each computation")]


@dataclass(frozen=True, kw_only=True)
class ScheduleRecord(Block):
    """The schedule of a pipeline: its text, and one step of it."""

    name: Annotated[str, Entry("name of the schedule")]
    step: Annotated[int, Entry("the step shown: the timed one of median duration", minimum=0)]
    text: Annotated[Sequence[str], Entry("the actions of each stage, messages included")]
    predicted: Annotated[PlayedScheduleRecord, Entry("as the schedule would run if messages were free")]
    measured: Annotated[PlayedScheduleRecord, Entry("as it ran")]
