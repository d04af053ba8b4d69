"""A resolved point: written and read as the same classes, strictly; names and hashes are those of older versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.cluster.board_class import BoardClass
from bench.cluster.board_power import BoardPower
from bench.common.sourced_number import SourcedNumber
from bench.common.user_error import UserError
from bench.config.point_config import PointConfig
from bench.point import hydra_compose, resolved_point
from tests.points import make_point

TINY = "model=gpt2-tiny task=lm"
SPIN = "comm.wait=spin comm.all_reduce=mpi"
THREAD, INLINE = f"{SPIN} comm.progress=thread", f"{SPIN} comm.progress=inline"
"""What the defaults were before there was ``auto``: of data and sequence parallelism, and of all others."""
HASHES = {
    f"{TINY} {THREAD}": "86be1af4",
    f"strategy=single model=gpt2-tiny task=synthetic {INLINE}": "47465307",
    f"strategy=tensor model=llama-tiny task=lm smoke=true {INLINE}": "ea6bbf62",
    f"strategy=hybrid ranks=4 mesh.data=2 mesh.tensor=2 cluster.oversubscribe=true {TINY} {INLINE}": "c4fc7c12",
    f"strategy=data ranks=3 cluster.oversubscribe=true fault.rank=1 {TINY} energy.source=none {THREAD}": "aab7a998",
    f"strategy=data {TINY} {THREAD} comm.wait=poll comm.all_reduce=ring threads=1 energy=modelled": "50150f20",
    f"cluster=emulated4 ranks=4 {TINY} {THREAD}": "bbdfaf11",
    f"cluster=two-boards {TINY} {THREAD}": "709cc1f5",
    f"strategy=sequence {TINY} energy.carbon.g_per_kWh=300 energy.carbon.source=me cluster.env={{A:b}} {THREAD}": "07ffb499",
    f"cluster=emulated-switches ranks=4 {TINY} cluster.order=reverse cluster.link=wifi-5 {THREAD}": "d587defe",
}
"""Of points as they were named before the configuration had classes, on two cores and boards of one description."""
AUTO_HASHES = {TINY: "7002cd2f", f"strategy=pipeline {TINY}": "f95d31ff"}
"""Of points as they are named since progress, wait and all-reduce are ``auto`` where nothing else is given."""


def fixed_board(name: str, _: object) -> BoardClass:
    """One description for all classes: conf/board may learn more of them without renaming the points here."""
    power = BoardPower(SourcedNumber(6.0, "x"), SourcedNumber(20.0, "x"))
    return BoardClass(name, "fixed", SourcedNumber(4, "x"), SourcedNumber(8_000_000_000, "x"), power=power)


@pytest.fixture
def resolve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setattr(resolved_point, "load_board", fixed_board)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    return lambda line: resolved_point.resolve(hydra_compose.composed(line.split()), None, tmp_path)


@pytest.mark.parametrize("line", HASHES, ids=HASHES.values())
def test_hashes_are_those_of_older_studies(line: str, resolve) -> None:  # type: ignore[no-untyped-def]
    """A study that was begun with an older version finds its points finished. Each is read back as it was written."""
    point = resolve(line)
    assert point.hash == HASHES[line]
    assert PointConfig.from_json(json.loads(json.dumps(point.to_json()))) == point


@pytest.mark.parametrize("line", AUTO_HASHES)
def test_auto_is_another_point_than_what_was_the_default_before(line: str, resolve) -> None:  # type: ignore[no-untyped-def]
    """A point that ran inline is not the one that runs as auto decides: neither is taken for the other. Null means auto."""
    point = resolve(line)
    assert point.hash == AUTO_HASHES[line] == resolve(f"{line} comm.progress=null").hash
    assert point.hash not in {resolve(f"{line} {given}").hash for given in (THREAD, INLINE)}
    assert vars(point.comm) == {"wait": "auto", "progress": "auto", "all_reduce": "auto", "cuda": "staged"}


def test_the_name_says_what_a_point_is(resolve) -> None:  # type: ignore[no-untyped-def]
    assert resolve(f"{TINY} {THREAD}").point == "data-n2-gpt2-tiny-lm-r0-86be1af4"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, "config.json has the unknown key extra; it was written by another version"),
        ({"train": {"bacth": 1}}, "config.json: train has the unknown key bacth"),
        ({"ranks": "2"}, "config.json: ranks must be of type int, found '2'"),
        ({"smoke": 1}, "config.json: smoke must be of type bool, found 1"),
        ({"cluster": {"hosts": [{"slots": 1}]}}, "config.json: cluster: hosts has no address"),
        ({"train": 5}, "config.json: train must be an object, found '5'"),
    ],
)
def test_reading_is_strict(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        make_point(**change)
    assert str(caught.value).startswith(message)


def test_a_missing_key_is_named() -> None:
    plain = make_point().to_json()
    del plain["train"]["seq"]
    with pytest.raises(UserError, match=r"^config\.json: train has no seq; it was written by another version"):
        PointConfig.from_json(plain)


def test_what_is_absent_is_not_written() -> None:
    plain = make_point().to_json()
    assert not {"fault", "predicted", "run_id", "command", "overrides"} & set(plain)
    assert "link" not in plain["cluster"]
    assert "samples" not in plain["task"]
