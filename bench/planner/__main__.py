"""``python -m bench.planner profile|plan|simulate``: see ``python -m bench.planner --help``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from bench.cluster.board_class import BoardClass, boards_of
from bench.common.atomic_files import write_json
from bench.common.exit_codes import BAD_INPUT
from bench.common.paths import RESULTS
from bench.common.program_names import as_called
from bench.common.user_error import UserError
from bench.conditions import environment
from bench.config.config_check import read_block
from bench.config.planner_config import OBJECTIVES, PlannerConfig
from bench.config.point_config import PointConfig
from bench.doctor.cluster_verb import expected_bit_s, links_s
from bench.doctor.mpirun_jobs import over_mpirun
from bench.planner import printing
from bench.planner.search import search
from bench.point import hydra_compose, resolved_point
from bench.point.dilated_limits import check_unpredicted
from bench.point.whole_cluster import whole_cluster
from bench.prediction.cluster_profile import Profile, emulated_boards, own_path, subject
from bench.prediction.planned_shares import AUTO, path_of, prediction_of, profile_of
from strategies.common.plan_error import PlanError
from strategies.common.registry import did_you_mean
from strategies.plan.model_spec import ModelSpec
from strategies.plan.placement import place
from strategies.plan.shapes import MeshShape, StepShape
from strategies.plan.step_options import StepOptions

HELP = f"""usage: python -m bench.planner profile|plan|simulate [KEY=VALUE ...]

  profile   measure on every host, all at once: seconds of the parts of the model, of the optimizer, of messages, of waiting
  plan      price every strategy, mesh, choice of hosts and order by the profile; the best and the command lines that run them
  simulate  price the one configuration that KEY=VALUE describe, rank by rank

All keys of python -m bench count: cluster=, model=, task=, train.batch=, train.seq=, comm.wait=, ... Own ones:

  planner.profile=FILE      the profile to write or to read; null and auto: profiles/CLUSTER-MODEL-TASK-SEQ.json
  planner.objective=time    what is best: {", ".join(OBJECTIVES)} (energy: joules per sample; edp: joules x seconds of a step)
  planner.deadline_s=null   seconds that a step may take at most
  planner.top=10            how many to show
  planner.seconds=0.4       profile: of each part and size
  timeout_s=900             profile: of all of it, besides what the links need

Predictions are models (docs/how-to/planner.md says what they leave out). With planner.profile=auto (or a file) the record of a
point has what was predicted, and with planner.split=planned too it gets shares by the profile:

  python -m bench.planner profile cluster=emulated-mixed
  python -m bench.planner plan cluster=emulated-mixed planner.objective=energy
  python -m bench -m experiment=planned_split
"""
HELP_WORDS = ("-h", "--help", "help")
MODULE = "bench.planner.profile_ranks"
MEGABYTES, MOST_SAMPLES = 2.0, 4096
KIND = "measured by parts, on all hosts at once"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 2 for what the user can mend, 1 where a profile could not be made."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or any(word in HELP_WORDS for word in words):
        print(HELP, end="")
        return 0 if words else BAD_INPUT
    return hydra_compose.answered(lambda: _run(*words), "interrupted; nothing is written")


def _run(name: str, *overrides: str) -> int:
    verbs = {"profile": measure, "plan": plan, "simulate": simulate}
    if name not in verbs:
        raise UserError(f"unknown verb {name}; known are {', '.join(verbs)}{did_you_mean(name, list(verbs))}")
    hydra_compose.check_words(overrides, "bench.planner")
    plain = hydra_compose.composed(overrides)
    plain["planner"]["profile"] = plain["planner"]["profile"] or AUTO
    return verbs[name](plain, overrides)


def planner_of(plain: Mapping[str, Any]) -> PlannerConfig:
    """The ``planner`` block of a composed configuration.

    Args:
        plain: The composed configuration.

    Returns:
        The checked block.

    Raises:
        UserError: A key or a value is none of its own.
    """
    return read_block(PlannerConfig, plain["planner"], "planner.")


def measure(plain: Mapping[str, Any], _: Sequence[str]) -> int:
    """The verb ``profile``: measure on all hosts, write the profile and print it.

    Args:
        plain: The composed configuration.

    Returns:
        The exit code: 0, or 1 where mpirun brought no report.

    Raises:
        UserError: The file cannot be written.
    """
    point = whole_cluster(plain)
    check_unpredicted(point.cluster)
    planner = planner_of(plain)
    path, cluster = path_of(planner, point), point.cluster.to_json()
    assert path is not None
    order = order_of(point, planner.seconds)
    expected = expected_bit_s(cluster, boards_of(point.boards))
    limit_s = plain["timeout_s"] + links_s(order["ranks"], MEGABYTES, expected)
    print(f"profiling {order['ranks']} ranks of {cluster['name']}; they should do nothing else", file=sys.stderr, flush=True)
    came = over_mpirun(cluster, order, MODULE, limit_s, slots=None)
    if came.report is None:
        print(f"error: {came.trouble}", file=sys.stderr)
        return 1
    try:
        write_json(path, came.report)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error}); give another planner.profile=") from None
    printing.profile(Profile.from_dict(came.report))
    named = "auto" if path == own_path(point) else path
    readers = f"python -m bench.planner plan ..., and by python -m bench ... planner.profile={named}"
    print(as_called(f"{path}; it is read by: {readers}"))
    return 0


def order_of(point: PointConfig, seconds: float) -> dict[str, Any]:
    """The order for the ranks: sizes, cuts, and what only the launch host knows of the others.

    Args:
        point: A point of the whole cluster.
        seconds: How long each part and size is repeated, s.

    Returns:
        The JSON object that the ranks get.
    """
    train, hosts = point.train, point.cluster.hosts
    ranks = sum(host.slots for host in hosts)
    emulated = emulated_boards(point)
    git = environment.collect_code().git
    return {
        "point": point.to_json(),
        "ranks": ranks,
        "seconds": seconds,
        "samples": min(train.batch, MOST_SAMPLES),
        "tensor": cuts(point.model.spec, point.step_shape, ranks),
        "megabytes": MEGABYTES,
        "hosts": {
            host.label: {
                "cores": emulated[host.label].quota_cores if host.label in emulated else None,
                "memory_bytes": emulated[host.label].memory_bytes if host.label in emulated else host.memory_bytes,
                "watts": watts_of(point, host.board),
            }
            for host in hosts
        },
        "about": {
            "subject": subject(point),
            "made": date.today().isoformat(),
            "git": None if git is None else f"{git.commit}{' with changes' if git.dirty else ''}",
            "kind": KIND,
        },
    }


def cuts(spec: ModelSpec, shape: StepShape, ranks: int) -> list[int]:
    """The tensor-parallel degrees that are profiled.

    Args:
        spec: The model.
        shape: The step's batch and length.
        ranks: How many ranks the cluster has.

    Returns:
        1, 2, 4, ... and ``ranks``, as far as the heads go.
    """
    degrees = []
    for tensor in sorted({*(1 << power for power in range(ranks.bit_length())), ranks}):
        try:
            place(spec, shape, MeshShape(tensor=tensor), StepOptions(tensor_shares=[1] * tensor))
        except PlanError:
            continue
        degrees.append(tensor)
    return degrees


def watts_of(point: PointConfig, board: str) -> dict[str, float]:
    """Watts of a board class on the device that computes, in its power mode.

    Args:
        point: The point, with its board classes and power modes.
        board: The class's name.

    Returns:
        ``idle_W``, ``busy_W`` and ``exponent`` (b of the model of its power); empty where they are not known.
    """
    try:
        model = BoardClass.from_dict(point.boards[board]).power_model()
    except UserError:
        return {}
    busy_W = model.idle_W + (model.gpu_W or model.cpu_W)
    return {"idle_W": model.idle_W, "busy_W": busy_W, "exponent": 1.0 if model.gpu_W else model.exponent}


def plan(plain: Mapping[str, Any], overrides: Sequence[str]) -> int:
    """The verb ``plan``: price all ways and print the best.

    Args:
        plain: The composed configuration.
        overrides: The words that it was composed from.

    Returns:
        The exit code: 0, or 1 where no way fits.

    Raises:
        UserError: The profile cannot be read or does not reach.
    """
    planner, point = planner_of(plain), whole_cluster(plain)
    profile, path = profile_of(planner, point), path_of(planner, point)
    assert profile is not None
    results = search(point, profile, plain)
    printing.ranking(results, planner, lambda candidate: candidate.words(point.cluster.inventory, overrides), path)
    return 0 if results.best(planner.objective, planner.deadline_s) else 1


def simulate(plain: Mapping[str, Any], _: Sequence[str]) -> int:
    """The verb ``simulate``: price the one configuration and print it rank by rank.

    Args:
        plain: The composed configuration.

    Returns:
        The exit code, 0.

    Raises:
        UserError: The profile cannot be read or does not reach.
    """
    point = resolved_point.resolve(plain, None, RESULTS)
    planner, step_plan = planner_of(plain), resolved_point.plan_of(point)
    profile = profile_of(planner, point)
    assert profile is not None
    printing.prediction(prediction_of(profile, point, step_plan), step_plan, path_of(planner, point))
    return 0


if __name__ == "__main__":
    sys.exit(main())
