"""What all tests have in common: how Ctrl-C reaches them, and which of them may run beside each other."""

from __future__ import annotations

import json
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest

# Started in the background of a script, a session ignores Ctrl-C, and so does everything that it starts; tests send it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

MARKED = tempfile.TemporaryDirectory(prefix="edgejoule-marked-")
"""Where xdist's workers, which alone collect tests, tell its scheduler which of them are marked ``machine``."""


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Before a worker of xdist starts: the file for what it finds."""
    node.workerinput["marked_machine"] = str(Path(MARKED.name) / node.gateway.id)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a worker of xdist: the ids of the tests that are marked ``machine``; ids are all that the scheduler gets to see."""
    if hasattr(config, "workerinput"):
        marked = [item.nodeid for item in items if item.get_closest_marker("machine")]
        Path(config.workerinput["marked_machine"]).write_text(json.dumps(marked))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``-n 2``: tests marked ``machine`` run one after the other on one worker, all others where there is time."""
    from xdist.scheduler import LoadScopeScheduling

    class OneMachine(LoadScopeScheduling):
        marked: frozenset[str] | None = None

        def _split_scope(self, nodeid: str) -> str:
            if self.marked is None:  # every worker has collected the same tests before the first of them is asked for
                self.marked = frozenset(json.loads(next(Path(MARKED.name).iterdir()).read_text()))
            return "machine" if nodeid in self.marked else nodeid

    return OneMachine(config, log)
