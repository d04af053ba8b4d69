"""Searches through the command line, with points that end at once as a table says: budget, resume, failures, repeats, log."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.campaign import campaign_loop
from bench.commands import run_command
from bench.common.atomic_files import write_json
from bench.config.point_config import PointConfig
from bench.record.record import Record
from bench.record.record_file import load_record
from tests.command_line import environment
from tests.records import make_record

WORDS = ("-m", "strategy=data,tensor,pipeline", "ranks=1,2", "train.batch=8,16,32", "study=s", "model=gpt2-tiny", "task=lm")
Bench = Callable[..., tuple[int, list[str], str]]


class Machine:
    """Ends points as it is told, and keeps their names; ``crash_after`` ends the whole program after so many."""

    def __init__(self) -> None:
        self.launched: list[str] = []
        self.crash_after: int | None = None
        self.status: Callable[[PointConfig], str] = lambda point: "ok"

    def launch(self, point: PointConfig) -> Record:
        if self.crash_after == len(self.launched):
            raise SystemExit("killed")
        self.launched.append(point.point)
        status = self.status(point)
        slow = {"data": 1.0, "tensor": 1.3, "pipeline": 2.5}[point.strategy.name] * (1 + 0.002 * point.repeat)
        made = make_record(point.strategy.name, status=status, reason=None if status == "ok" else "why", ranks=point.ranks)
        made["point"].update(name=point.point, hash=point.hash, repeat=point.repeat, order=point.order, study="s")
        made["environment"]["overrides"] = list(point.overrides or ())
        if status == "ok":
            step_s = slow * point.train.batch / point.ranks**0.8 / 10
            made["time"]["step_s"]["median"] = step_s
            made["time"]["samples_per_s"] = point.train.batch / step_s
            made["energy"]["per_sample_J"] = slow * point.ranks**0.4 * (1 + 16 / point.train.batch)
        write_json(point.folder / "result.json", made)
        return load_record(point.folder / "result.json")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(campaign_loop, "launch", made.launch)
    return made


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Bench:
    """Run the command line in this process: (exit code, lines of output, errors)."""

    def run(*words: str) -> tuple[int, list[str], str]:
        monkeypatch.chdir(tmp_path)
        for name, value in environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("HYDRA_FULL_ERROR", "")
        monkeypatch.delenv("HYDRA_FULL_ERROR")
        monkeypatch.setattr(sys, "argv", ["bench", *words])
        try:
            code = run_command.main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else -1
        output, errors = capfd.readouterr()
        return code, output.splitlines(), errors

    return run


def search_log(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "results/s/search.json").read_text())
    return read


def test_a_budget_of_points_runs_and_the_log_says_why(bench: Bench, machine: Machine, tmp_path: Path) -> None:
    code, lines, errors = bench(*WORDS, "campaign.search.budget=7")
    assert (code, errors) == (0, "")
    assert len(machine.launched) == len(set(machine.launched)) == 7
    log = search_log(tmp_path)
    assert [one["point"] for one in log["choices"]] == machine.launched
    assert (log["combinations"], log["budget"], log["seed"], log["tried"], log["sampler"]) == (18, 7, 0, 7, "gp")
    assert log["choices"][0]["why"] == "start: every level equally often"
    assert log["choices"][-1]["why"] == "gp, told 6 combinations"
    assert any("front: " in line and "11 not tried (campaign.search.budget=7)" in line for line in lines)
    assert set(log["front"]) <= set(machine.launched)
    planned = json.loads((tmp_path / "results/s/study.json").read_text())["planned"]
    assert planned == sorted(machine.launched)


def test_a_killed_search_goes_on_as_if_it_had_not_been(bench: Bench, machine: Machine, tmp_path: Path) -> None:
    """The point that was asked for when it died runs first, finished ones are told, and the choices are those of one run."""
    bench(*WORDS, "campaign.search.budget=9", "study=whole")
    whole, machine.launched = list(machine.launched), []
    machine.crash_after = 5
    bench(*WORDS, "campaign.search.budget=9")
    assert len(machine.launched) == 5
    assert len(search_log(tmp_path)["choices"]) == 6
    machine.crash_after = None
    code, lines, _ = bench(*WORDS, "campaign.search.budget=9")
    assert code == 0
    assert machine.launched == whole
    assert sum("finished before" in line for line in lines) == 5
    code, _, _ = bench(*WORDS, "campaign.search.budget=9")
    assert (code, machine.launched) == (0, whole)  # nothing is left to do
    bench(*WORDS, "campaign.search.budget=11")
    assert len(machine.launched) == 11


def test_out_of_memory_and_failures_count_and_are_not_tried_again(bench: Bench, machine: Machine, tmp_path: Path) -> None:
    machine.status = lambda point: "oom" if point.train.batch == 32 else "failed" if point.strategy.name == "pipeline" else "ok"
    code, lines, _ = bench(*WORDS, "campaign.search.budget=8")
    assert code == 1  # as in every campaign: a point failed
    assert len(machine.launched) == 8
    assert " without a valid result, " in next(line for line in lines if line.startswith("front: "))
    failed = [
        name
        for name in machine.launched
        if json.loads((tmp_path / f"results/s/{name}/result.json").read_text())["status"] == "failed"
    ]
    assert failed
    code, lines, _ = bench(*WORDS, "campaign.search.budget=8")
    assert (code, len(machine.launched)) == (1, 8)
    assert sum("not tried again without campaign.search.retry_failed=true" in line for line in lines) == len(failed)
    machine.status = lambda point: "oom" if point.train.batch == 32 else "ok"
    code, _, _ = bench(*WORDS, "campaign.search.budget=8", "campaign.search.retry_failed=true")
    assert code == 0
    assert sorted(machine.launched[8:]) == sorted(failed)


def test_repeats_go_to_what_may_be_on_the_front(bench: Bench, machine: Machine, tmp_path: Path) -> None:
    code, _, _ = bench(*WORDS, "campaign.search.budget=10", "repeats=3")
    assert code == 0
    log = search_log(tmp_path)
    first, further = machine.launched[:10], machine.launched[10:]
    assert all("-r0-" in name for name in first)
    assert sorted(further) == sorted(one["point"] for one in log["repeats"])
    repeated = {name.replace("-r1-", "-r0-").replace("-r2-", "-r0-") for name in further}
    assert set(log["front"]) <= repeated
    assert repeated < set(first)  # clearly dominated points have none
    assert {name for name in repeated if name.startswith("pipeline")} == set()
    launched = list(machine.launched)
    bench(*WORDS, "campaign.search.budget=10", "repeats=3")
    assert machine.launched == launched


def test_what_a_grid_measured_before_is_told(bench: Bench, machine: Machine, tmp_path: Path) -> None:
    """Points of a sweep in the same study count, whatever words made the rest of them."""
    bench(*WORDS[:2], "ranks=2", "train.batch=8", *WORDS[4:])
    assert len(machine.launched) == 3
    code, _, _ = bench(*WORDS, "campaign.search.budget=5")
    assert (code, len(machine.launched)) == (0, 5)
    assert [one["why"] for one in search_log(tmp_path)["choices"]][:3] == ["ran before this search"] * 3


def test_what_cannot_run_is_written_down_and_costs_nothing(bench: Bench, machine: Machine, tmp_path: Path) -> None:
    """There are slots for two ranks; a condition leaves out one strategy on one batch."""
    words = (
        "-m",
        "strategy=tensor,data",
        "ranks=2,3",
        "train.batch=8,16",
        *WORDS[4:],
        "campaign.exclude=['train.batch == 16 and strategy == data']",
    )
    code, lines, _ = bench(*words, "campaign.search.budget=20")
    assert code == 0
    assert len(machine.launched) == 3
    refused = [one["refused"] for one in search_log(tmp_path)["choices"] if one["refused"]]
    assert len(refused) == 5
    assert sum(why.startswith("excluded by: ") for why in refused) == 2
    assert any("5 combinations cannot run, 0 not tried" in line for line in lines)


def test_the_task_has_its_objectives_as_value(bench: Bench, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any sweeper of Hydra gets them from the launcher; without a valid result they are infinite, and the sweep goes on."""
    from hydra_plugins.edgejoule_campaign.campaign import CampaignLauncher

    seen: list[tuple[float, ...]] = []
    launch = CampaignLauncher.launch

    def spied(self: CampaignLauncher, job_overrides: Any, initial_job_idx: int) -> Any:
        returned = launch(self, job_overrides, initial_job_idx)
        seen.extend(one.return_value for one in returned)
        return returned

    monkeypatch.setattr(CampaignLauncher, "launch", spied)
    machine.status = lambda point: {"data": "ok", "tensor": "oom", "pipeline": "failed"}[point.strategy.name]
    code, _, _ = bench("-m", "strategy=data,tensor,pipeline", "ranks=1", "train.batch=10", *WORDS[4:])
    assert code == 1
    assert seen == [(pytest.approx(1.0), pytest.approx(2.6)), (math.inf, math.inf), (math.inf, math.inf)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("campaign.search.budget=0",), "campaign.search.budget=0 must be null or a whole number of at least 1"),
        (
            ("campaign.search.budget=2", "campaign.search.sampler=nsga"),
            "campaign.search.sampler=nsga is unknown; use gp, tpe or random",
        ),
        (("campaign.search.budget=2", "repeats=1,2"), "campaign.search cannot choose repeats"),
        (("campaign.search.budget=2", "train.lr=choice()"), "empty choice is not legal"),
        (("campaign.search.budget=2", "train.lr=1,-1"), "train.lr=-1 must be a positive number"),
        (("campaign.search.budget=2", "energy=none"), "campaign.search.objectives has sample_J, but energy=none measures none"),
        (("campaign.search.budget=2", "campaign.search.objectives=[step_s,step_s]"), "names one twice"),
        (("campaign.search.budget=2", "hydra/sweeper=basic"), "campaign.search needs a sweep by the suite's own sweeper"),
        (("campaign.search.budget=2", "strategy=tensor", "ranks=3", "train.batch=8,16"), "none of 50 combinations can run"),
    ],
)
def test_bad_input_is_one_line(bench: Bench, machine: Machine, words: tuple[str, ...], message: str) -> None:
    code, _, errors = bench(*WORDS, *words)
    assert (code, machine.launched) == (2, [])
    assert message in errors
    assert len(errors.splitlines()) == 1


def test_optuna_is_asked_for_before_anything_runs(bench: Bench, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, _, errors = bench(*WORDS, "campaign.search.budget=2")
    assert (code, machine.launched) == (2, [])
    assert errors == "error: campaign.search needs Optuna, which is not installed; pip install 'optuna>=5'\n"
