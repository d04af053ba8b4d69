"""One rank's shard of the model, built by the point's strategy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.config.point_config import PointConfig
from bench.training.trainer import make_strategy
from bench.training.weight_replication import RememberingLoader
from strategies.base import Strategy, check_options, get
from strategies.comm.ledger import Ledger

if TYPE_CHECKING:
    from mpi4py import MPI


def build_shard(config: PointConfig, comm: MPI.Intracomm, ledger: Ledger, device: str) -> tuple[Strategy, RememberingLoader]:
    """Plan the point and build this rank's part of it. Collective.

    Args:
        config: The point.
        comm: All its ranks.
        ledger: Takes the operations of this rank.
        device: ``cpu``, or the GPU of this rank.

    Returns:
        The strategy with its module loaded, and the loader, which knows what it was asked and what it had to draw.

    Raises:
        PlanError: The strategy cannot run the point.
        UserError: The checkpoint does not fit the model.
    """
    strategy, model = get(config.strategy.name), config.model
    options = check_options(strategy, dict(config.strategy.options))
    plan = strategy.plan(model.spec, config.step_shape, config.mesh, options)
    loader = RememberingLoader(model.spec, model.checkpoint_folder, config.seed)
    with loader:
        return make_strategy(config, comm, plan, ledger, loader, device), loader
