"""``edgejoule monitor -- COMMAND``: the joules of any program; also under mpirun, inside srun, around or under torchrun.

``docs/how-to/monitor.md`` says how, and what the record has.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from bench.common.exit_codes import BAD_INPUT
from bench.common.program_names import as_called
from bench.common.user_error import UserError
from bench.monitor.agent_link import AgentLink, join
from bench.monitor.launcher_place import LauncherPlace, launcher_place
from bench.monitor.monitor_order import (
    MonitorOrder,
    board_of,
    check_command,
    described,
    energy_words,
    settings_of,
)
from bench.monitor.region import FOLDER, RANK
from bench.monitor.wrapped_command import WrappedCommand, pass_on

EXAMPLES = """examples:
  edgejoule monitor -- python train.py
  edgejoule monitor --energy source=rapl period_s=0.02 --idle 10 -- ./solver input.dat
  mpirun -n 4 --hostfile hosts edgejoule monitor --out results/mine -- ./solver
  srun -N 4 edgejoule monitor -- python train.py
  torchrun --nproc-per-node 2 --no-python edgejoule monitor -- python train.py
  edgejoule monitor --merge results/mine/solver-1a2b3c4d
"""
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$")


class _Parser(argparse.ArgumentParser):
    """Complains in one line, as all of our command lines do."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see edgejoule monitor --help")


def parser() -> argparse.ArgumentParser:
    """The words before ``--``."""
    top = _Parser(
        prog="edgejoule monitor",
        usage="edgejoule monitor [options] -- COMMAND ...",
        description="Measure the energy of any program. Its output, its input and its exit code stay as they are.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--out", type=Path, default=Path("results/monitor"), help="folder of the study (default: %(default)s)")
    top.add_argument("--name", help="the run's folder in it (default: the program's name, and the job or the time)")
    top.add_argument(
        "--energy",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="as energy.KEY of a point: source, period_s, root, meters.NAME, others.NAME, calibration, carbon.g_per_kWh, ...",
    )
    top.add_argument("--hostfile", type=Path, help="an inventory: names, board classes, meters and other parts of the hosts")
    top.add_argument("--host", help="this host's name (default: what it calls itself)")
    top.add_argument("--board", help="board class of hosts that have none in the inventory (conf/board): for modelled power")
    top.add_argument("--idle", type=float, default=0.0, metavar="SECONDS", help="measure idle power before the command starts")
    top.add_argument("--unmetered", action="store_true", help="run the command even where no sensor can be read")
    top.add_argument("--quiet", action="store_true", help="no line about the joules on standard error")
    top.add_argument("--merge", type=Path, metavar="DIR", help="make the record of a run whose parts were brought together")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the command's own exit code, or 2 for what the user can mend before it starts."""
    words = list(sys.argv[1:] if argv is None else argv)
    cut = words.index("--") if "--" in words else len(words)
    place = LauncherPlace()
    try:
        place = launcher_place(os.environ)
        args = parser().parse_args(words[:cut])
        if args.merge is not None:
            return merge(args.merge, words[cut + 1 :])
        return monitor(args, words[cut + 1 :], place)
    except UserError as error:
        if place.rank == 0 or isinstance(error, _OfThisHost):
            print(f"error: {as_called(str(error))}", file=sys.stderr, flush=True)
        return BAD_INPUT


class _OfThisHost(UserError):
    """What one host alone may have found: said by its first rank, which need not be rank 0."""


def merge(folder: Path, command: Sequence[str]) -> int:
    """Make the record of a run from the parts of its hosts.

    Args:
        folder: The run's folder.
        command: Words after ``--``, which must not be there.

    Returns:
        0.

    Raises:
        UserError: There is no part, or one cannot be read.
    """
    from bench.monitor.monitored_run import merge_parts

    if command:
        raise UserError(f"--merge runs nothing, so -- {command[0]} has no meaning; leave it out")
    print(merge_parts(folder))
    return 0


def monitor(args: argparse.Namespace, command: Sequence[str], place: LauncherPlace) -> int:
    """Run the command under the sensors of this host.

    Args:
        args: The words before ``--``, parsed.
        command: The words after it.
        place: Which rank of which job this is.

    Returns:
        The command's exit code; where a signal ended it, this process ends by the same.

    Raises:
        UserError: For what is wrong before the command starts.
    """
    order = make_order(args, command, place)
    alone = f"{order.folder}:{os.getpid() if place.launcher is None else _parent()}"
    link = join(place.job or alone, order)
    link.tell({"hello": place.rank})
    answer = link.answer()
    if answer is None and not args.unmetered:
        raise _OfThisHost(f"the agent that reads the sensors of {order.label} ended: {link.why_gone()}")
    if answer is not None and "refused" in answer:
        if link.starter:
            raise _OfThisHost(_of_host(order, answer["refused"]))
        return BAD_INPUT
    child = WrappedCommand(command, {FOLDER: str(link.regions), RANK: str(place.rank)}, to_group=place.launcher is not None)
    try:
        pid = child.start()
    except OSError as error:
        raise _OfThisHost(f"{command[0]} cannot be started ({error.strerror})") from None
    link.tell({"started": child.started_ns, "pid": pid, "own_group": child.own_group})
    ended = child.wait()
    link.tell({"ended": ended.t_ns, "code": ended.code})
    tell_end(link, args.quiet, order)
    return pass_on(ended.code)


def make_order(args: argparse.Namespace, command: Sequence[str], place: LauncherPlace) -> MonitorOrder:
    """What the agent of this host is to do.

    Args:
        args: The words before ``--``, parsed.
        command: The words after it.
        place: Which rank of which job this is.

    Returns:
        The order.

    Raises:
        UserError: One line for what cannot be.
    """
    check_command(command)
    if args.idle < 0 or not args.idle < 86400:
        raise UserError(f"--idle {args.idle:g} must be seconds, 0 or more and less than a day")
    label, board, hosts = described(args.hostfile, args.host or socket.gethostname(), args.board)
    block = energy_words(args.energy)
    alone = place.size == 1 or place.local_size == place.size
    settings = settings_of(block, label, hosts, args.hostfile, alone)
    folder = (args.out / run_name(args.name, command, place, alone)).absolute()
    return MonitorOrder(
        command=list(command),
        folder=str(folder),
        label=label,
        launcher=place.launcher,
        size=place.size,
        # Several names on one machine: nobody says how many ranks have this one.
        expected=place.local_size if args.host is None else None,
        energy=settings.to_dict(),
        board={"name": board_of(board).name},
        hosts=hosts,
        idle_s=args.idle,
        unmetered=args.unmetered,
    )


def run_name(name: str | None, command: Sequence[str], place: LauncherPlace, alone: bool) -> str:
    """The name of a run's folder, the same on all ranks.

    Args:
        name: What the user asked for, if anything.
        command: The command's words.
        place: Which rank of which job this is.
        alone: Whether all ranks are on this host.

    Returns:
        The name.

    Raises:
        UserError: It is no name for a folder, or hosts could not agree on one.
    """
    if name is not None:
        if not NAME.match(name):
            raise UserError(f"--name {name} must be at most 100 letters, digits and . _ + -, and begin with a letter or digit")
        return name
    program = next((Path(word).name for word in command[:3] if word.endswith((".py", ".sh"))), Path(command[0]).name)
    program = re.sub(r"[^A-Za-z0-9._+-]", "_", program).lstrip("._+-")[:60] or "run"
    if place.launcher is None:
        return f"{program}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}"
    if place.job is None and not alone:
        raise UserError(f"{place.launcher} gives its job no name that all hosts know; choose one with --name NAME")
    job = place.job or _parent()
    return f"{program}-{hashlib.sha256(job.encode()).hexdigest()[:10]}"


def _parent() -> str:
    """The process that started this one, told apart from a later one of the same number: the same for all ranks of a host."""
    parent = os.getppid()
    try:
        started = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        started = "?"
    return f"{socket.gethostname()}:{parent}:{started}"


def tell_end(link: AgentLink, quiet: bool, order: MonitorOrder) -> None:
    """Wait until this wrapper may end, and say what became of the joules: the last one of the last host does.

    Args:
        link: The connection to the agent.
        quiet: Say nothing but what is lost.
        order: The run.
    """
    answer = link.answer()
    if answer is None:
        print(
            f"edgejoule monitor: the readings of {order.label} are lost, its agent ended: {link.why_gone()}",
            file=sys.stderr,
            flush=True,
        )
    elif answer["done"] is not None and not quiet:
        print(f"edgejoule monitor: {as_called(answer['done'])}", file=sys.stderr, flush=True)


def _of_host(order: MonitorOrder, why: str) -> str:
    return f"{order.label}: {why}" if order.size > 1 else why
