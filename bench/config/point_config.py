"""One resolved point: plain, complete, checked. Written as ``config.json`` and read back by the worker as the same classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.config import config_json
from bench.config.board_config import BoardConfig
from bench.config.comm_config import CommConfig
from bench.config.config_field import setting
from bench.config.dilation_config import PointDilation
from bench.config.mesh_config import MeshConfig
from bench.config.point_cluster_config import PointCluster
from bench.config.strategy_config import StrategyConfig
from bench.config.task_config import TaskConfig
from bench.config.train_config import TrainConfig
from bench.config.warmup_config import WarmupConfig
from strategies.plan.model_spec import ModelSpec
from strategies.plan.shapes import MeshShape, StepShape

SCHEMA = "edgejoule.config/1"


@dataclass(frozen=True)
class PointModel:
    """The model of a point with the head that its task needs; ``checkpoint`` is a folder, null for random weights."""

    name: str
    spec: ModelSpec
    checkpoint: str | None
    sha256: str | None

    @property
    def checkpoint_folder(self) -> Path | None:
        """The folder of the weights; None where they are drawn from the seed."""
        return None if self.checkpoint is None else Path(self.checkpoint)


@dataclass(frozen=True)
class PointFault:
    """Which rank of a point is killed when, and the mesh and options that the survivors were given."""

    rank: int
    snapshot_every: int
    after_steps: int
    mesh: MeshConfig
    options: Mapping[str, Any]


@dataclass(frozen=True)
class PointIdle:
    """The record whose idle power a point may take over, and how old it may be at most, s."""

    record: str
    max_age_s: float


@dataclass(frozen=True)
class PointPaths:
    """Where the files of a point are."""

    point: str


@dataclass(frozen=True)
class PointConfig:
    """The configuration of one point.

    Seconds are of the clock's, bytes whole numbers; null means what ``run_config`` says of the key. ``boards`` are the
    descriptions of the board classes of its inventory, ``energy`` is read by
    ``bench.energy``'s EnergySettings. ``predicted`` is what a profile predicts of it, ``fault`` what fails,
    ``dilation``, ``idle_from``, ``run_id``, ``overrides`` and ``command`` are known from its launch on.
    """

    schema: str
    study: str
    experiment: str | None
    repeat: int
    order: int
    strategy: StrategyConfig
    ranks: int
    mesh: MeshShape
    model: PointModel
    task: TaskConfig
    train: TrainConfig
    comm: CommConfig
    device: str
    threads: int | None
    window_s: float
    idle_s: float
    warmup: WarmupConfig
    eval_samples: int | None
    seed: int
    smoke: bool
    cluster: PointCluster
    boards: Mapping[str, Any]
    board: BoardConfig
    energy: Mapping[str, Any]
    timeout_s: float
    hash: str
    point: str
    paths: PointPaths
    predicted: Mapping[str, Any] | None = setting(None, "what a profile predicts of it", absent=True)
    fault: PointFault | None = setting(None, "what fails", absent=True)
    idle_from: PointIdle | None = setting(None, "whose idle power may be reused", absent=True)
    dilation: PointDilation | None = setting(None, "how emulated boards' time was dilated", absent=True)
    overrides: tuple[str, ...] | None = setting(None, "the words of the command line", absent=True)
    run_id: str | None = setting(None, "marks the processes of this run", absent=True)
    command: str | None = setting(None, "the line that starts its ranks", absent=True)

    @property
    def folder(self) -> Path:
        """Where the files of the point are."""
        return Path(self.paths.point)

    @property
    def dilation_factor(self) -> float:
        """Seconds of this machine for one second of the boards: 1 where their time is not dilated."""
        return 1.0 if self.dilation is None else self.dilation.factor

    @property
    def step_shape(self) -> StepShape:
        """The shape of one optimizer step."""
        train = self.train
        assert train.micro_batches is not None, "resolved"
        return StepShape(train.batch, train.seq, train.micro_batches, train.dtype, train.optimizer, train.recompute)

    def to_json(self) -> dict[str, Any]:
        """The JSON object of ``config.json``."""
        plain: dict[str, Any] = config_json.to_json(self)
        return plain

    @classmethod
    def from_json(cls, plain: Any, where: str = "config.json") -> PointConfig:
        """A point as ``to_json`` wrote it.

        Args:
            plain: The JSON object.
            where: The source, for messages.

        Returns:
            The same point.

        Raises:
            UserError: For an unknown or missing key, and for a value of another type.
        """
        return config_json.from_json(cls, plain, where)
