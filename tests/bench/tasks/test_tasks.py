"""Tasks: the same batches everywhere, a fixed split, the checkpoint's own tokens, weights that are checked."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.common.user_error import UserError
from bench.common.weight_files import PACKAGE, WEIGHTS_FILE, check_sha256, checkpoint_dir
from bench.config.point_config import PointConfig
from bench.tasks.task_base.review_texts import read_reviews, split
from bench.tasks.task_base.task import make_task
from tests.points import make_point
from tests.project import ROOT


def config(
    task: str = "reviews", head: str = "classifier", checkpoint: str | None = None, vocab: int = 257, **train: Any
) -> PointConfig:
    spec = {"vocab": vocab, "head": head, "labels": 2 if head == "classifier" else 0}
    return make_point(
        task={"name": task, "samples": 200, "held_out": 40},
        train={"batch": 32, "seq": 24, **train},
        seed=3,
        model={"checkpoint": checkpoint, "spec": spec},
    )


def test_the_split_is_fixed_stratified_and_without_leaks() -> None:
    reviews = read_reviews()
    train, held_out = split(reviews)
    assert (len(reviews), len(train), len(held_out)) == (10568, 9512, 1056)
    assert not {r.id for r in train} & {r.id for r in held_out}
    assert sum(r.label for r in reviews) == 5242
    assert sum(r.label for r in held_out) == 524
    # Changing the split silently would make studies incomparable.
    ids = ",".join(sorted(r.id for r in held_out))
    assert hashlib.sha256(ids.encode()).hexdigest()[:16] == "2794157597eda2fc"


def test_every_process_makes_the_same_batches() -> None:
    code = (
        "from tests.bench.tasks.test_tasks import config; from bench.tasks.task_base.task import make_task; import hashlib\n"
        "t = make_task(config()); b = t.batch(400)\n"
        "print(hashlib.sha256(b.ids.numpy().tobytes() + b.targets.numpy().tobytes()).hexdigest())"
    )
    run = [subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True) for _ in range(2)]
    batch = make_task(config()).batch(400)  # of the second epoch
    here = hashlib.sha256(batch.ids.numpy().tobytes() + batch.targets.numpy().tobytes()).hexdigest()
    assert {done.stdout.strip() for done in run} == {here}


def test_an_epoch_sees_no_sample_twice() -> None:
    task = make_task(config("synthetic"))
    steps = len(task.train) // 32
    rows = torch.cat([task.batch(step).ids for step in range(steps)])
    known = {tuple(row.tolist()) for row in task.train.ids}
    seen = [tuple(row.tolist()) for row in rows]
    assert len(set(seen)) == len(seen) == steps * 32
    assert set(seen) <= known
    assert not torch.equal(task.batch(0).ids, task.batch(steps).ids)


def test_bytes_and_next_tokens() -> None:
    task = make_task(config("lm", "lm"))
    batch = task.batch(0)
    assert int(batch.ids.max()) <= 256
    assert torch.equal(batch.ids != 0, batch.mask)
    assert torch.equal(batch.targets[:, :-1][batch.mask[:, 1:]], batch.ids[:, 1:][batch.mask[:, 1:]])
    assert (batch.targets[:, -1] == -100).all()
    assert (batch.targets[:, :-1][~batch.mask[:, 1:]] == -100).all()


def test_validation_in_order_and_limited() -> None:
    task = make_task(config("synthetic"))
    assert [len(batch) for batch in task.validation(16, 40)] == [16, 16, 8]
    assert sum(len(batch) for batch in task.validation(64, 10)) == 10


def test_tokens_are_those_of_the_checkpoints_tokenizer() -> None:
    """Fixed length, cut with the end token kept, as the reference library does it."""
    folder = checkpoint_dir(PACKAGE)
    transformers = pytest.importorskip("transformers", reason="the reference tokenizer is not installed")
    task = make_task(config(checkpoint=str(folder), vocab=30522, seq=16))
    texts = [review.text for review in split(read_reviews())[1][:50]]
    reference = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]")
    expected = reference(texts, padding="max_length", truncation=True, max_length=16, return_tensors="pt")
    assert torch.equal(task.held_out.ids[:50], expected["input_ids"])
    assert torch.equal(task.held_out.mask[:50], expected["attention_mask"].bool())


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown task review; known are lm, reviews, synthetic; did you mean reviews"):
        make_task(config("review"))
    with pytest.raises(UserError, match=r"train\.batch=300 is larger than the 200 training samples of synthetic"):
        make_task(config("synthetic", batch=300))
    with pytest.raises(UserError, match=r"tokenizer\.json does not exist"):
        make_task(config(checkpoint=str(tmp_path)))


def test_weights_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"python -m bench\.fetch"):
        checkpoint_dir(PACKAGE, tmp_path)
    with pytest.raises(UserError, match="is no folder"):
        checkpoint_dir("bert-base", tmp_path)
    folder = tmp_path / PACKAGE
    folder.mkdir()
    file = folder / WEIGHTS_FILE
    file.write_bytes(b"half of it")
    assert checkpoint_dir(PACKAGE, tmp_path) == folder
    with pytest.raises(UserError, match=r"has SHA-256 .*truncated or another"):
        check_sha256(file, "0" * 64)
    check_sha256(file, hashlib.sha256(b"half of it").hexdigest())
