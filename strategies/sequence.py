"""Sequence parallelism: every rank holds the whole model and a share of the tokens of every sample; they meet in attention.

    rank 0: tokens 0..31  -> q k v -+  ring:    k, v travel round, n-1 messages a layer          -> y of own tokens
                                    |  ulysses: all tokens of some heads, two all-to-alls        -> loss of own tokens
    rank 1: tokens 32..63 -> q k v -+                                                            -> gradients summed

Sent per rank, layer and step, with g = key/value heads / heads (arXiv 2310.01889, 2309.14509):
ring 2 g B s h (n-1)/n e forward, twice that backward; Ulysses (2+2g) B s h (n-1)/n^2 e forward, and the same backward.
The gradients of all parameters are summed as in data parallelism (P e bytes, 2 (n-1)/n of it on a ring).

A causal ring gives each rank an early and a late block of tokens, so that all have the same work. Options:
``attention=ring|ulysses``, ``sequence_shares=[3,1]`` for boards of different speed, and those of the gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from strategies.base import register
from strategies.common.appearance import Appearance
from strategies.plan.step_options import GradientOptions, SequenceOptions
from strategies.step.composition import ComposedStrategy


@dataclass(frozen=True)
class SequenceStrategyOptions(GradientOptions, SequenceOptions):
    """Tokens, and how gradients are summed."""


@register
class SequenceParallel(ComposedStrategy):
    """Ranks share the tokens of every sample."""

    name: ClassVar[str] = "sequence"
    axes: ClassVar[tuple[str, ...]] = ("sequence",)
    appearance: ClassVar[Appearance | None] = Appearance(30, "#56B4E9", "v", "....", "sequence")
    option_class: ClassVar[type] = SequenceStrategyOptions
