"""Text as token ids of a fixed length: with a checkpoint's own tokenizer, or byte by byte without one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.common.user_error import UserError
from bench.tasks.task_base.token_cache import Encoded, kept

BYTES = 256
PAD = 0


def tokenize(texts: Sequence[str], seq: int, checkpoint: str | None, vocab: int) -> tuple[Tensor, Tensor]:
    """Texts as token ids, cut and padded on the right.

    With a checkpoint its ``tokenizer.json`` is used. Without one, a token is a byte of UTF-8 plus one (0 is padding).

    Args:
        texts: The samples.
        seq: Tokens of a sample.
        checkpoint: The folder of the checkpoint; None: bytes.
        vocab: The vocabulary of the model; bytes need 257.

    Returns:
        Ids int64 [samples, seq] and mask bool [samples, seq], true where there is a token.

    Raises:
        UserError: The checkpoint has no tokenizer, or a token is not in the vocabulary.
    """
    if checkpoint is None:
        return _bytes(texts, seq, vocab)
    file = Path(checkpoint) / "tokenizer.json"
    if not file.exists():
        raise UserError(f"{file} does not exist; a checkpoint for text needs its tokenizer.json beside its weights")
    encoded = kept(texts, seq, file, lambda: _encoded(texts, seq, file))
    ids, lengths = (torch.from_numpy(one.astype(np.int64)) for one in encoded)
    if int(ids.max()) >= vocab:
        raise UserError(f"{file} gives token {int(ids.max())}, the model's vocabulary has {vocab}; choose the model that fits")
    return ids, torch.arange(seq) < lengths[:, None]


def _encoded(texts: Sequence[str], seq: int, file: Path) -> Encoded:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # ranks share the cores already
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.enable_truncation(seq)
    tokenizer.enable_padding(length=seq, pad_id=PAD)
    encoded = tokenizer.encode_batch(list(texts))
    ids = np.array([one.ids for one in encoded], dtype=np.int32)
    return ids, np.array([sum(one.attention_mask) for one in encoded], dtype=np.int32)


def _bytes(texts: Sequence[str], seq: int, vocab: int) -> tuple[Tensor, Tensor]:
    if vocab <= BYTES:
        raise UserError(f"text without a tokenizer needs a vocabulary of {BYTES + 1}, the model has {vocab}")
    ids = torch.full((len(texts), seq), PAD, dtype=torch.int64)
    for row, text in enumerate(texts):
        tokens = torch.tensor(list(text.encode()[:seq]), dtype=torch.int64) + 1
        ids[row, : len(tokens)] = tokens
    return ids, ids != PAD
