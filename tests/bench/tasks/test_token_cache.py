"""Encoded texts are kept by what they depend on, and a file that is not whole is made anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.tasks.task_base.token_cache import Encoded, kept, token_folder


def test_only_the_same_texts_and_tokenizer_are_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text("one")
    calls: list[int] = []

    def encode() -> Encoded:
        calls.append(1)
        return np.full((2, 4), len(calls), dtype=np.int32), np.array([4, 2], dtype=np.int32)

    for _ in range(2):
        ids, lengths = kept(["a", "bc"], 4, tokenizer, encode)
        assert (ids[0, 0], *lengths) == (1, 4, 2)
    assert len(calls) == 1
    kept(["ab", "c"], 4, tokenizer, encode)  # the same letters, other texts
    tokenizer.write_text("two")
    kept(["a", "bc"], 4, tokenizer, encode)
    assert len(calls) == 3
    for path in token_folder().glob("*.npz"):
        path.write_bytes(b"PK half")
    kept(["a", "bc"], 4, tokenizer, encode)
    assert len(calls) == 4


def test_without_a_place_to_keep_them_texts_are_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    encoded = np.zeros((1, 4), dtype=np.int32), np.ones(1, dtype=np.int32)
    assert kept(["a"], 4, tmp_path / "file", lambda: encoded) is encoded
