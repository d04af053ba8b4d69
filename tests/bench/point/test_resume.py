"""What a point that saves or resumes is called, and what of it a campaign would skip."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from bench.common import paths
from bench.common.atomic_files import write_json
from bench.common.user_error import UserError
from bench.config.point_config import PointConfig
from bench.point import hydra_compose, resolved_point
from tests.checkpoint_files import make_checkpoint
from tests.records import make_record


def resolve(tmp_path: Path, *overrides: str) -> PointConfig:
    hydra_compose.register()
    with initialize_config_dir(str(paths.CONF), version_base="1.3"):
        plain = hydra_compose.to_plain(compose("config", overrides=["model=gpt2-tiny", "task=lm", *overrides]))
    return resolved_point.resolve(plain, None, tmp_path / "results")


def test_a_resumed_point_is_named_by_what_the_checkpoint_holds(tmp_path: Path) -> None:
    plain = resolve(tmp_path)
    spec = plain.model.spec
    make_checkpoint(tmp_path / "six", spec, steps=6)
    make_checkpoint(tmp_path / "elsewhere", spec, steps=6)
    make_checkpoint(tmp_path / "seven", spec, steps=7)
    six, elsewhere, seven = (resolve(tmp_path, f"train.resume={tmp_path / name}") for name in ("six", "elsewhere", "seven"))
    assert len({plain.point, six.point, seven.point}) == 3
    assert six.point == elsewhere.point
    assert resolve(tmp_path, f"train.save={tmp_path / 'new'}").point == plain.point


def test_folders_are_those_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranks start elsewhere."""
    monkeypatch.chdir(tmp_path)
    make_checkpoint(tmp_path / "old", resolve(tmp_path).model.spec)
    train = resolve(tmp_path, "train.resume=old", "train.save=new").train
    assert (train.resume, train.save) == (str(tmp_path / "old"), str(tmp_path / "new"))


def test_a_finished_point_that_would_save_nothing_is_refused(tmp_path: Path) -> None:
    save = f"train.save={tmp_path / 'saved'}"
    point = resolve(tmp_path, save)
    write_json(point.folder / "result.json", make_record())
    with pytest.raises(UserError, match=r"is finished and would not run again, so .*saved would not be saved; choose another"):
        resolve(tmp_path, save)
    make_checkpoint(tmp_path / "saved", point.model.spec)
    assert resolve(tmp_path, save) == point
