"""The tables and lines that the planner prints."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.common import terminal_table
from bench.common.program_names import as_called
from bench.common.terminal_table import si
from bench.config.planner_config import PlannerConfig
from bench.planner.search import Candidate, SearchResult, listed
from bench.prediction.cluster_profile import HostProfile, Profile
from bench.prediction.step_prediction import Prediction
from strategies.plan.shapes import AXES, Plan

MOST_REASONS = 3
COLUMNS = ("strategy", "mesh", "hosts", "shares", ">micro", ">step", ">samples/s", ">J/sample", ">EDP, J s", ">compute",
           ">exchange", ">wait")  # fmt: skip


def profile(measured: Profile) -> None:
    """Print the tables of hosts, of links and of all-reduces.

    Args:
        measured: The profile of a cluster.
    """
    columns = ("host", "class", ">threads", ">block forward", ">backward", ">of samples", ">optimizer, 1M", ">cores", ">used",
               ">waiting: spin", ">poll", ">watts")  # fmt: skip
    terminal_table.show("Hosts: seconds of one block", columns, [_host(host) for host in measured.hosts])
    if measured.links:
        print()
        links = [(link.one, link.other, link.there_bit_s, link.back_bit_s, link.latency_s) for link in measured.links]
        terminal_table.show_links("Links: one message at a time", links)
    if measured.all_reduce:
        sizes = [size for size, _ in next(iter(measured.all_reduce.values()))]
        print()
        rows = [[name, *(si(took_s, "s") for _, took_s in table)] for name, table in measured.all_reduce.items()]
        terminal_table.show(
            f"All-reduce over {measured.ranks} ranks", ("algorithm", *(f">{si(size, 'B')}" for size in sizes)), rows
        )


def _host(host: HostProfile) -> list[str]:
    curve = next(curve for curve in host.curves if (curve.part, curve.tensor) == ("block", 1))
    watts = f"{host.watts['idle_W']:g} to {host.watts['busy_W']:g}" if {"idle_W", "busy_W"} <= set(host.watts) else "-"
    return [
        host.host,
        host.board,
        str(host.threads),
        si(curve.forward_s[-1], "s"),
        si(curve.backward_s[-1], "s"),
        str(curve.samples[-1]),
        si(host.optimizer_s.get("adamw", 0.0) * 1e6, "s"),
        f"{host.cores:.3g}",
        f"{host.busy_cores:.3g}",
        *(f"{host.waiting_cores[wait]:.2g}" if wait in host.waiting_cores else "-" for wait in ("spin", "poll")),
        watts,
    ]


def ranking(
    candidates: SearchResult, planner: PlannerConfig, words: Callable[[Candidate], Sequence[str]], path: Path | None
) -> None:
    """Print the best ways, the trade-off between time and energy, and what was left out.

    Args:
        candidates: All ways that were priced.
        planner: The objective, the deadline and how many to show.
        words: The words of the command line that runs a candidate.
        path: File of the profile, for the title.
    """
    best = candidates.best(planner.objective, planner.deadline_s)
    within = f", a step within {planner.deadline_s:g} s" if planner.deadline_s else ""
    total = len(candidates.candidates)
    if not best:
        print(f"none of {total} ways{within} fits")
    else:
        shown = best[: planner.top]
        title = f"Best of {total} ways by {planner.objective}{within}: modelled from {path}"
        terminal_table.show(title, (">", *COLUMNS), [[str(n), *_row(candidate)] for n, candidate in enumerate(shown, 1)])
        print()
        for number, candidate in enumerate(shown, 1):
            print(as_called(f"{number}: python -m bench {shlex.join(words(candidate))}"))
    front = candidates.front()
    if len(front) > 1:
        print()
        terminal_table.show(
            "Nothing is both faster and more frugal than these", COLUMNS, [_row(candidate) for candidate in front]
        )
    for candidate in candidates.over[:1]:
        print(f"{len(candidates.over)} ways are too large, such as {candidate.strategy}: {candidate.prediction.over[0]}")
    for reason, count in candidates.refused.most_common(MOST_REASONS):
        print(f"{count} ways cannot be: {reason}")


def _row(candidate: Candidate) -> list[str]:
    prediction = candidate.prediction
    mesh = "x".join(f"{axis[0].upper()}{size}" for axis, size in zip(AXES, candidate.mesh.dims, strict=True) if size > 1)
    shares = " ".join(f"{key}={listed(value)}" for key, value in candidate.options.items())
    if candidate.all_reduce:
        shares = f"{shares or 'even'}, {candidate.all_reduce}"
    return [
        candidate.strategy,
        mesh or "-",
        " ".join(candidate.hosts),
        shares or "even",
        str(candidate.micro_batches),
        si(prediction.step_s, "s"),
        f"{prediction.samples_per_s:.3g}",
        "-" if prediction.per_sample_J is None else f"{prediction.per_sample_J:.3g}",
        "-" if prediction.edp_Js is None else f"{prediction.edp_Js:.3g}",
        *(f"{100 * prediction.share(state):.0f} %" for state in ("compute_s", "exchange_s", "wait_s")),
    ]


def prediction(predicted: Prediction, plan: Plan, path: Path | None) -> None:
    """Print the cost of one configuration, rank by rank.

    Args:
        predicted: Its cost.
        plan: Its plan, with the same ranks.
        path: File of the profile, for the title.
    """
    rows = [
        [
            str(placement.rank),
            rank.host,
            str(placement.layer_count),
            "+".join(map(str, placement.micro_samples)),
            f"{placement.tensor[0] + 1} of {placement.tensor[1]}",
            *(si(value, "s") for value in (rank.compute_s, rank.exchange_s, rank.wait_s)),
        ]
        for placement, rank in zip(plan.placements, predicted.ranks, strict=True)
    ]
    columns = (">rank", "host", ">layers", ">samples", ">tensor part", ">compute", ">exchange", ">wait")
    terminal_table.show(f"{plan.strategy} on {plan.mesh.description}: modelled from {path}", columns, rows)
    print(f"{si(predicted.step_s, 's')} a step, {predicted.samples_per_s:.3g} samples/s")
    if predicted.joules is None:
        print("energy: a host's class has no idle_W and busy_W, so none is predicted")
    else:
        each = ", ".join(f"{host} {si(joules, 'J')}" for host, joules in predicted.joules.items())
        print(
            f"{predicted.per_sample_J:.3g} J/sample, {predicted.edp_Js:.3g} J s a step; a step takes "
            f"{si(predicted.step_J, 'J')}: {each}"
        )
    for host in predicted.over:
        print(f"memory: {host}")
