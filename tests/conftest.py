"""What all tests have in common: how Ctrl-C reaches them, and which of them may run beside each other."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

# Started in the background of a script, a session ignores Ctrl-C, and so does everything that it starts; tests send it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

BESIDE = ("analysis", "imports", "record", "states", "strategies", "tasks")
"""Folders of tests that need one core and nothing of the machine."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With ``-n 2 --dist loadgroup``: tests that start ranks, boards or servers run one after the other, those of BESIDE beside
    them."""
    here = Path(__file__).parent
    beside = {item: item.path.relative_to(here).parts[0] in BESIDE for item in items}
    for item in items:
        if not beside[item]:
            item.add_marker(pytest.mark.xdist_group("machine"))
    items.sort(key=lambda item: beside[item])
