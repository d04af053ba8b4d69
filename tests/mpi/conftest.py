"""These tests run under mpirun: every rank runs the same tests in the same order (see tests/strategies/test_ladder.py)."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
import torch
from mpi4py import MPI

from strategies.models import pretrained_weights

torch.set_num_threads(1)
# Models this narrow need larger weights than 0.02, or attention is flat and the gradients of q and k vanish.
pretrained_weights.INIT_STD = 0.3


@pytest.fixture
def comm() -> Iterator[MPI.Comm]:
    """The world, fenced on both sides so that one test's messages cannot meet another's."""
    MPI.COMM_WORLD.Barrier()
    yield MPI.COMM_WORLD
    MPI.COMM_WORLD.Barrier()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A rank that fails ends the job at once: the others would wait for it for ever."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed:
        print(f"\nrank {MPI.COMM_WORLD.Get_rank()} FAILED {item.nodeid}\n{report.longreprtext}", file=sys.stderr, flush=True)
        MPI.COMM_WORLD.Abort(1)
