"""What all tests have in common: how Ctrl-C reaches them, and which of them may run beside each other."""

from __future__ import annotations

import signal
from typing import Any

import pytest

# Started in the background of a script, a session ignores Ctrl-C, and so does everything that it starts; tests send it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

BESIDE = tuple(
    f"tests/{name}"
    for name in (
        *("analysis/", "strategies/models/", "strategies/plan/", "strategies/schedules/"),
        *(f"bench/{name}/" for name in ("conditions", "record", "tasks", "prediction", "export", "point")),
        *(
            f"bench/{name}.py"
            for name in ("planner/test_search", "timeline/test_measured_schedule", "timeline/test_rank_states")
        ),
        *(f"bench/{name}.py" for name in ("commands/test_bad_input", "commands/test_dry_run", "campaign/test_sweep_choice")),
    )
)
"""Tests that need one core and nothing of the machine."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``-n 2``: tests that start ranks, boards or servers run one after the other on one worker, those of BESIDE, each by
    itself, on the other one."""
    from xdist.scheduler import LoadScopeScheduling

    class OneMachine(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid if nodeid.startswith(BESIDE) else "machine"

    return OneMachine(config, log)
