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
from bench.cluster.board_power import named_by
from bench.cluster.inventory import check_slots
from bench.cluster.training_rate import TrainingRate
from bench.common import paths
from bench.common.user_error import UserError
from bench.common.weight_files import WEIGHTS_FILE, check_sha256, checkpoint_dir
from bench.config.board_config import BoardConfig
from bench.config.config_check import read_run_config
from bench.config.config_json import from_json, to_json
from bench.config.model_config import ModelConfig
from bench.config.point_cluster_config import PointCluster
from bench.config.point_config import SCHEMA, PointConfig, PointModel, PointPaths
from bench.config.run_config import RunConfig
from bench.config.strategy_config import StrategyConfig
from bench.emulation.emulated_boards import resolve_cluster
from bench.emulation.machine_threads import processors
from bench.emulation.shelf_training import at_work, training_rates
from bench.energy.sampling.energy_settings import energy_settings
from bench.faults.fault_settings import fault_settings
from bench.point.dilated_limits import check_unpredicted, in_board_time
from bench.power_modes.mode_choice import by_board
from bench.power_modes.mode_choice import resolve as power_mode
from bench.prediction import planned_shares
from bench.record.study_folder import finished
from strategies.base import check_options, get
from strategies.comm.comm_options import AUTO
from strategies.plan.checkpoint_manifest import Checkpoint, check_target
from strategies.plan.model_spec import ModelSpec
from strategies.plan.shapes import Plan

NO_HOSTFILE = Path(os.devnull)  # has no meters
MEANINGFUL = (
    *("strategy", "ranks", "mesh", "model", "task", "train", "comm", "device", "threads", "window_s", "idle_s", "warmup"),
    *("eval_samples", "seed", "smoke", "cluster", "energy", "board", "boards"),
)
LATER_OPTIONS = {"overlap": "auto"}
"""Options of strategies that came later: at their defaults they leave the names of points as they were."""
AS_GIVEN = ("device", "threads", "window_s", "idle_s", "warmup", "eval_samples", "seed", "smoke", "timeout_s")
SMOKE_WINDOW_S, SMOKE_IDLE_S, SMOKE_SAMPLES = 2.0, 0.5, 64


def resolve(plain: Mapping[str, Any], experiment: str | None, results: Path, ranks: int | None = None) -> PointConfig:
    """The configuration of one point, as the worker reads it (repeat 0). Pure but for reading files; nothing is written.

    Args:
        plain: The composed configuration as plain values.
        experiment: The name of its file in conf/experiment, null for none.
        results: The folder of all studies.
        ranks: The size of an mpirun that is running already; null: none runs.

    Returns:
        The point with its name, hash and folder.

    Raises:
        UserError, PlanError: One line each, for everything that could not run.
    """
    run = read_run_config(plain)
    point = _smoke(_point(run, experiment, ranks))
    profile = planned_shares.profile_of(run.planner, point)
    if profile is not None:
        check_unpredicted(point.cluster)
    point = replace(point, strategy=planned_shares.with_shares(run.planner, profile, point))
    plan = plan_of(point)
    if profile is not None:
        point = replace(point, predicted=planned_shares.block(run.planner, profile, point, plan))
    point = replace(point, fault=fault_settings(run.fault, point))  # None leaves a point what it was before there were any
    point = named(replace(point, hash=_hash(point, _resumed(point))), results, 0)
    _check_save(point, by_hand=ranks is not None)
    return point


def _point(run: RunConfig, experiment: str | None, running: int | None) -> PointConfig:
    """The point before its shares are planned; it has no name and no hash yet."""
    plain = to_json(run)
    strategy = get(run.strategy.name)
    ranks = _ranks(run, running)
    mesh = strategy.mesh_for(ranks, plain["mesh"])
    block, boards = cluster_of(plain)
    cluster = from_json(PointCluster, block, "the cluster")
    check_slots(ranks, cluster.hosts, cluster.name, cluster.oversubscribe)
    return PointConfig(
        schema=SCHEMA,
        study=run.study,
        experiment=experiment,
        repeat=0,
        order=0,
        strategy=StrategyConfig(strategy.name, check_options(strategy, run.strategy.options)),
        ranks=ranks,
        mesh=mesh,
        model=_model(run),
        task=run.task,
        train=replace(
            run.train,
            micro_batches=strategy.micro_batches(run.train.micro_batches, mesh, run.train.batch),
            save=_absolute(run.train.save),
            resume=_absolute(run.train.resume),
        ),
        comm=replace(run.comm, progress=run.comm.progress or AUTO),
        **{name: getattr(run, name) for name in AS_GIVEN},
        cluster=cluster,
        boards={name: replace(board, train_flop_s=()).to_dict() for name, board in boards.items()},
        board=BoardConfig(power_mode(run.board.power_mode, boards)),
        energy=in_board_time(
            energy_settings(plain["energy"], cluster.inventory, hostfile_of(plain) or NO_HOSTFILE), cluster
        ).to_dict(),
        hash="",
        point="",
        paths=PointPaths(""),
    )


def _smoke(point: PointConfig) -> PointConfig:
    """The point with a short window and few samples where it is a quick look."""
    if not point.smoke:
        return point
    return replace(
        point,
        window_s=min(SMOKE_WINDOW_S, point.window_s),
        idle_s=min(SMOKE_IDLE_S, point.idle_s or SMOKE_IDLE_S),
        eval_samples=min(SMOKE_SAMPLES, point.eval_samples or SMOKE_SAMPLES),
    )


def cluster_of(cfg: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, BoardClass]]:
    """The ``cluster`` block of a point and its inventory's board classes.

    Args:
        cfg: The composed configuration as plain values.

    Returns:
        The block, with the hosts that take part in their order, and the board classes by name.

    Raises:
        UserError: The block, the inventory or a class cannot be used.
    """
    cluster = launch_cluster.checked(cfg["cluster"])
    inventory = launch_cluster.inventory_of(cluster, hostfile_of(cfg), os.environ)
    boards = {name: load_board(name, paths.conf_folders("board")) for name in sorted({host.board for host in inventory.hosts})}
    rates: dict[str, TrainingRate] = {}
    chosen = by_board(power_mode(cfg["board"]["power_mode"], boards), boards)
    if inventory.emulated is None:
        device = "gpu" if cfg["device"] == "cuda" else "cpu"
        boards = {name: replace(board, device=device, power_mode=chosen.get(name)) for name, board in boards.items()}
    else:  # nothing is set on this machine: the mode is in the boards' speed and watts
        boards.update({name: boards[name].in_mode(mode) for name, mode in chosen.items()})
        rates = training_rates(cluster, inventory.emulated, inventory.hosts, boards, cfg["train"]["dtype"])
        boards = at_work(cluster, inventory.emulated, inventory.hosts, boards, rates)
    # All boards are emulated whoever takes part, so that a board's speed does not depend on who else does.
    cores, cpus, links = os.cpu_count() or 1, None, paths.conf_folders("link")
    if inventory.emulated is not None:
        cpus = processors(inventory.emulated.cpus, os.sched_getaffinity(0), bool(rates), Path("/"))
        cores = cores if cpus is None else len(cpus)
    block = resolve_cluster(cluster, inventory, boards, links, cores, cfg["threads"], rates, cpus)
    return launch_cluster.choose(block, cluster), boards


def hostfile_of(cfg: Mapping[str, Any]) -> Path | None:
    """The inventory's file.

    Args:
        cfg: The composed configuration as plain values.

    Returns:
        The file as given from the working folder, else the suite's own; None: no inventory.
    """
    hostfile = cfg["cluster"]["hostfile"]
    return None if hostfile is None else paths.resource(str(hostfile))


def named(point: PointConfig, results: Path, repeat: int) -> PointConfig:
    """The same point as another repeat; its name and folder come from the configuration, never from the clock.

    Args:
        point: A point with its hash.
        results: The folder of all studies.
        repeat: The repeat, from 0.

    Returns:
        The point with this repeat's name and folder.
    """
    name = f"{point.strategy.name}-n{point.ranks}-{point.model.name}-{point.task.name}-r{repeat}-{point.hash}"
    return replace(point, repeat=repeat, point=name, paths=PointPaths(str((results / point.study / name).absolute())))


def plan_of(point: PointConfig) -> Plan:
    """The strategy's plan of a point.

    Args:
        point: A resolved point.

    Returns:
        Placement, memory and traffic of one optimizer step.

    Raises:
        PlanError: The point cannot run.
    """
    return get(point.strategy.name).plan(point.model.spec, point.step_shape, point.mesh, dict(point.strategy.options))


def _ranks(run: RunConfig, running: int | None) -> int:
    """The ranks of a point; ``running`` are those that mpirun has started already. Raises UserError where they differ."""
    if run.strategy.name == "single":
        if running is not None and running != 1:
            raise UserError(f"strategy=single runs one rank, but mpirun started {running}; use mpirun -n 1")
        return 1
    if running is not None and running != run.ranks:
        raise UserError(f"ranks={run.ranks}, but mpirun started {running}; leave ranks= out or make them equal")
    return run.ranks


def model_spec(model: ModelConfig, head: str, labels: int) -> ModelSpec:
    """A model of ``conf/model`` with the head that a task needs; a classifier's is its own.

    Args:
        model: Its name and its sizes and switches count, its weights do not.
        head: The task's head; ``classifier`` is never tied to the embedding.
        labels: The number of classes of a classifier.

    Returns:
        The checked shape of the network.
    """
    spec = {**model.spec, "name": model.name, "head": head, "labels": labels}
    return ModelSpec.from_dict({**spec, "tied": False} if head == "classifier" else spec)


def _model(run: RunConfig) -> PointModel:
    """The model with the head that the task needs, and the folder of its checkpoint."""
    model = run.model
    checkpoint = None if model.checkpoint is None else checkpoint_dir(model.checkpoint)
    if checkpoint is not None and model.sha256:
        check_sha256(checkpoint / WEIGHTS_FILE, model.sha256)
    spec = model_spec(model, run.task.head, run.task.labels)
    return PointModel(
        model.name,
        spec,
        None if checkpoint is None else str(checkpoint),
        model.sha256 if checkpoint is not None else None,
    )


def _absolute(folder: str | None) -> str | None:
    """A folder given from the working directory; ranks work in another."""
    return None if folder is None else str(Path(folder).expanduser().absolute())


def _resumed(point: PointConfig) -> Checkpoint | None:
    """The checkpoint that the point goes on from. Raises PlanError or UserError where it cannot."""
    train = point.train
    if train.resume is None:
        return None
    checkpoint = Checkpoint.read(Path(train.resume))
    checkpoint.check(point.model.spec, train.dtype, train.optimizer)
    if train.steps is not None and train.steps < checkpoint.steps + 2:
        raise UserError(
            f"train.steps={train.steps} counts the {checkpoint.steps} steps of {checkpoint.folder} too; use null or at least "
            f"{checkpoint.steps + 2} (one to warm up, one to time)"
        )
    return checkpoint


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


def _hash(point: PointConfig, resumed: Checkpoint | None) -> str:
    """Eight digits of what matters for the result.

    Weights count by name and hash and a resumed checkpoint by what it holds, not by where they lie. The limits of boards
    judge a result and do not make it.
    """
    plain = point.to_json()
    chosen = {key: plain[key] for key in (*MEANINGFUL, "fault") if key in plain}
    chosen["strategy"] = {k: v for k, v in plain["strategy"].items() if (k, v) not in LATER_OPTIONS.items()}
    chosen["boards"] = {name: named_by(board) for name, board in plain["boards"].items()}
    chosen["cluster"] = launch_cluster.meaning(plain["cluster"])
    chosen["train"] = {key: value for key, value in plain["train"].items() if key not in ("save", "resume")}
    if resumed is not None:
        chosen["train"]["resume"] = resumed.digest
    folder = point.model.checkpoint_folder
    chosen["model"] = {**plain["model"], "checkpoint": None if folder is None else folder.name}
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:8]
