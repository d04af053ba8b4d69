"""What reading the power costs: steps with the sampler on against steps with it off.

    python -m benchmarks.sampler_overhead --rounds 40

One process trains in blocks of steps, the sampler reading (on) or not (off) in turns; a round is one block of each, and
which comes first is drawn. Each round gives a ratio of times; the table has the median ratio less one, in per cent, with
its rank-based 95 % interval, beside the processor time that the sampler itself used. ``--root`` reads another tree than
this machine's own, such as one of ``tests/boards``.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.cluster.board_files import load_board
from bench.common.median_interval import median_interval
from bench.common.paths import CONF
from bench.energy.sampling.host_identity import HostIdentity
from bench.energy.sampling.sampler import Sampler

WIDTH, BATCH = 512, 64


def make_step() -> tuple[nn.Module, torch.optim.Optimizer, Tensor]:
    torch.manual_seed(0)
    layers = [layer for _ in range(6) for layer in (nn.Linear(WIDTH, WIDTH), nn.GELU())]
    module = nn.Sequential(*layers)
    return module, torch.optim.AdamW(module.parameters(), fused=True), torch.randn(BATCH, WIDTH)


def block(module: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, steps: int) -> float:
    """Seconds of ``steps`` training steps."""
    begin = time.perf_counter()
    for _ in range(steps):
        module(x).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a block")
    parser.add_argument("--source", default="auto")
    parser.add_argument("--board", default="x86-mini-pc")
    parser.add_argument("--root", default="/")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    parts = make_step()
    block(*parts, steps=20)
    steps = max(1, round(given.seconds / block(*parts, steps=20) * 20))
    board = load_board(given.board, CONF / "board")
    ratios, cpu_s, life_s, reads = [], 0.0, 0.0, 0
    for number in range(given.rounds):
        spent = {}
        for on in random.Random(number).sample([True, False], 2):
            sampler = Sampler([given.source], board, given.root) if on else None
            if sampler is not None:
                sampler.start()
            spent[on] = block(*parts, steps=steps)
            if sampler is not None:
                for trace in sampler.stop(HostIdentity("h", "b", given.board, "h"), {}, {}):
                    cpu_s, reads = cpu_s + trace.cpu_s, reads + len(trace.raw)
                life_s += spent[on]
        ratios.append(spent[True] / spent[False] - 1)
    found = median_interval(ratios)
    print(f"source {given.source} under {Path(given.root)}, {given.rounds} rounds of {steps} steps, {given.threads} thread(s)")
    low, high = found["ci_low"], found["ci_high"]
    interval = (
        "no interval below six rounds"
        if low is None or high is None
        else f"95 % interval {100 * low:.2f} to {100 * high:.2f} %"
    )
    print(f"step time with the sampler: {100 * found['median']:+.2f} % ({interval})")
    print(f"sampler: {reads / life_s:.1f} readings a second, {100 * cpu_s / life_s:.2f} % of a core with its start")


if __name__ == "__main__":
    main()
