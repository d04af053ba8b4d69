"""Every option of a composed step, by axis. A strategy takes the classes of the axes that it splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from strategies.common.option_fields import (
    LISTS_OF_NUMBERS,
    NUMBERS,
    WHOLE_NUMBER,
    WHOLE_NUMBERS,
    Numbers,
    WholeNumbers,
    option,
    scalar,
    word,
)

BUCKET_BYTES = 4 * 2**20
TOKEN_TABLES = ("auto", "dense", "rows")
WIRES = ("float16", "bfloat16")
ATTENTIONS = ("ring", "ulysses")
OVERLAPS = ("auto", "halves", "none")


@dataclass(frozen=True)
class NoOptions:
    """Nothing to choose."""


@dataclass(frozen=True)
class PipelineOptions:
    """Stages of layers, and their schedule."""

    stages: WholeNumbers | None = option(None, "layers of each (virtual) stage; null: as even as possible", WHOLE_NUMBERS)
    schedule: str = option("1f1b", "in which order stages compute", word("gpipe, 1f1b, interleaved or zero_bubble"))
    virtual_stages: int = option(2, "stages on each rank under the interleaved schedule", WHOLE_NUMBER)
    groups: WholeNumbers | None = option(None, "ranks of each stage; null: one each", WHOLE_NUMBERS)
    group_shares: list[Numbers] | None = option(
        None, "weights of the samples of the ranks that share a stage, a list for each stage", LISTS_OF_NUMBERS
    )


@dataclass(frozen=True)
class SequenceOptions:
    """Tokens of a sample on several ranks."""

    attention: Literal["ring", "ulysses"] = option("ring", "how split tokens attend to each other", word("ring or ulysses"))
    sequence_shares: Numbers | None = option(None, "weights of the ranks' shares of the tokens", NUMBERS)


@dataclass(frozen=True)
class TensorOptions:
    """Layers split over ranks."""

    tensor_shares: Numbers | None = option(None, "weights of the ranks' shares of heads, columns and vocabulary", NUMBERS)
    norms: Literal["replicated", "split"] = option(
        "replicated", "the tokens between the blocks of tensor ranks", word("replicated or split")
    )
    overlap: Literal["auto", "halves", "none"] = option(
        "auto",
        "halves of a micro-batch take turns: one computes while the other's reduction is on its way; auto: where that is long",
        word("auto, halves or none"),
    )


@dataclass(frozen=True)
class BucketOptions:
    """Messages of the gradients."""

    bucket_bytes: int = option(
        BUCKET_BYTES, "bytes of gradients that are summed in one message", scalar("a positive number of bytes")
    )
    token_table: Literal["auto", "dense", "rows"] = option(
        "auto",
        "the token table's gradient is summed as a whole (dense) or as the rows that were looked up",
        word("auto, dense or rows"),
    )


@dataclass(frozen=True)
class GradientOptions(BucketOptions):
    """How gradients of replicas are summed."""

    zero: int = option(0, "1 shares the optimizer's states between the replicas (ZeRO-1)", scalar("0 or 1"))
    wire: Literal["float16", "bfloat16"] | None = option(
        None, "the 16-bit type in which gradients travel; null: their own", word("null, float16 or bfloat16")
    )


@dataclass(frozen=True)
class SampleOptions:
    """Samples of a batch on several replicas."""

    shares: Numbers | None = option(None, "weights of the replicas' shares of the samples", NUMBERS)


@dataclass(frozen=True)
class StepOptions(PipelineOptions, SequenceOptions, TensorOptions, GradientOptions, SampleOptions):
    """All of them, as plans and steps read them."""

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> StepOptions:
        """Read the options by name.

        Args:
            options: What is missing has its default; names of other options are left out.

        Returns:
            The options.
        """
        return cls(**{one.name: options[one.name] for one in fields(cls) if one.name in options})
