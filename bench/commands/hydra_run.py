"""One point or a sweep, composed by Hydra: every point is resolved and checked before the first one runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from bench import campaign
from bench.campaign.campaign_settings import settings_of
from bench.campaign.sweep_matrix import matrix
from bench.common import paths
from bench.common.exit_codes import BAD_INPUT
from bench.common.program_names import as_called
from bench.common.user_error import UserError
from bench.launch.launchers import find_launcher, forwarded
from bench.point import resolved_point
from bench.point.composition_errors import one_line
from bench.point.hydra_compose import register, to_plain
from strategies.common.plan_error import PlanError

WRONG_OPTION = "Config group override must be a string or a list"  # Hydra's ValueError for strategy=5
traceback_wanted = False


def run_hydra() -> int:
    """Compose the words of ``sys.argv`` and run what they say; the exit code."""
    global traceback_wanted
    traceback_wanted = "HYDRA_FULL_ERROR" in os.environ
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise its errors instead of printing them
    try:
        register()
        _hydra_main()
    except (UserError, PlanError, HydraException, OmegaConfBaseException, ValueError) as error:
        mendable = type(error) is not ValueError or str(error).startswith(WRONG_OPTION)
        if traceback_wanted or not mendable:
            raise
        print(f"error: {as_called(one_line(error))}", file=sys.stderr)
        return BAD_INPUT
    return 0


@hydra.main(config_path=str(paths.CONF), config_name="config", version_base="1.3")
def _hydra_main(cfg: DictConfig) -> None:
    """A single run (sweeps go to the campaign launcher)."""
    try:
        chosen = HydraConfig.get()
        code = run_points([cfg], [list(chosen.overrides.task)], chosen.runtime.choices.get("experiment"))
    except (UserError, PlanError) as error:
        if traceback_wanted:
            raise
        # Here and not in main(): Hydra would print a line of its own about any exception of its task.
        print(f"error: {as_called(one_line(error))}", file=sys.stderr)
        code = BAD_INPUT
    if code:
        raise SystemExit(code)


def run_points(
    composed: Sequence[DictConfig],
    overrides: Sequence[Sequence[str]],
    experiment: str | None = None,
    product: int | None = None,
) -> int:
    """Resolve and check all points, then run them, or show them for ``dry_run=true``.

    Args:
        composed: The configurations as Hydra composed them, at least one.
        overrides: The words that each was composed from: records carry them, so that a point can be run again.
        experiment: The name of its file in conf/experiment; null: none, or as a sweep's composition says.
        product: The number of a sweep's combinations before ``campaign.zip``; null for a single run.

    Returns:
        The exit code.

    Raises:
        UserError, PlanError: One line each, for everything that could not run.
    """
    plain = [to_plain(cfg) for cfg in composed]
    settings = settings_of(plain)
    # An experiment's zip says nothing of a single run of it (hydra.mode=RUN): each key has one value then.
    if settings.zip and product is None and any(word.startswith("campaign.zip=") for word in overrides[0]):
        raise UserError("campaign.zip needs a sweep: start with -m and give its keys several values")
    chosen = matrix(plain, settings, product)
    points, repeats = [], []
    for number in chosen.kept:
        if "hydra" in composed[number]:
            experiment = composed[number].hydra.runtime.choices.get("experiment")
        point = resolved_point.resolve(plain[number], experiment, paths.RESULTS)
        points.append(replace(point, overrides=tuple(overrides[number])))
        find_launcher(points[-1].cluster)
        forwarded(points[-1].cluster, points[-1].energy)
        repeats.append(1 if plain[number]["smoke"] else plain[number]["repeats"])
    if plain[0]["dry_run"]:
        from bench.commands.dry_run import show

        order = campaign.expand(points, repeats, paths.RESULTS, plain[0]["seed"])
        return show(order, lines=campaign.preview(order, settings, chosen, paths.RESULTS))
    for line in chosen.lines if settings.exclude else ():
        if line.startswith("excluded "):
            print(line)
    return campaign.run(points, repeats, paths.RESULTS, plain[0]["seed"], settings)
