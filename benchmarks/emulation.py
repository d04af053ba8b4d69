"""How faithful are emulated boards? Messages and all-reduces against the limit of their links, and speed against the quota.

    python -m benchmarks.emulation --clusters emulated2,emulated4,emulated-switches --rates 1.0e+9,1.0e+8 --rounds 10
    python -m benchmarks.emulation --clusters emulated2 --rates 1.0e+9 --dilations none,4,16

Needs root. Brings each testbed up, measures with one mpirun per rate, and takes it down. Within it the cases take turns:
a round has each of them once, in changing order, so what slows the machine slows all. A ratio of 1 is what the link
allows: the bytes that must pass it over its rate, without any header. With ``--dilations`` links are slower, and rates and
limits are told in the boards' time: ratios should stay. Whether strategies compare as they did is the question of
``benchmarks.dilated_shelves``; ``python -m bench.testbed up cluster.dilation=class`` says what neighbours take from each other.

| case           | what                                                              | limit for M bytes, rate b |
|----------------|-------------------------------------------------------------------|---------------------------|
| message        | one message after a pause, and its answer of 4 bytes              | M / b                     |
| stream         | 4 messages, one after the other, in one direction                 | M / b, each               |
| ring           | our ring all-reduce (``comm.all_reduce=ring``) over all boards    | 2 (n-1)/n M / b           |
| mpi            | Open MPI's own choice (``comm.all_reduce=mpi``)                   | as ring, whatever it does |
| processor      | every board multiplies matrices at once: CPU seconds per second   | its quota                 |
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.common.median_interval import median_interval
from bench.common.paths import PROJECT
from bench.common.user_error import UserError
from bench.config.host_config import Host
from bench.config.testbed_config import Testbed
from bench.emulation import lifecycle
from bench.emulation.dilated_testbed import dilation_by, in_machine_time
from bench.emulation.kernel_network import check_machine, try_out
from bench.emulation.state_files import STATE, Lock, agent_command, read_state
from bench.launch.mpirun import Job, find_mpirun, launcher_for, own_environment
from bench.testbed.testbed_command import testbed_of

if TYPE_CHECKING:
    from mpi4py import MPI

KIB = 1024
STREAM = 4
PAUSE_S = 0.02
WORK_S = 0.5
TIMEOUT_S = 900


def path_bit_s(testbed: Testbed, one: int, other: int) -> float:
    """The rate of the slowest link between two boards."""
    a, b = testbed.boards[one], testbed.boards[other]
    rates = [a.link.rate_bit_s, b.link.rate_bit_s]
    if a.switch != b.switch and testbed.uplink is not None:
        rates.append(testbed.uplink.rate_bit_s)
    return min(rates)


def work_of(testbed: Testbed, hosts: Sequence[Host], sizes: Sequence[int], rounds: int) -> dict[str, Any]:
    """What the ranks are told: pairs that send to each other, and the rates that limit them."""
    count = len(testbed.boards)
    # Neighbours, and across the uplink where there is one.
    across = [[0, other] for other in range(count) if testbed.boards[other].switch != testbed.boards[0].switch]
    pairs = [[0, 1], *across[:1]]
    return {
        "pairs": [{"pair": pair, "rate_bit_s": path_bit_s(testbed, *pair)} for pair in pairs],
        "ring_bit_s": min(path_bit_s(testbed, rank, (rank + 1) % count) for rank in range(count)),
        "sizes": list(sizes),
        "rounds": rounds,
        "threads": [host.threads or 1 for host in hosts],
    }


def measure(testbed: Testbed, hosts: Sequence[Host], work: Mapping[str, Any]) -> dict[str, Any]:
    """Run the ranks on the boards, one on each. Raises UserError with the end of their output where they fail."""
    launcher = launcher_for(find_mpirun())
    with tempfile.TemporaryDirectory() as folder:
        hostfile = Path(folder) / "hostfile"
        hostfile.write_text(launcher.hostfile(hosts))
        job = Job(
            ranks=len(hosts),
            hosts=hosts,
            hostfile=hostfile,
            module="benchmarks.emulation",
            arguments=["--worker", json.dumps(work)],
            environment={"PYTHONPATH": str(PROJECT)},
            interface=testbed.network,
            root=os.geteuid() == 0,
            agent=agent_command(testbed.name),
        )
        done = subprocess.run(
            launcher.command(job), cwd=PROJECT, env=own_environment(), capture_output=True, text=True, timeout=TIMEOUT_S
        )
    found = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not found:
        raise UserError(f"the ranks on {testbed.name} ended with {done.returncode}: {(done.stdout + done.stderr)[-500:]}")
    result: dict[str, Any] = json.loads(found[-1])
    return result


def rows(testbed: Testbed, work: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Lines of the table: median ratio to the limit, with its 95 % interval by rank."""
    lines, count = [], len(testbed.boards)
    for case in found["cases"]:
        limits = [case["limit_s"]] * len(case["times_s"])
        ratio = median_interval([t / limit for t, limit in zip(case["times_s"], limits, strict=True)])
        size = f"{case['size'] // KIB} KiB"
        factor = testbed.factor or 1.0
        rate = f"{factor * case['rate_bit_s'] / 1e6:g} | {factor:g}"
        lines.append(f"| {count} | {rate} | {case['name']} | {size} | {1e3 * case['limit_s'] / factor:.2f} | {_shown(ratio)} |")
    for board, cores in zip(testbed.boards, found["cores"], strict=True):
        if board.quota_cores is not None:
            ratio = median_interval([value / board.quota_cores for value in cores])
            lines.append(f"| {count} | | | processor of {board.name} | {board.quota_cores:.3f} cores | | {_shown(ratio)} |")
    return lines


def _shown(ratio: Mapping[str, Any]) -> str:
    if ratio["ci_low"] is None:
        return f"{ratio['median']:.2f}"
    return f"{ratio['median']:.2f} ({ratio['ci_low']:.2f} to {ratio['ci_high']:.2f})"


def worker(work: Mapping[str, Any]) -> None:
    """On every rank: all cases in turns; rank 0 prints the times as JSON."""
    import torch
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    torch.set_num_threads(work["threads"][comm.rank])
    cases = make_cases(comm, work)
    times: list[list[float]] = [[] for _ in cases]
    cores: list[list[float]] = []
    for number in range(-1, work["rounds"]):  # the first round warms up
        order = list(range(len(cases)))
        for index in order if number % 2 else reversed(order):
            comm.Barrier()
            took = comm.bcast(cases[index][1]())  # as rank 0, which takes part in all, sees it
            if number >= 0:
                times[index].append(took)
        cores.append(busy(comm))
    if comm.rank == 0:
        results = [{**about, "times_s": taken} for (about, _), taken in zip(cases, times, strict=True)]
        print(json.dumps({"cases": results, "cores": list(zip(*cores[1:], strict=True))}), flush=True)


def make_cases(comm: MPI.Intracomm, work: Mapping[str, Any]) -> list[tuple[dict[str, Any], Callable[[], float]]]:
    """What is measured, each with its limit, and a call that gives seconds."""
    import torch
    from mpi4py import MPI

    from strategies.comm.all_reduce_algorithms import ring
    from strategies.comm.waiting import Waiting

    found: list[tuple[dict[str, Any], Callable[[], float]]] = []
    answer = bytearray(4)

    def message(buffer: bytearray, pair: Sequence[int], count: int) -> float:
        """``count`` messages and an answer: seconds of each."""
        time.sleep(PAUSE_S)
        if comm.rank not in pair:
            return 0.0
        begin = time.monotonic()
        if comm.rank == pair[0]:
            for _ in range(count):
                comm.Send(buffer, pair[1])
            comm.Recv(answer, pair[1])
        else:
            for _ in range(count):
                comm.Recv(buffer, pair[0])
            comm.Send(answer, pair[0])
        return (time.monotonic() - begin) / count

    def reduce(call: Callable[[], object]) -> float:
        begin = time.monotonic()
        call()
        took: float = comm.allreduce(time.monotonic() - begin, op=MPI.MAX)
        return took

    for size in work["sizes"]:
        buffer, tensor = bytearray(size), torch.ones(size // 4)
        numbers, summed = tensor.numpy(), torch.empty(size // 4).numpy()
        for about in work["pairs"]:
            pair, rate = about["pair"], about["rate_bit_s"]
            limit = {"size": size, "rate_bit_s": rate, "limit_s": 8 * size / rate}
            for name, count in (("message", 1), ("stream", STREAM)):
                found.append(({"name": name, **limit}, lambda b=buffer, p=pair, n=count: message(b, p, n)))  # type: ignore[misc]
        share, rate = 2 * (comm.size - 1) / comm.size, work["ring_bit_s"]
        limit = {"size": size, "rate_bit_s": rate, "limit_s": 8 * share * size / rate}
        calls: dict[str, Callable[[], object]] = {
            "ring": lambda t=tensor: ring(comm, t, Waiting("spin")),  # type: ignore[misc]
            "mpi": lambda n=numbers, s=summed: comm.Allreduce(n, s),  # type: ignore[misc]
        }
        found += [({"name": name, **limit}, lambda c=call: reduce(c)) for name, call in calls.items()]  # type: ignore[misc]
    return found


def busy(comm: MPI.Intracomm) -> list[float]:
    """CPU seconds per second of each rank, while all of them compute."""
    import torch

    matrix = torch.randn(192, 192)
    comm.Barrier()
    begin, used = time.monotonic(), time.process_time()
    while time.monotonic() < begin + WORK_S:
        matrix @ matrix
    share = (time.process_time() - used) / (time.monotonic() - begin)
    return comm.allgather(share)


def measured_rows(words: Sequence[str], sizes: Sequence[int], rounds: int) -> list[str]:
    """Bring the boards of a command line up, measure, and take them down if they were: lines of the table."""
    plain, hosts = testbed_of(words)
    check_machine(plain)
    dilation = None
    if plain.dilation is not None:
        if not isinstance(plain.dilation, (int, float)):
            raise UserError(f"--dilations {plain.dilation} needs a model to be measured with; give a number, such as 4")
        dilation = dilation_by(plain, float(plain.dilation), "given as a number", try_out(["netem", "delay", "1ms"]) is None)
    testbed = in_machine_time(plain, dilation)
    with Lock(testbed.name):
        was_up = read_state(testbed.name, STATE) is not None
        try:
            lifecycle.up(testbed)
            work = work_of(testbed, hosts, sizes, rounds)
            return rows(testbed, work, measure(testbed, hosts, work))
        finally:
            if not was_up:
                lifecycle.down(testbed.name)


def main(argv: Sequence[str]) -> int:
    """Run on this machine, or as a rank with ``--worker``; prints a Markdown table."""
    if argv[:1] == ["--worker"]:
        worker(json.loads(argv[1]))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clusters", default="emulated2,emulated4")
    parser.add_argument("--rates", default="1.0e+9,1.0e+8", help="of every board's link, bits per second")
    parser.add_argument("--dilations", default="none", help="none, or seconds of this machine for one of the boards")
    parser.add_argument("--sizes", default="64,1024,8192", help="of the messages, KiB")
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args(argv)
    print("| boards | Mbit/s | dilation | case | size | limit, ms | measured / limit (95 %) |")
    print("| ---: | ---: | ---: | --- | ---: | ---: | --- |")
    sizes = [int(size) * KIB for size in given.sizes.split(",")]
    try:
        for cluster in given.clusters.split(","):
            for rate in given.rates.split(","):
                for dilation in given.dilations.split(","):
                    words = [f"cluster={cluster}", f"cluster.link_rate_bit_s={rate}", f"cluster.dilation={dilation}"]
                    print("\n".join(measured_rows(words, sizes, given.rounds)), flush=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
