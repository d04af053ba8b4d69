"""The command line of the benchmark.

    python -m benchmarks.peers                                          two ranks on this machine's shared memory
    python -m benchmarks.peers --ranks 2,4 --boards 2,4 --rate 1gbit,100mbit,wifi-5 --out peers.json
    python -m benchmarks.peers --markdown peers.json more.json          the table again, from what was measured
    python -m benchmarks.peers --markdown peers.json --into PAGE.md     into a page of the documentation
    python -m benchmarks.peers --markdown old.json new.json --out old.json    one record of both, later lines count
    mpirun -n 2 --bind-to none python -m mpi4py -m benchmarks.peers     on ranks of your own mpirun

Both sides of a line live at once and take turns: a round is a few steps of one, then of the other, and the next round begins
with the other. The table has the median ratio of the rounds with its 95 % interval by rank, which needs six rounds. Losses of
both sides are compared step by step: another loss is another computation, and the line says so in the place of a ratio. The
limit (``benchmarks/schedule_limit.py``) follows from what one process needs for the whole batch; all ranks run it at the same
time, so that they contend for memory as in the real step.

With --boards the ranks run on network namespaces of this machine whose links are held to --rate; needs root. They are brought
up and taken down here, also after a crash. All boards share this machine's cores.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from bench.commands.run_command import INSIDE_MPI
from bench.common.exit_codes import BAD_INPUT, INTERRUPTED
from bench.common.user_error import UserError
from benchmarks.peers.peer_pairs import MODELS, PAIRS, chosen_pairs, workload
from benchmarks.peers.starting.peer_boards import boards_up, guarded, hosts_of, link_of, testbed_of
from benchmarks.peers.starting.peer_jobs import Interrupted, Place, check_ranks, measure_all, new_run_id
from benchmarks.peers.starting.peer_order import Order
from benchmarks.peers.tables.peer_record import SHARED_MEMORY, read_records, write_record
from benchmarks.peers.tables.peer_sheet import Sheet
from benchmarks.peers.tables.peer_tables import markdown, with_table
from strategies.common.plan_error import PlanError
from strategies.common.registry import did_you_mean

COMM_KEYS = ("wait", "progress", "all_reduce")


def parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default="minilm", help=f"of {', '.join(MODELS)}, separated by commas")
    parser.add_argument("--pairs", default="", help="only lines that contain one of these words, separated by commas")
    parser.add_argument("--ranks", help="on shared memory, separated by commas; default: 2, or none with --boards")
    parser.add_argument("--boards", default="", help="emulated boards, such as 2,4")
    parser.add_argument("--rate", default="1gbit", help="of the boards' links: 1gbit, 100mbit, 50mbit, or of conf/link: wifi-5")
    parser.add_argument("--rounds", type=int, default=6, help="of each line, at most; six are needed for an interval")
    parser.add_argument("--steps", type=int, default=1, help="steps of one side in a round")
    parser.add_argument("--budget", type=float, help="seconds of one line; rounds end with it")
    parser.add_argument("--hang", type=float, default=1800.0, help="seconds after which a line is given up")
    parser.add_argument("--no-limit", action="store_true", help="leave out the one process, and with it the limit")
    parser.add_argument("--comm", default="", help=f"of ours: KEY=VALUE of {', '.join(COMM_KEYS)}, separated by commas")
    parser.add_argument("--store", help="under an mpirun over several hosts: a new file that all see, for gloo to meet")
    parser.add_argument("--out", type=Path, help="what was measured, as .json or .csv")
    parser.add_argument("--markdown", type=Path, nargs="+", metavar="FILE", help="print the table of these JSON files")
    parser.add_argument("--into", type=Path, metavar="PAGE", help="with --markdown: replace the table of this page")
    parser.add_argument("--list", action="store_true", help="print the lines of the table")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line: 2 for what the user can mend, 1 where a line has no ratio."""
    options = parser().parse_args(argv)
    if options.worker is not None:
        from benchmarks.peers.peer_worker import run_order

        return run_order(options.worker)
    try:
        if options.list:
            print("\n".join(pair.title for pair in PAIRS))
            return 0
        if options.markdown:
            show_table(options.markdown, options.into, options.out)
            return 0
        check(options)
        if any(name in os.environ for name in INSIDE_MPI):
            return by_hand(options)
        signal.signal(signal.SIGTERM, interrupt)
        return compare(options)
    except (UserError, PlanError) as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except (Interrupted, KeyboardInterrupt):
        print("interrupted; nothing of it runs on", file=sys.stderr)
        return INTERRUPTED


def show_table(records: Sequence[Path], page: Path | None, out: Path | None = None) -> None:
    """The table of what was measured.

    Args:
        records: JSON files; where two have the same line, that of the later one counts.
        page: The page that gets it; None: it is printed.
        out: A file for all of it; None: it is not kept.

    Raises:
        UserError: A file is none of these, or the page cannot be written.
    """
    check_out(out)
    record = read_records(records)
    table = markdown(record)
    if out is not None:
        write_record(record, out)
    if page is None:
        print(table, end="")
        return
    try:
        page.write_text(with_table(page.read_text(), table))
    except OSError as error:
        raise UserError(f"--into {page}: {error.strerror}; give a page that is there") from None


def interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends the run as Ctrl-C does."""
    raise KeyboardInterrupt


def check(options: argparse.Namespace) -> None:
    """Refuse what cannot be meant, before anything is started.

    Args:
        options: Of the command line.

    Raises:
        UserError: One line for the first of it.
    """
    for name in words(options.models):
        workload(name)
    chosen_pairs(words(options.pairs))
    for name, least in (("rounds", 1), ("steps", 1), ("budget", 1), ("hang", 1)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise UserError(f"--{name} {value:g} must be at least {least}")
    for key in comm_words(options.comm):
        if key not in COMM_KEYS:
            raise UserError(f"--comm {key}= is unknown; use {', '.join(COMM_KEYS)}{did_you_mean(key, COMM_KEYS)}")
    for word in words(options.rate):
        link_of(word)
    for count in numbers("boards", options.boards):
        testbed_of(count, link_of("1gbit"))
    for count in numbers("ranks", options.ranks or ""):
        check_ranks(count)
    check_out(options.out)


def check_out(out: Path | None) -> None:
    """Refuse a file that cannot be written.

    Args:
        out: As of the command line.

    Raises:
        UserError: It is of another kind, or in no folder.
    """
    if out is not None and out.suffix not in (".json", ".csv"):
        raise UserError(f"--out {out} must end with .json or .csv")
    if out is not None and not out.parent.is_dir():
        raise UserError(f"--out {out}: there is no folder {out.parent}")


def words(text: str) -> list[str]:
    """Words that commas separate; none in an empty text."""
    return [word.strip() for word in text.split(",") if word.strip()]


def numbers(option: str, text: str) -> list[int]:
    """Whole numbers that commas separate. Raises UserError for what is none."""
    for word in words(text):
        if not word.isdigit():
            raise UserError(f"--{option} {word} is no whole number; use such as --{option} 2,4")
    return [int(word) for word in words(text)]


def comm_words(text: str) -> dict[str, str]:
    """``wait=poll,progress=thread`` by key. Raises UserError for a word without a value."""
    for word in words(text):
        if "=" not in word:
            raise UserError(f"--comm {word} has no value; use such as --comm wait=poll,progress=thread")
    return dict(word.split("=", 1) for word in words(text))


def compare(options: argparse.Namespace) -> int:
    """Start ranks on shared memory, then on boards at each rate; prints the table as it comes.

    Args:
        options: Of the command line.

    Returns:
        1 where a line has no ratio, else 0.

    Raises:
        Interrupted: By the user, after the record is written.
    """
    boards, run_id = numbers("boards", options.boards), new_run_id()
    ranks = numbers("ranks", options.ranks or ("" if boards else "2"))
    with Sheet(about_machine(), options.out) as sheet:
        for count in ranks:
            order = order_of(options, SHARED_MEMORY, None)
            with sheet.refusing(order, count), guarded(run_id, []):
                measure_all(Place(count), order, run_id, sheet.show)
        for count in boards:
            for word in words(options.rate):
                on_boards(count, order_of(options, word, link_of(word).rate_bit_s), run_id, sheet)
    return sheet.code


def on_boards(count: int, order: Order, run_id: str, sheet: Sheet) -> None:
    """One number of boards at one rate. What cannot be emulated is a line, and the rest of the table goes on.

    Args:
        count: Boards.
        order: What is measured; its network is the rate as it was asked for.
        run_id: Of the ranks.
        sheet: Takes what is measured.
    """
    testbed = testbed_of(count, link_of(order.network))
    with sheet.refusing(order, count), boards_up(testbed, run_id):
        measure_all(Place(count, testbed, hosts_of(testbed)), order, run_id, sheet.show)


def by_hand(options: argparse.Namespace) -> int:
    """Inside somebody's own mpirun.

    Args:
        options: Of the command line.

    Returns:
        As ``compare``, on rank 0.

    Raises:
        UserError: An option needs a mpirun of the benchmark's own.
    """
    if options.boards or options.ranks:
        raise UserError("--boards and --ranks start ranks; run python -m benchmarks.peers without mpirun")
    from benchmarks.peers.peer_worker import run_by_hand

    rank = int(next(os.environ[name] for name in INSIDE_MPI if name in os.environ))
    with Sheet(about_machine(), options.out if rank == 0 else None, quiet=rank > 0) as sheet:
        run_by_hand(order_of(options, SHARED_MEMORY, None), sheet.show)
    return sheet.code


def order_of(options: argparse.Namespace, network: str, rate_bit_s: float | None) -> Order:
    """What the ranks of one place are to measure.

    Args:
        options: Of the command line.
        network: As the table names it.
        rate_bit_s: Of its links.

    Returns:
        The order; lines without a peer are in it only where the limit is.
    """
    pairs = [pair for pair in chosen_pairs(words(options.pairs)) if pair.peer is not None or not options.no_limit]
    return Order(
        network=network,
        rate_bit_s=rate_bit_s,
        lines=tuple((model, PAIRS.index(pair)) for model in words(options.models) for pair in pairs),
        rounds=options.rounds,
        steps=options.steps,
        budget_s=options.budget,
        hang_s=options.hang,
        limit=not options.no_limit,
        comm=comm_words(options.comm),
        store=options.store,
    )


def about_machine() -> str:
    """A line about what it is measured on."""
    import torch

    cores = os.cpu_count() or 1
    versions = f"torch {torch.__version__}, Python {platform.python_version()}"
    return f"{cores} cores, {platform.machine()}, {versions}; Open MPI against gloo, fp32"


if __name__ == "__main__":
    sys.exit(main())
