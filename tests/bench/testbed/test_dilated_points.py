"""Points on dilated boards through the ordinary command line: the same training, told in the boards' time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.emulation.real_boards import Boards, nothing_left
from tests.bench.testbed.test_emulated_points import FREE, TINY, bench, records

pytestmark = pytest.mark.machine


def test_dilation_changes_the_time_and_not_the_training(tmp_path: Path) -> None:
    """Losses and counted bytes are equal with and without; window, factor, latency and the true rate of links are told."""
    with Boards.of(tmp_path, 2, FREE + ", cpus: [0]") as boards:
        done = bench(tmp_path, boards, "-m", "strategy=tensor", "cluster.dilation=none,4", "task=lm", *TINY)
        assert done.returncode == 0, done.stdout + done.stderr
        assert nothing_left(boards.name) == []
    found = records(tmp_path)
    assert [record["status"] for record in found] == ["ok"] * 2
    assert [rank["affinity"] for record in found for rank in record["environment"]["ranks"]] == [[0]] * 4
    (plain,) = [record for record in found if "dilation" not in record]
    (dilated,) = [record for record in found if "dilation" in record]
    assert dilated["learning"]["curve"]["loss"] == plain["learning"]["curve"]["loss"]
    assert dilated["traffic"] == plain["traffic"]
    about, time = dilated["dilation"], dilated["time"]
    assert (about["factor"], about["low"], about["high"], about["source"]) == (4.0, 4.0, 4.0, "given as a number")
    assert about["machine_window_s"] == pytest.approx(4 * time["window_s"])
    assert about["latency_by"] in ("netem", "receives")
    if about["latency_by"] == "receives":
        assert about["receive_delay_s"] == pytest.approx(3 * about["latency_s"])
    assert {link["rate_bit_s"] for link in dilated["point"]["network"]["links"]} == {1e9}
    assert time["samples_per_s"] == pytest.approx(time["samples"] / time["window_s"])
    assert sum(time["by_phase"].values()) == pytest.approx(time["window_s"] / time["steps"])


def test_what_dilated_boards_refuse(tmp_path: Path) -> None:
    """Readings of this machine are in its time, not in the boards'."""
    with Boards.of(tmp_path, 2, FREE) as boards:
        for words, message in (
            (["energy.source=modelled"], "energy.source=modelled reads in this machine's time, and the boards are dilated"),
            (["cluster.dilation=class"], "dilation=class needs boards with a share of this machine"),
        ):
            asked = [*TINY, "energy=auto", "cluster.dilation=4", *words]
            asked = [word for word in asked if word != "energy=none"]
            done = bench(tmp_path, boards, "strategy=data", "task=lm", *asked)
            assert done.returncode == 2, done.stdout + done.stderr
            assert message in done.stderr
            assert done.stderr.count("\n") == 1
