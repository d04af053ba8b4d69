"""Does a shelf give the same answers whatever its dilation? One shelf on shares of 1, 1/4 and 1/16, in its own time.

    python -m benchmarks.dilated_shelves --factors 1,4,16 --strategies data,tensor --rounds 3 --cores 0.5

Needs root. A board with the share ``cores / factor`` and a dilation of ``factor`` is the same board each time: it computes as
fast in its own time, and its links have the same rate. A round runs every strategy at every factor once, in turn. The table has
the step time of each strategy in the boards' time relative to the first strategy at the same factor: the ratios that decide
which parallelism wins. They should agree within their spread over the rounds.

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
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.common.median_interval import median_interval
from bench.common.paths import PROJECT

NETWORK = "10.78.{}.0/24"
TIMEOUT_S = 900


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


def step_s(folder: Path, words: Sequence[str], study: str) -> float:
    """Run one point and give its step time in the boards' time. Raises RuntimeError where it is not ok."""
    line = [sys.executable, "-m", "bench", *words, f"study={study}"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
    (path,) = folder.glob(f"results/{study}/*/result.json")
    record = json.loads(path.read_text())
    if record["status"] not in ("ok", "invalid"):
        raise RuntimeError(f"{study} {record['status']}: {record['reason']} {done.stderr[-300:]}")
    seconds: float = record["time"]["step_s"]["median"]
    return seconds


def shown(values: Sequence[float]) -> str:
    """Median with its 95 % interval, or with all values where they are too few for one."""
    told = median_interval(list(values))
    if told["ci_low"] is not None:
        return f"{told['median']:.3f} ({told['ci_low']:.3f} to {told['ci_high']:.3f})"
    return f"{median(values):.3f} ({', '.join(f'{value:.3f}' for value in sorted(values))})"


def main() -> int:
    """Run all and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--factors", default="1,4,16")
    parser.add_argument("--strategies", default="data,tensor")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=float, default=0.5, help="share of a board at a factor of 1")
    parser.add_argument("--link", default="ethernet-100m")
    parser.add_argument("--model", default="gpt2-tiny")
    parser.add_argument("--steps", type=int, default=12, help="steps of a point, warm-up included")
    given = parser.parse_args()
    factors, strategies = [float(word) for word in given.factors.split(",")], given.strategies.split(",")
    common = [f"model={given.model}", "task=lm", "ranks=2", "train.batch=8", "train.seq=32", f"train.steps={given.steps}"]
    common += ["energy=none", "idle_s=0.2", "eval_samples=8", "window_s=0.5"]
    times: dict[tuple[str, float], list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for turn in range(given.rounds):
            for number, factor in enumerate(factors):
                words = inventory(folder, number, factor, given.cores, given.link)
                for strategy in strategies:
                    study = f"r{turn}-{strategy}-{factor:g}"
                    took = step_s(folder, [f"strategy={strategy}", *words, *common], study)
                    times.setdefault((strategy, factor), []).append(took)
                    print(f"round {turn + 1}, {strategy}, factor {factor:g}: {took:.4f} s a step", file=sys.stderr, flush=True)
    names = [f"{name}, ms" for name in strategies] + [f"{name} / {strategies[0]}" for name in strategies[1:]]
    print(f"| factor | share, cores | {' | '.join(names)} |")
    print(f"| ---: | ---: |{' ---: |' * len(strategies)}{' --- |' * (len(strategies) - 1)}")
    for factor in factors:
        first = times[strategies[0], factor]
        cells = [f"{1e3 * median(times[s, factor]):.1f}" for s in strategies]
        cells += [shown([a / b for a, b in zip(times[s, factor], first, strict=True)]) for s in strategies[1:]]
        print(f"| {factor:g} | {given.cores / factor:.3f} | {' | '.join(cells)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
