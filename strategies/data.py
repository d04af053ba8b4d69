"""Data parallelism: every rank holds the whole model and a share of the batch; gradients are summed.

    rank 0: samples 0..15  -> forward -> backward -+
                                                    +- all-reduce (sum), bucket by bucket -> the same step everywhere
    rank 1: samples 16..31 -> forward -> backward -+

Payload per rank and step: P e bytes (P parameters of e bytes), once per step however many micro-batches; a ring
sends 2 (n-1)/n of it (Li et al., PyTorch Distributed, arXiv 2006.15704). Buckets are filled from the last layer to
the first and go out on the communication thread while backward still computes.

Options: ``shares=[3,1]`` gives faster boards more samples; ``zero=1`` shares the optimizer's states (the same bytes);
``wire=bfloat16`` or ``float16`` halves the bytes; ``token_table=auto|dense|rows`` sends the gradient of the token table as
the rows that were looked up where that is less; ``bucket_bytes`` sets the size of a message. See ``plan/gradient_buckets.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from strategies.base import register
from strategies.common.appearance import Appearance
from strategies.plan.step_options import GradientOptions, SampleOptions
from strategies.step.composition import ComposedStrategy


@dataclass(frozen=True)
class DataOptions(GradientOptions, SampleOptions):
    """Samples, and how gradients are summed."""


@register
class DataParallel(ComposedStrategy):
    """Replicas of the model share the samples of a batch."""

    name: ClassVar[str] = "data"
    axes: ClassVar[tuple[str, ...]] = ("data",)
    appearance: ClassVar[Appearance | None] = Appearance(10, "#0072B2", "o", "////", "data")
    option_class: ClassVar[type] = DataOptions
