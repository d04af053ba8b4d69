"""From the composed configuration to one point: plain, complete, checked. No Hydra and no MPI in here."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.cluster import participants as launch_cluster
from bench.cluster.board_class import BoardClass
from bench.cluster.board_files import load_board
from bench.cluster.inventory import check_slots
from bench.common import paths
from bench.common.user_error import UserError
from bench.common.weight_files import WEIGHTS_FILE, check_sha256, checkpoint_dir
from bench.config.config_check import read_run_config
from bench.config.config_json import to_json
from bench.config.host_config import Host
from bench.config.point_config import SCHEMA, PointConfig, PointPaths
from bench.emulation.emulated_boards import resolve_cluster
from bench.energy.sampling.energy_settings import energy_settings
from bench.faults.fault_settings import fault_settings
from bench.power_modes.mode_choice import by_board
from bench.power_modes.mode_choice import resolve as power_mode
from bench.prediction import planned_shares as planner
from bench.record.study_folder import finished
from strategies.base import check_options, get
from strategies.plan.checkpoint_manifest import Checkpoint, check_target
from strategies.plan.model_spec import ModelSpec
from strategies.plan.shapes import MeshShape, Plan, StepShape

NO_HOSTFILE = Path(os.devnull)  # has no meters
MEANINGFUL = (
    *("strategy", "ranks", "mesh", "model", "task", "train", "comm", "device", "threads", "window_s", "idle_s", "warmup"),
    *("eval_samples", "seed", "smoke", "cluster", "energy", "board", "boards"),
)
SMOKE = {"window_s": 2.0, "idle_s": 0.5, "eval_samples": 64}


def resolve(plain: Mapping[str, Any], experiment: str | None, results: Path, ranks: int | None = None) -> PointConfig:
    """The configuration of one point, as the worker reads it (repeat 0). Pure but for reading files; nothing is written.

    Args:
        plain: The composed configuration as plain values.
        experiment: The name of its file in conf/experiment, null for none.
        results: The folder of all studies.
        ranks: The size of an mpirun that is running already.

    Raises:
        UserError, PlanError: One line each, for everything that could not run.
    """
    cfg = to_json(read_run_config(plain))
    options = dict(cfg["strategy"])
    strategy = get(options.pop("name"))
    options = check_options(strategy, options)
    wanted = _ranks(cfg, strategy.name, ranks)
    mesh = strategy.mesh_for(wanted, cfg["mesh"])
    comm = {**cfg["comm"], "progress": cfg["comm"]["progress"] or strategy.default_progress}
    cluster, boards = cluster_of(cfg)
    hosts = [Host(**host) for host in cluster["hosts"]]
    check_slots(wanted, hosts, cfg["cluster"]["name"], cfg["cluster"]["oversubscribe"])
    train = {
        **cfg["train"],
        "micro_batches": strategy.micro_batches(cfg["train"]["micro_batches"], mesh),
        **{key: _absolute(cfg["train"][key]) for key in ("save", "resume")},
    }
    config: dict[str, Any] = {
        "schema": SCHEMA,
        "study": str(cfg["study"]),
        "experiment": experiment,
        "repeat": 0,
        "order": 0,
        "strategy": {"name": strategy.name, **options},
        "ranks": wanted,
        "mesh": dict(mesh.__dict__),
        "model": _model(cfg),
        "task": dict(cfg["task"]),
        "train": train,
        "comm": comm,
        **{key: cfg[key] for key in ("device", "threads", "window_s", "idle_s", "warmup", "eval_samples", "seed", "smoke")},
        "cluster": cluster,
        "boards": {name: board.to_dict() for name, board in boards.items()},
        "board": {"power_mode": power_mode(cfg["board"]["power_mode"], boards)},
        "energy": energy_settings(cfg["energy"], cluster["inventory"], hostfile_of(cfg) or NO_HOSTFILE).to_dict(),
        "timeout_s": cfg["timeout_s"],
    }
    if config["smoke"]:
        config.update({key: min(value, config[key] or value) for key, value in SMOKE.items()})
    profile = planner.profile_of(cfg["planner"], config)
    config["strategy"] = planner.with_shares(cfg["planner"], profile, config)
    plan = plan_of(config)
    if profile is not None:
        config["predicted"] = planner.block(cfg["planner"], profile, config, plan)
    fault = fault_settings(cfg["fault"], config)
    if fault is not None:  # without one a point is what it was before there were any
        config["fault"] = fault
    config["hash"] = _hash(config, _resumed(config))
    point = named(PointConfig.from_json({**config, "point": "", "paths": {"point": ""}}, "the point"), results, 0)
    _check_save(point, by_hand=ranks is not None)
    return point


def cluster_of(cfg: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, BoardClass]]:
    """The ``cluster`` block of a point, with the hosts that take part in their order, and its inventory's board classes.

    Raises:
        UserError: The block, the inventory or a class cannot be used.
    """
    given = launch_cluster.checked(cfg["cluster"])
    inventory = launch_cluster.inventory_of(given, hostfile_of(cfg), os.environ)
    boards = {name: load_board(name, paths.conf_folders("board")) for name in sorted({host.board for host in inventory.hosts})}
    if inventory.emulated is not None:  # nothing is set on this machine: the mode is in the boards' speed and watts
        chosen = by_board(power_mode(cfg["board"]["power_mode"], boards), boards)
        boards.update({name: boards[name].in_mode(mode) for name, mode in chosen.items()})
    # All boards are emulated whoever takes part, so that a board's speed does not depend on who else does.
    block = resolve_cluster(given, inventory, boards, paths.conf_folders("link"), os.cpu_count() or 1, cfg["threads"])
    return launch_cluster.choose(block, given), boards


def hostfile_of(cfg: Mapping[str, Any]) -> Path | None:
    """The inventory's file: as given from the working folder, else the suite's own. None: there is none."""
    given = cfg["cluster"]["hostfile"]
    return None if given is None else paths.resource(str(given))


def named(point: PointConfig, results: Path, repeat: int) -> PointConfig:
    """The same point as repeat ``repeat``; its name and folder come from the configuration, never from the clock."""
    name = f"{point.strategy.name}-n{point.ranks}-{point.model.name}-{point.task.name}-r{repeat}-{point.hash}"
    return replace(point, repeat=repeat, point=name, paths=PointPaths(str((results / point.study / name).absolute())))


def plan_of(config: Mapping[str, Any]) -> Plan:
    """The strategy's plan of a point. Raises PlanError for what cannot run."""
    options, train = dict(config["strategy"]), config["train"]
    strategy = get(options.pop("name"))
    spec = ModelSpec.from_dict(config["model"]["spec"])
    return strategy.plan(spec, StepShape.of(train), MeshShape(**config["mesh"]), options)


def _ranks(cfg: Mapping[str, Any], strategy: str, running: int | None) -> int:
    if strategy == "single":
        if running is not None and running != 1:
            raise UserError(f"strategy=single runs one rank, but mpirun started {running}; use mpirun -n 1")
        return 1
    given: int = cfg["ranks"]
    if running is not None and running != given:
        raise UserError(f"ranks={given}, but mpirun started {running}; leave ranks= out or make them equal")
    return given


def model_spec(model: Mapping[str, Any], head: str, labels: int) -> ModelSpec:
    """A model of ``conf/model`` with the head that a task needs; a classifier's is its own."""
    spec = {**model["spec"], "name": model["name"], "head": head, "labels": labels}
    return ModelSpec.from_dict({**spec, "tied": False} if head == "classifier" else spec)


def _model(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """The model with the head that the task needs, and the folder of its checkpoint."""
    model, task = cfg["model"], cfg["task"]
    given = model["checkpoint"]
    checkpoint = None if given is None else checkpoint_dir(str(given))
    if checkpoint is not None and model["sha256"]:
        check_sha256(checkpoint / WEIGHTS_FILE, model["sha256"])
    return {
        "name": model["name"],
        "spec": model_spec(model, task["head"], task["labels"]).to_dict(),
        "checkpoint": None if checkpoint is None else str(checkpoint),
        "sha256": model["sha256"] if checkpoint is not None else None,
    }


def _absolute(folder: Any) -> str | None:
    """A folder given from the working directory; ranks work in another."""
    return None if folder is None else str(Path(str(folder)).expanduser().absolute())


def _resumed(config: Mapping[str, Any]) -> Checkpoint | None:
    """The checkpoint that the point goes on from. Raises PlanError or UserError where it cannot."""
    train = config["train"]
    if train["resume"] is None:
        return None
    found = Checkpoint.read(Path(train["resume"]))
    found.check(ModelSpec.from_dict(config["model"]["spec"]), train["dtype"], train["optimizer"])
    if train["steps"] is not None and train["steps"] < found.steps + 2:
        raise UserError(
            f"train.steps={train['steps']} counts the {found.steps} steps of {found.folder} too; use null or at least "
            f"{found.steps + 2} (one to warm up, one to time)"
        )
    return found


def _check_save(point: PointConfig, by_hand: bool) -> None:
    """Raise PlanError where no checkpoint can be saved, and UserError where none would be: a campaign skips finished points."""
    folder, save = point.folder, point.train.save
    if save is None:
        return
    check_target(Path(save))
    if not by_hand and not Path(save).exists() and finished(folder):
        raise UserError(
            f"{folder} is finished and would not run again, so {save} would not be saved; choose another study= or move that "
            "folder away"
        )


def _hash(config: Mapping[str, Any], resumed: Checkpoint | None) -> str:
    """Eight digits of what matters for the result.

    Weights count by name and hash and a resumed checkpoint by what it holds, not by where they lie.
    """
    chosen = {key: config[key] for key in (*MEANINGFUL, "fault") if key in config}
    chosen["cluster"] = launch_cluster.meaning(config["cluster"])
    chosen["train"] = {key: value for key, value in config["train"].items() if key not in ("save", "resume")}
    if resumed is not None:
        chosen["train"]["resume"] = resumed.digest
    checkpoint = config["model"]["checkpoint"]
    chosen["model"] = {**config["model"], "checkpoint": Path(checkpoint).name if checkpoint else None}
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:8]
