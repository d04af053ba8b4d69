"""Does a shelf give the same answers whatever its dilation? One shelf on shares of 1, 1/4 and 1/16, in its own time.

    python -m benchmarks.dilated_shelves --factors 1,4,16 --strategies data,tensor,pipeline --rounds 3 --out shelves.json
    python -m benchmarks.dilated_shelves --markdown shelves.json                     the table again, from what was measured

Needs root. A board with the share ``cores / factor`` and a dilation of ``factor`` is the same board each time: it computes as
fast in its own time, and its links have the same rate. A round runs every strategy at every factor once, in turn. The table has
the step time of each strategy in the boards' time relative to the first strategy at the same factor: the ratios that decide
which parallelism wins. They should agree within their spread over the rounds. ``--out`` adds rounds to those of the file.

What neighbours take from each other is in every record of a shelf with ``dilation: class`` (``dilation.boards``), and
``python -m bench.testbed up cluster=... cluster.dilation=class`` prints it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.common.atomic_files import write_json
from bench.common.median_interval import median_interval
from bench.common.paths import PROJECT
from bench.common.user_error import UserError
from bench.emulation.kernel_network import check_root

SCHEMA = "edgejoule.dilated-shelves/1"
NETWORK = "10.78.{}.0/24"
TIMEOUT_S = 900
PARTS = ("compute_s", "communicate_s", "wait_s")


def inventory(folder: Path, number: int, factor: float, cores: float, link: str) -> list[str]:
    """Write the inventory of two boards with this dilation; the words that choose it."""
    network = NETWORK.format(number)
    address = network.removesuffix("0/24")
    path = folder / f"factor-{factor:g}.yaml"
    path.write_text(
        f"emulated: {{network: {network}, link: {link}, compute: {cores / factor}, dilation: {factor}}}\n"
        "hosts:\n" + "".join(f"- {{name: b{n}, address: {address}{n}, board: raspberry-pi-4}}\n" for n in (1, 2))
    )
    return ["cluster=emulated2", f"cluster.name=dilated{number}", f"cluster.hostfile={path}"]


def step_parts(folder: Path, words: Sequence[str], study: str) -> dict[str, float]:
    """Run one point: its median step and what a step consists of, seconds in the boards' time. Raises UserError if not ok."""
    line = [sys.executable, "-m", "bench", *words, f"study={study}"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
    paths = list(folder.glob(f"results/{study}/*/result.json"))
    if not paths:
        raise UserError(f"{study} left no record: {done.stderr.strip()[-300:]}")
    record = json.loads(paths[0].read_text())
    if record["status"] not in ("ok", "invalid"):
        raise UserError(f"{study} {record['status']}: {record['reason']}")
    time = record["time"]
    ranks = time["by_rank"]
    parts = {name: sum(rank[name] for rank in ranks) / len(ranks) / time["steps"] for name in PARTS}
    return {"step_s": time["step_s"]["median"], **parts}


def shown(values: Sequence[float]) -> str:
    """Median with its 95 % interval, or with all values where they are too few for one."""
    told = median_interval(list(values))
    if told["ci_low"] is not None:
        return f"{told['median']:.3f} ({told['ci_low']:.3f} to {told['ci_high']:.3f})"
    return f"{median(values):.3f} ({', '.join(f'{value:.3f}' for value in sorted(values))})"


def markdown(measured: Mapping[str, Any]) -> str:
    """The table of what was measured: a line for each factor, with the ratio of every strategy to the first."""
    points, cores = measured["points"], measured["cores"]
    strategies = list(dict.fromkeys(point["strategy"] for point in points))
    names = [f"{name}, ms" for name in strategies] + [f"{name} / {strategies[0]}" for name in strategies[1:]]
    lines = [f"| factor | share, cores | rounds | {' | '.join(names)} |"]
    lines.append(f"| ---: | ---: | ---: |{' ---: |' * len(strategies)}{' --- |' * (len(strategies) - 1)}")
    for factor in sorted({point["factor"] for point in points}):
        times = {s: [p["step_s"] for p in points if (p["factor"], p["strategy"]) == (factor, s)] for s in strategies}
        cells = [f"{1e3 * median(times[s]):.1f}" for s in strategies]
        first = times[strategies[0]]
        cells += [shown([a / b for a, b in zip(times[s], first, strict=True)]) for s in strategies[1:]]
        lines.append(f"| {factor:g} | {cores / factor:.3f} | {len(first)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def read(path: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """What a file has, or an empty one of these settings. Raises UserError where it is of other settings."""
    if not path.exists():
        return {"schema": SCHEMA, **about, "points": []}
    measured: dict[str, Any] = json.loads(path.read_text())
    other = [key for key, value in about.items() if measured.get(key) != value]
    if measured.get("schema") != SCHEMA or other:
        raise UserError(f"{path} has {', '.join(other) or 'another format'} other than asked for; use another --out")
    return measured


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Run all points, round by round; a round is kept once it is whole."""
    factors, strategies = [float(word) for word in given.factors.split(",")], given.strategies.split(",")
    about = {key: getattr(given, key) for key in ("cores", "link", "model", "batch", "steps")}
    measured = {"schema": SCHEMA, **about, "points": []} if given.out is None else read(given.out, about)
    common = [f"model={given.model}", "task=lm", "ranks=2", f"train.batch={given.batch}"]
    common += ["train.seq=32", f"train.steps={given.steps}", "energy=none", "idle_s=0.2", "eval_samples=8", "window_s=0.5"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for turn in range(given.rounds):
            points = []
            for number, factor in enumerate(factors):
                words = inventory(folder, number, factor, given.cores, given.link)
                for strategy in strategies:
                    parts = step_parts(folder, [f"strategy={strategy}", *words, *common], f"r{turn}-{strategy}-{factor:g}")
                    points.append({"strategy": strategy, "factor": factor, **parts})
                    told = ", ".join(f"{key} {value:.4f}" for key, value in parts.items())
                    print(f"round {turn + 1}, {strategy}, factor {factor:g}: {told}", file=sys.stderr, flush=True)
            measured["points"] += points
            if given.out is not None:
                write_json(given.out, measured)
    return measured


def main() -> int:
    """Run all and print a Markdown table; 2 for what the user can mend."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--factors", default="1,4,16")
    parser.add_argument("--strategies", default="data,tensor,pipeline")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=float, default=0.9, help="share of a board at a factor of 1")
    parser.add_argument("--link", default="ethernet-1g")
    parser.add_argument("--model", default="gpt2-tiny")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=12, help="steps of a point, warm-up included")
    parser.add_argument("--out", type=Path, help="file that the rounds are added to")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="print the table of a file and measure nothing")
    given = parser.parse_args()
    try:
        if given.markdown is None:
            check_root("dilated0")
        print(markdown(measure(given) if given.markdown is None else json.loads(given.markdown.read_text())))
    except (OSError, UserError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
