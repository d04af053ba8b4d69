"""A strategy, a schedule and a model family are one file each, also one that is not ours: a folder of plug-ins adds them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.common.paths import PROJECT
from strategies.common.registry import PLUGIN_FOLDERS
from tests import mpirun

STRATEGY = '''
"""Data parallelism along a chain: partial sums go from rank to rank, the sum goes back."""

from functools import partial

from strategies.base import register
from strategies.plan.model_spec import parameter_count
from strategies.plan.traffic import Volume
from strategies.plan.step_options import SampleOptions
from strategies.step.composition import ComposedStrategy


@register
class ChainParallel(ComposedStrategy):
    """Replicas in a row."""

    name = "chain"
    axes = ("data",)
    option_class = SampleOptions

    @classmethod
    def volumes(cls, spec, shape, placements, options):
        links = len(placements) - 1
        sent = 2 * links * parameter_count(spec) * shape.element_bytes
        yield Volume("data", "send", "backward", 2 * links, sent, float(sent))

    def make_gradients(self):
        from strategies.step.gradient_sync import WholeGradientSync

        return WholeGradientSync(self.module, partial(sum_along_chain, group=self.mesh.groups["data"]))


def sum_along_chain(flat, group):
    if group.rank > 0:
        flat += group.receive(flat.new_empty(flat.shape), group.rank - 1, tag=0).finish()
    if group.rank < group.size - 1:
        group.send(flat, group.rank + 1, tag=0).finish()
        group.receive(flat, group.rank + 1, tag=1).finish()
    if group.rank > 0:
        group.send(flat, group.rank - 1, tag=1).finish()
'''
SCHEDULE = '''
"""All forwards, then all backwards from the last to the first."""

from strategies.schedules import Backward, Forward, Schedule, register


@register
class LastFirst(Schedule):
    name = "last_first"

    @staticmethod
    def compute_order(stage, stages, micros, virtual=1):
        yield from map(Forward, range(micros))
        yield from map(Backward, reversed(range(micros)))
'''
FAMILY = '''
"""Checkpoints that have our own names, all of them below ``model``."""

from strategies.models.model_family import ModelFamily, Stored, register


@register
class Plain(ModelFamily):
    name = "plain"
    prefixes = ("model.",)
    classes = {}
    config_keys = {}

    @classmethod
    def stored(cls, name):
        return Stored(name)

    @classmethod
    def fixed_switches(cls, spec):
        return {}
'''
PLANNED = """
import json, sys
from strategies.base import appearances, check_options, registered
from strategies.schedules import live_micro_batches
from tests.strategies.plan.test_placements import MINILM, STEP

chain, pipeline = registered()["chain"], registered()["pipeline"]
plan = chain.plan(MINILM, STEP, chain.mesh_for(4, {}), check_options(chain, {"shares": [2, 1, 1, 1]}))
staged = pipeline.plan(MINILM, STEP, pipeline.mesh_for(2, {}), check_options(pipeline, {"schedule": "last_first"}))
looks = appearances()
others = [look for name, look in looks.items() if name != "chain"]
print(json.dumps({
    "keys": [volume.key for volume in plan.volumes],
    "samples": [placement.micro_samples[0] for placement in plan.placements],
    "last": list(looks)[-1],
    "own_look": all(looks["chain"].colour != o.colour and looks["chain"].marker != o.marker for o in others),
    "schedule": staged.options["schedule"],
    "live": live_micro_batches("last_first", 0, 2, 4),
}))
"""
READ = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from safetensors.torch import save_file
from strategies.models.pretrained_weights import WeightLoader
from strategies.plan.model_spec import parameters
from tests.strategies.plan.test_placements import TINY_LLAMA

spec, folder = replace(TINY_LLAMA, family="plain"), Path(sys.argv[1])
weights = {f"model.{p.name}": torch.randn(p.shape) for p in parameters(spec)}
save_file(weights, folder / "model.safetensors")
with WeightLoader(spec, folder, 0) as loader:
    for parameter in parameters(spec):
        whole = weights[f"model.{parameter.name}"]
        assert torch.equal(loader.read(parameter, None, torch.float32), whole)
        if parameter.split == 0:
            assert torch.equal(loader.read(parameter, (1, 3), torch.float32), whole[1:3])
    assert not loader.drawn
"""


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """A folder with one file of each kind."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "chain.py").write_text(STRATEGY)
    (folder / "last_first.py").write_text(SCHEDULE)
    (folder / "plain.py").write_text(FAMILY)
    return folder


def run(code: str, plugins: Path, *arguments: str) -> str:
    environment = {**os.environ, PLUGIN_FOLDERS: str(plugins)}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_strategy_and_a_schedule_from_outside_are_planned(plugins: Path) -> None:
    """With the traffic that it declares, options and refusals of the library, and a look that no other strategy has."""
    planned = json.loads(run(PLANNED, plugins))
    assert planned == {
        "keys": ["data.send.backward"],
        "samples": [4, 2, 2, 2],
        "last": "chain",
        "own_look": True,
        "schedule": "last_first",
        "live": 4,
    }


def test_a_checkpoint_of_a_family_from_outside_is_read_by_slices(plugins: Path, tmp_path: Path) -> None:
    run(READ, plugins, str(tmp_path))


@pytest.mark.machine
@pytest.mark.slow
def test_a_strategy_from_outside_equals_one_process(plugins: Path) -> None:
    """The same harness as for ours: losses, gradients, weights and bytes, of every model, on two ranks."""
    target = "tests/mpi/test_equality.py::test_equals_one_process"
    arguments = ("pytest", "-x", "--color=no", "-p", "no:cacheprovider", target, "-k", "chain")
    done = mpirun.run(2, *arguments, timeout_s=600, **{PLUGIN_FOLDERS: str(plugins)})
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    passed = [int(number) for number in re.findall(r"(\d+) passed", done.stdout)]
    assert len(passed) == 2
    assert min(passed) >= 12, "three models, under accumulation, polling and recomputation"
