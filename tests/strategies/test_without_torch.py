"""Planning imports neither torch nor MPI: a launch host has the command line up in a moment, and a report needs no torch."""

from __future__ import annotations

import json
import subprocess
import sys

from strategies.base import check_options, registered
from tests.strategies.plan.test_placements import MINILM, STEP

PLAN_ALL = """
import json, sys
sys.modules["torch"] = sys.modules["mpi4py"] = None  # any import of them fails
from strategies.base import check_options, registered
from strategies.comm.comm_options import CommOptions
from strategies.plan.checkpoint_manifest import Checkpoint
from strategies.plan.model_spec import ModelSpec
from strategies.plan.shapes import StepShape
import bench.prediction.step_cost

spec, step = ModelSpec.from_dict(json.loads(sys.argv[1])), StepShape(*json.loads(sys.argv[2]))
traffic = {}
for name, strategy in registered().items():
    mesh = strategy.mesh_for(2 if strategy.axes else 1, {"pipeline": 2} if len(strategy.axes) > 1 else {})
    plan = strategy.plan(spec, step, mesh, check_options(strategy, {}))
    traffic[name] = {volume.key: volume.payload_bytes for volume in plan.volumes}
print(json.dumps(traffic))
"""


def test_every_strategy_is_planned_where_there_is_no_torch() -> None:
    """All are found, and their traffic is what it is with torch."""
    step = json.dumps([STEP.batch, STEP.seq, STEP.micro_batches])
    command = [sys.executable, "-c", PLAN_ALL, json.dumps(MINILM.to_dict()), step]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    planned = json.loads(done.stdout)
    assert set(planned) == set(registered())
    assert len(planned) >= 7
    for name, traffic in planned.items():
        strategy = registered()[name]
        mesh = strategy.mesh_for(2 if strategy.axes else 1, {"pipeline": 2} if len(strategy.axes) > 1 else {})
        volumes = strategy.plan(MINILM, STEP, mesh, check_options(strategy, {})).volumes
        assert traffic == {volume.key: volume.payload_bytes for volume in volumes}
        assert traffic or name == "single"
