"""Started by somebody's own mpirun: rank 0 composes the configuration, all ranks go to work."""

from __future__ import annotations

import shlex
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from bench.campaign.point_launch import write_files
from bench.common import paths
from bench.common.exit_codes import BAD_INPUT
from bench.common.user_error import UserError
from bench.config.point_config import PointConfig
from bench.faults.recovery import check_survives
from bench.point import hydra_compose, resolved_point
from bench.point.composition_errors import one_line
from bench.record.study_folder import check_study, open_study
from strategies.common.plan_error import PlanError


def run_inside_mpi(arguments: Sequence[str]) -> int:
    """Run one point on this communicator.

    Args:
        arguments: The words of the command line.

    Returns:
        The exit code of this rank.
    """
    from mpi4py import MPI

    from bench.faults.recovery import leave
    from bench.run.guarded_run import run

    comm = MPI.COMM_WORLD
    try:
        error, point = None, None
        if comm.Get_rank() == 0:
            try:
                point = _compose(arguments, comm.Get_size())
            except (UserError, PlanError, HydraException, OmegaConfBaseException) as problem:
                error = one_line(problem)
        error, point = comm.bcast((error, point))
        if error is not None:
            if comm.Get_rank() == 0:
                print(f"error: {error}", file=sys.stderr, flush=True)
            return BAD_INPUT
        if point is None:  # a dry run, shown by rank 0
            return 0
        code = run(point, comm)
    except Exception:
        traceback.print_exc()
        comm.Abort(1)
        raise
    if comm.Get_rank() == 0:
        _report(point)
    return leave(point, code)


def _compose(arguments: Sequence[str], size: int) -> PointConfig | None:
    flags = [word for word in arguments if word.startswith("-")]
    if flags:
        raise UserError(f"{flags[0]} needs its own mpirun; start python -m bench {shlex.join(arguments)} without mpirun")
    hydra_compose.register()
    with initialize_config_dir(str(paths.CONF), version_base="1.3"):
        cfg = compose("config", overrides=list(arguments), return_hydra_config=True)
    plain = hydra_compose.to_plain(cfg)
    if not any(word.startswith("ranks=") for word in arguments) and plain["strategy"]["name"] != "single":
        plain["ranks"] = size
    experiment = cfg.hydra.runtime.choices.get("experiment")
    point = resolved_point.resolve(plain, experiment, paths.RESULTS, ranks=size)
    if point.cluster.emulated is not None and point.cluster.emulated.dilation is not None:
        raise UserError(
            "dilated boards are measured and brought up before the ranks start; start python -m bench without mpirun, or use "
            "cluster.dilation=none"
        )
    if plain["dry_run"]:
        from bench.commands.dry_run import show

        show([point], started_by_hand=True)
        return None
    if point.fault is not None:
        check_survives()
    study = paths.RESULTS / point.study
    check_study(study, experiment)
    open_study(study, point.study, experiment, [point.point])
    point = replace(point, run_id="by-hand", overrides=tuple(arguments))
    (point.folder / "result.json").unlink(missing_ok=True)
    write_files(point)
    return replace(point, command=f"mpirun -n {size} python -m bench {shlex.join(arguments)}")


def _report(point: PointConfig) -> None:
    from bench.campaign import headline
    from bench.record.record_file import load_record

    path = point.folder / "result.json"
    print(f"{point.point}  {headline(load_record(path))}\n{path}", flush=True)
