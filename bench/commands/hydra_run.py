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
from bench.common.exit_codes import BAD_INPUT, FAILED, OK
from bench.common.program_names import as_called
from bench.common.user_error import UserError
from bench.config.point_config import PointConfig
from bench.launch.launchers import find_launcher, forwarded
from bench.point import resolved_point
from bench.point.composition_errors import one_line
from bench.point.hydra_compose import register, to_plain
from bench.search.objectives import task_value, unknown
from bench.search.pareto_front import Objectives
from strategies.common.plan_error import PlanError

WRONG_OPTION = "Config group override must be a string or a list"  # Hydra's ValueError for strategy=5
traceback_wanted = False
failed = False
"""Whether a point of this sweep did not end well. The sweep goes on: its sweeper has the value of such a point."""


def run_hydra() -> int:
    """Compose the words of ``sys.argv`` and run what they say; the exit code."""
    global traceback_wanted, failed
    failed = False
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
    return FAILED if failed else OK


@hydra.main(config_path=str(paths.CONF), config_name="config", version_base="1.3")
def _hydra_main(cfg: DictConfig) -> Objectives | None:
    """A single run (sweeps go to the campaign launcher). The value is that of ``run_points``."""
    try:
        chosen = HydraConfig.get()
        code, values = run_points([cfg], [list(chosen.overrides.task)], chosen.runtime.choices.get("experiment"))
    except (UserError, PlanError) as error:
        if traceback_wanted:
            raise
        # Here and not in main(): Hydra would print a line of its own about any exception of its task.
        print(f"error: {as_called(one_line(error))}", file=sys.stderr)
        code, values = BAD_INPUT, [None]
    stop_unless_run(code)
    return values[0]


def stop_unless_run(code: int) -> None:
    """End the program for bad input and Ctrl-C; a point that failed is remembered for the exit code of the whole.

    Args:
        code: The exit code of some points.

    Raises:
        SystemExit: With a code that is neither OK nor FAILED.
    """
    global failed
    if code not in (OK, FAILED):
        raise SystemExit(code)
    failed = failed or code == FAILED


def run_points(
    composed: Sequence[DictConfig],
    overrides: Sequence[Sequence[str]],
    experiment: str | None = None,
    product: int | None = None,
) -> tuple[int, list[Objectives | None]]:
    """Resolve and check all points, then run them, or show them for ``dry_run=true``.

    Args:
        composed: The configurations as Hydra composed them, at least one.
        overrides: The words that each was composed from: records carry them, so that a point can be run again.
        experiment: The name of its file in conf/experiment; null: none, or as a sweep's composition says.
        product: The number of a sweep's combinations before ``campaign.zip``; null for a single run.

    Returns:
        The exit code, and the value of each of ``composed``: its objectives (``campaign.search.objectives``: seconds of a step
        and joules of a sample), infinite where a point has no valid result; null for one that is excluded or only shown.

    Raises:
        UserError, PlanError: One line each, for everything that could not run.
    """
    plain = [to_plain(cfg) for cfg in composed]
    settings = settings_of(plain)
    if settings.search.budget is not None:
        raise UserError("campaign.search needs a sweep by the suite's own sweeper: start with -m, and leave hydra/sweeper= out")
    # An experiment's zip says nothing of a single run of it (hydra.mode=RUN): each key has one value then.
    if settings.zip and product is None and any(word.startswith("campaign.zip=") for word in overrides[0]):
        raise UserError("campaign.zip needs a sweep: start with -m and give its keys several values")
    chosen = matrix(plain, settings, product)
    points, repeats = [], []
    for number in chosen.kept:
        points.append(point_of(composed[number], overrides[number], experiment))
        repeats.append(1 if plain[number]["smoke"] else plain[number]["repeats"])
    if plain[0]["dry_run"]:
        from bench.commands.dry_run import show

        order = campaign.expand(points, repeats, paths.RESULTS, plain[0]["seed"])
        return show(order, lines=campaign.preview(order, settings, chosen, paths.RESULTS)), [None] * len(composed)
    for line in chosen.lines if settings.exclude else ():
        if line.startswith("excluded "):
            print(line)
    code = campaign.run(points, repeats, paths.RESULTS, plain[0]["seed"], settings)
    values: list[Objectives | None] = [None] * len(composed)
    for number, point, count in zip(chosen.kept, points, repeats, strict=True):
        values[number] = task_value(point, count, paths.RESULTS, settings.search.objectives)
    return code, values


def run_asked(composed: Sequence[DictConfig], overrides: Sequence[Sequence[str]]) -> tuple[int, list[Objectives | None]]:
    """Run combinations for a sweeper that chooses by their values: one that cannot run is no error, but has infinite ones.

    Args:
        composed: The configurations as Hydra composed them, at least one.
        overrides: The words that each was composed from.

    Returns:
        As ``run_points``.

    Raises:
        UserError: As ``run_points``.
    """
    codes: list[int] = []
    values: list[Objectives | None] = []
    for cfg, words in zip(composed, overrides, strict=True):
        try:
            code, ended = run_points([cfg], [words], product=1)
        except PlanError as error:
            print(f"cannot run: {' '.join(words)}: {one_line(error)}", flush=True)
            code, ended = FAILED, [unknown(cfg.campaign.search.objectives)]
        codes.append(code)
        values += ended
    return max(codes), values


def point_of(cfg: DictConfig, words: Sequence[str], experiment: str | None = None) -> PointConfig:
    """Resolve and check one point, and what its cluster needs of this machine.

    Args:
        cfg: The configuration as Hydra composed it.
        words: Those that it was composed from.
        experiment: The name of its file in conf/experiment, where ``cfg`` does not say.

    Returns:
        The point, its first repeat.

    Raises:
        UserError, PlanError: One line each, for everything that could not run.
    """
    if "hydra" in cfg:
        experiment = cfg.hydra.runtime.choices.get("experiment")
    point = replace(resolved_point.resolve(to_plain(cfg), experiment, paths.RESULTS), overrides=tuple(words))
    find_launcher(point.cluster)
    forwarded(point.cluster, point.energy)
    return point
