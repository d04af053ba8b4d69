"""What a dry run says about the schedule of a pipeline."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.commands import run_command


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """What ``python -m bench LINE dry_run=true`` prints, as lines."""

    def run(line: str) -> list[str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HYDRA_FULL_ERROR", "")  # remembered as absent, for the command sets it
        monkeypatch.delenv("HYDRA_FULL_ERROR")
        monkeypatch.setattr(sys, "argv", ["bench", *line.split(), "model.checkpoint=null", "dry_run=true"])
        assert run_command.main() == 0
        return capsys.readouterr().out.splitlines()

    return run


def test_the_order_of_each_stage_and_its_bubble_under_what_is_assumed(printed) -> None:  # type: ignore[no-untyped-def]
    """Four micro-batches on two stages: a bubble of (p-1)/(p-1+m) = 1/5."""
    lines = printed("strategy=pipeline")
    title = "Schedule 1f1b: bubble 20.0 % if stages are equal, backward is 2 x forward, messages are free"
    assert title in [line.strip() for line in lines]
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]
    assert ["0", "F0 F1 B0 F2 B1 F3 B2 B3"] in rows
    assert ["1", "F0 B0 F1 B1 F2 B2 F3 B3"] in rows


def test_a_long_order_is_cut_to_the_line(printed) -> None:  # type: ignore[no-untyped-def]
    lines = printed("strategy=pipeline strategy.schedule=zero_bubble train.micro_batches=32")
    orders = [line for line in lines if "F0 " in line]
    assert len(orders) == 2
    for order in orders:
        assert len(order) <= 140
        assert order.removesuffix("│").strip().endswith("...")


def test_hybrids_with_stages_have_a_schedule_and_others_none(printed) -> None:  # type: ignore[no-untyped-def]
    hybrid = "strategy=hybrid ranks=4 mesh.pipeline=2 mesh.data=2 cluster.oversubscribe=true strategy.schedule=gpipe"
    assert any(line.strip().startswith("Schedule gpipe: bubble") for line in printed(hybrid))
    assert not any("Schedule" in line for line in printed("strategy=data"))
