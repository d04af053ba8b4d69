"""The record's ``checks``: what was looked at before the numbers are believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from bench.record.block import Block, Entry

Verdict = Literal["passed", "warned", "failed", "skipped"]


@dataclass(frozen=True, kw_only=True)
class Check(Block):
    """One check of the point. A failed one makes it invalid, a warned one is what a careful reader should know."""

    name: Annotated[str, Entry("what holds if the check passes")]
    status: Annotated[Verdict, Entry("the verdict")]
    detail: Annotated[str, Entry("what was found, in words")]
