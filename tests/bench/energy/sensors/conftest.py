"""Meters of these tests: opened by their entries as the sampler does, and servers that answer them; all ended after a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.energy.sensor_base import source as sources
from bench.energy.sensor_base.source import Place, Source
from tests.stand_ins.web import WebMeter

Open = Callable[..., Source]
Serve = Callable[..., WebMeter]


@pytest.fixture
def reach() -> Iterator[Open]:
    """Opens a meter by its entry, and closes it at the end."""
    opened: list[Source] = []

    def open_one(kind: str, **settings: Any) -> Source:
        opened.append(sources.meters()[kind].open(Place(Path("/"), settings={"source": kind, **settings})))
        return opened[-1]

    yield open_one
    for source in opened:
        source.close()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A web server with the answers of a meter."""
    meters: list[WebMeter] = []

    def serve_one(answer: Any, **options: Any) -> WebMeter:
        meters.append(WebMeter(answer, **options))
        return meters[-1]

    yield serve_one
    for meter in meters:
        meter.dies()
