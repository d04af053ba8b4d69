"""What entering and leaving a region costs, with and without ``edgejoule monitor`` around the program.

    python -m benchmarks.region_cost [--calls 100000] [--rounds 7]

Rounds of the three loops are interleaved; the table has medians over rounds, in nanoseconds a call, and the ratio to the
loop with an empty context manager of the standard library.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from statistics import median

LOOP = """
import contextlib, sys, time
import edgejoule
calls = int(sys.argv[1])
def run(what):
    begin = time.perf_counter_ns()
    for _ in range(calls):
        with what:
            pass
    return (time.perf_counter_ns() - begin) / calls
run(edgejoule.region("warm"))
print(run(contextlib.nullcontext()), run(edgejoule.region("region")))
"""


def measured(calls: int, folder: str | None) -> tuple[float, float]:
    """Nanoseconds of an empty context manager and of a region.

    Args:
        calls: How often each is entered.
        folder: Where regions are written; None: there is no monitor.

    Returns:
        Both, a call.
    """
    more = {} if folder is None else {"EDGEJOULE_MONITOR": folder}
    line = [sys.executable, "-c", LOOP, str(calls)]
    done = subprocess.run(line, env={**os.environ, **more}, capture_output=True, text=True, check=True)
    empty, region = map(float, done.stdout.split())
    return empty, region


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    off, on, empty = list[float](), list[float](), list[float]()
    for _ in range(args.rounds):
        alone, region = measured(args.calls, None)
        empty.append(alone)
        off.append(region)
        with tempfile.TemporaryDirectory() as folder:
            on.append(measured(args.calls, folder)[1])
    base = median(empty)
    print("| with | ns a call | of an empty context manager |\n| --- | --- | --- |")
    for name, values in (("an empty context manager", empty), ("a region, no monitor", off), ("a region under monitor", on)):
        print(f"| {name} | {median(values):.0f} ({min(values):.0f} to {max(values):.0f}) | {median(values) / base:.1f} |")


if __name__ == "__main__":
    main()
