"""Encoded texts kept on the disk of a host, so that only the first point there encodes them.

A file is named after the texts, the tokenizer and the length, so it can only be what encoding would give again. Where it cannot
be written or read, texts are encoded as if there were none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Encoded = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]
"""Ids int32 [samples, seq], padded on the right, and the number of tokens of each sample int32 [samples]."""


def token_folder() -> Path:
    """Where encoded texts are kept: ``edgejoule/tokens`` of the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "edgejoule" / "tokens"


def kept(texts: Sequence[str], seq: int, tokenizer: Path, encode: Callable[[], Encoded]) -> Encoded:
    """Encoded texts, from the disk where they are there.

    Args:
        texts: The samples.
        seq: Tokens of a sample.
        tokenizer: The file that decides how they are encoded.
        encode: Encodes them.

    Returns:
        What ``encode`` gives.
    """
    digest = hashlib.sha256(tokenizer.read_bytes())
    digest.update(f"{seq} {len(texts)}".encode())
    for text in texts:
        raw = text.encode()
        digest.update(len(raw).to_bytes(8, "little") + raw)
    try:
        path = token_folder() / f"{digest.hexdigest()[:32]}.npz"
    except RuntimeError:  # a user without a home
        return encode()
    try:
        with np.load(path) as stored:
            ids, lengths = stored["ids"], stored["lengths"]
            if ids.shape == (len(texts), seq) and lengths.shape == (len(texts),):
                return ids, lengths
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass  # none yet, or not whole
    encoded = encode()
    with contextlib.suppress(OSError):
        _write(path, encoded)
    return encoded


def _write(path: Path, encoded: Encoded) -> None:
    """Whole or not at all: other ranks may be reading."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        np.savez(file, ids=encoded[0], lengths=encoded[1])
    os.replace(file.name, path)
