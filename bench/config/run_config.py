"""All keys of a command line, typed: what Hydra composes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.config.board_config import BoardConfig
from bench.config.campaign_config import CampaignConfig
from bench.config.cluster_config import ClusterConfig
from bench.config.comm_config import CommConfig
from bench.config.config_field import block, setting
from bench.config.energy_config import EnergyConfig
from bench.config.fault_config import FaultConfig
from bench.config.mesh_config import MeshConfig
from bench.config.model_config import ModelConfig
from bench.config.planner_config import PlannerConfig
from bench.config.strategy_config import StrategyConfig
from bench.config.task_config import TaskConfig
from bench.config.train_config import TrainConfig
from bench.config.warmup_config import WarmupConfig


def _folder_name(value: Any) -> bool:
    return "/" not in str(value) and not str(value).startswith(".")


@dataclass(frozen=True)
class RunConfig:
    """One point of a study as the user gave it; ``bench.point`` resolves it."""

    strategy: StrategyConfig = block(StrategyConfig, "how the step is spread over the ranks")
    model: ModelConfig = block(ModelConfig, "the network and its weights")
    task: TaskConfig = block(TaskConfig, "what is learnt")
    cluster: ClusterConfig = block(ClusterConfig, "hosts and how ranks are started on them")
    energy: EnergyConfig = block(EnergyConfig, "what measures power")
    study: str = setting("adhoc", "results/STUDY holds the records", check=_folder_name, must="a plain folder name")
    ranks: int = setting(2, "MPI ranks; strategy=single always runs one", least=1)
    mesh: MeshConfig = block(MeshConfig, "how many ranks each axis has")
    train: TrainConfig = block(TrainConfig, "the training")
    comm: CommConfig = block(CommConfig, "how ranks communicate")
    fault: FaultConfig = block(FaultConfig, "what happens when a device fails (docs/how-to/faults.md)")
    planner: PlannerConfig = block(PlannerConfig, "predictions (docs/how-to/planner.md)")
    board: BoardConfig = block(BoardConfig, "how boards are set")
    device: str = setting(
        "cpu",
        "cpu, or cuda (ranks of a host share its GPUs)",
        choices=("cpu", "cuda"),
        refused={"gpu": "is unknown; use cpu or cuda"},  # not "did you mean cpu?"
    )
    threads: int | None = setting(None, "threads of each rank; null: the host's cores shared by its slots", least=1)
    window_s: float = setting(
        20.0, "least length of the timed window, in this machine's time also where boards are dilated", unit="seconds", above=0
    )
    idle_s: float = setting(5.0, "idle measured before and after, each", unit="seconds", least=0)
    warmup: WarmupConfig = block(WarmupConfig, "steps before the window")
    eval_samples: int | None = setting(None, "samples of the validation split; null: all", unit="samples", least=1)
    repeats: int = setting(1, "how often each point runs", least=1)
    seed: int = setting(0, "of weights that are not pre-trained, of batches and of the order of points", least=0)
    smoke: bool = setting(False, "a quick look: short window, one repeat, marked in the record")
    timeout_s: float = setting(900, "of one point; what takes longer is ended", unit="seconds", above=0)
    dry_run: bool = setting(False, "print the matrix, the plans and the mpirun lines, run nothing")
    campaign: CampaignConfig = block(CampaignConfig, "all points together (docs/how-to/campaigns.md)")
