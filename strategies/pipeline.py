"""Pipeline parallelism: consecutive layers on consecutive ranks; micro-batches flow through them.

    stage 0: [embed, blocks 0-2] --activations [b, s, h]--> stage 1: [blocks 3-5, head, loss]
                                 <--gradients  [b, s, h]--

Payload per boundary and step: B s h e bytes forward and the same backward, whatever the number of micro-batches
(Narayanan et al., arXiv 2104.04473); with v virtual stages on a rank there are v p - 1 boundaries instead of p - 1. A
token table that is tied to the head lives on both ends: its gradient is summed over the two (V h e).

Options: ``schedule=gpipe|1f1b|interleaved|zero_bubble`` (``strategies/schedules`` has their bubbles), ``virtual_stages``
of the interleaved one, ``stages=[4,2]`` layers of each (virtual) stage. ``groups=[2,1]`` puts several ranks at one stage:
they share the samples of every micro-batch, by ``group_shares=[[3,1],[1]]`` unevenly, and sum their gradients (the hybrid
pipeline of Asteroid, Ye et al., MobiCom 2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from strategies.base import register
from strategies.common.appearance import Appearance
from strategies.plan.step_options import BucketOptions, PipelineOptions
from strategies.step.composition import ComposedStrategy


@dataclass(frozen=True)
class PipelineStrategyOptions(BucketOptions, PipelineOptions):
    """Stages, and the messages of the gradients of ranks that share one."""


@register
class PipelineParallel(ComposedStrategy):
    """Stages of consecutive layers pass on micro-batches."""

    name: ClassVar[str] = "pipeline"
    axes: ClassVar[tuple[str, ...]] = ("pipeline",)
    appearance: ClassVar[Appearance | None] = Appearance(50, "#009E73", "D", "xxxx", "pipeline")
    default_micro_batches: ClassVar[int | Literal["stages"]] = "stages"
    option_class: ClassVar[type] = PipelineStrategyOptions
