"""``python -m bench.calibrate model``: the coefficients of this board's power model, in one session with any meter."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

from bench.calibrate.meter_words import meter_of
from bench.cluster.board_files import load_board
from bench.cluster.power_model_file import SCHEMA
from bench.common import terminal_table
from bench.common.paths import conf_folders
from bench.common.program_names import as_called
from bench.common.user_error import UserError
from bench.energy.calibration.model_fit import FittedModel, ModelPoint, fit_model
from bench.energy.calibration.model_loads import design, some_clocks, start
from bench.energy.calibration.model_session import METER, ModelSession
from bench.energy.sensor_base.load_counters import MEMORY, busy_ticks
from bench.energy.sensor_base.source_choice import WHOLE, check_name
from bench.joules.channel import Trace, cover
from bench.power_modes.controls import MaxFrequency
from bench.power_modes.machine_files import Machine

LEAST_U = 1e-3


def add_words(parser: argparse.ArgumentParser) -> None:
    """The words of the verb.

    Args:
        parser: Its parser, which has ``--host``, ``--board`` and ``--root`` besides.
    """
    parser.add_argument("--meter", help="as in an inventory's meters: 'source: shelly, address: http://...'")
    parser.add_argument("--source", help="or a sensor of this board: jetson, rapl, ...")
    parser.add_argument("--network", metavar="HOST:PORT", help="where bytes are sent to, for what a byte on the wire costs")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measured segment (default: %(default)g)")
    parser.add_argument("--settle", type=float, default=5.0, help="seconds of a load before its segment (default: %(default)g)")
    parser.add_argument("--rounds", type=int, default=2, help="how often each load is measured (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="file to write (default: models/HOST-BOARD.json)")


def model(args: argparse.Namespace) -> int:
    """Measure the loads, fit the model, write its file.

    Args:
        args: The words of the verb, parsed.

    Returns:
        The exit code.

    Raises:
        UserError: For words that do not fit together, a meter that cannot be read, and powers that no model fits.
    """
    _check(args)
    root, board = Path(args.root), load_board(args.board, conf_folders("board"))
    clocks_Hz, set_clock, restore, why = clocks_of(root)
    steps = design(len(busy_ticks((root / "proc/stat").read_text())[1]), clocks_Hz, args.network is not None)
    session = ModelSession(
        source=args.source,
        meters={} if args.meter is None else {METER: meter_of(args.meter, args.host)},
        board=board,
        host=args.host,
        root=root,
        seconds=args.seconds,
        settle_s=args.settle,
        rounds=args.rounds,
        load_of=lambda step: start(step, args.network),
        set_clock=set_clock,
    )
    about_s = args.rounds * len(steps) * (args.seconds + args.settle)
    print(f"{len(steps)} loads, about {about_s / 60:.0f} min; this board should do nothing else", file=sys.stderr)
    try:
        points, trace, warnings = session.run(steps, lambda line: print(line, file=sys.stderr, flush=True))
    finally:
        restore()
    fitted = fit_model(points, clocks_Hz, accuracy_of(trace))
    warnings += [why] if why else []
    if not any(root.glob(MEMORY)):
        warnings.append("bytes of the memory cannot be counted here: streams count as busy cores, and are in the residual")
    path = args.out or Path("models") / f"{args.host}-{args.board}.json"
    report(points, fitted, warnings)
    write_model(path, args.host, board.name, trace, points, fitted, warnings)
    print(
        as_called(
            f"{path}; name it in conf/board/{args.board}.yaml of your working folder: power: {{model: {path.absolute()}}}"
        )
    )
    return 0


def _check(args: argparse.Namespace) -> None:
    if (args.meter is None) == (args.source is None):
        raise UserError("give --meter (a meter in front of this board) or --source (a sensor of it), one of the two")
    if args.source is not None:
        check_name(args.source)
        if args.source in (*WHOLE, "none", "meters", "modelled", "emulated"):
            raise UserError(f"--source {args.source} is no sensor of this board; name one, such as jetson or rapl")
    if args.seconds <= 0 or args.settle < 0 or args.rounds < 1:
        raise UserError("--seconds must be above 0, --settle at least 0 and --rounds at least 1")


def clocks_of(root: Path) -> tuple[list[float], Callable[[float | None], None], Callable[[], None], str | None]:
    """The clocks that can be set on this host.

    Args:
        root: A real ``/``, or a tree.

    Returns:
        Clocks in Hz, rising (none where fewer than two can be set); what sets one (None: the highest); what puts back what was
        set before; and why there are none.
    """
    control = MaxFrequency(Machine(root), Path())
    try:
        before = control.read()
        rates = some_clocks([1000.0 * kHz for kHz in _steps_kHz(control)])
        control.apply(rates[-1])
    except (UserError, OSError) as problem:
        return [], lambda _: None, lambda: None, f"one clock only, that of the governor: {str(problem).split(';')[0]}"
    if len(rates) < 2:
        return [], lambda _: None, lambda: None, "one clock only: this board has no other"
    return rates, lambda clock: control.apply(clock or rates[-1]), lambda: control.restore(before), None


def _steps_kHz(control: MaxFrequency) -> list[int]:
    """The clocks of the slowest of all policies; without a list of them the ends and the middle."""
    folder = control.folders()[0]
    listed = folder / "scaling_available_frequencies"
    if listed.exists():
        return [int(word) for word in control.machine.need(listed).split()]
    low, high = (control.machine.need_number(folder / f"cpuinfo_{end}_freq") for end in ("min", "max"))
    return [low, (low + high) // 2, high]


def accuracy_of(trace: Trace) -> float:
    """The meter's relative standard uncertainty.

    Args:
        trace: Its readings.

    Returns:
        The largest of its channels; 0 where it is not known.
    """
    return max((trace.channels[index].accuracy or 0.0 for index in cover(trace.channels)), default=0.0)


def report(points: Sequence[ModelPoint], fitted: FittedModel, warnings: Sequence[str]) -> None:
    """Print the loads, the coefficients and what a reader should know.

    Args:
        points: The mean powers.
        fitted: The model.
        warnings: One line each.
    """
    rows = [
        [p.words, str(p.round + 1), f"{p.watts:.3f} ± {p.u_W:.3f}", f"{watts:.3f}", f"{watts / p.watts - 1:+.1%}"]
        for p, watts in zip(points, fitted.predicted_W, strict=True)
    ]
    terminal_table.show("mean power of each load", ("load", ">round", ">measured, W", ">model, W", ">off"), rows)
    at = "; ".join(f"{watts:.3f} W{f' at {clock / 1e9:g} GHz' if clock else ''}" for clock, watts in fitted.cpu_W_at)
    print(f"idle {fitted.idle_W:.3f} W, all cores busy {at} more, exponent {fitted.exponent:.3f}")
    for name, joules in (("memory", fitted.memory_J_per_byte), ("network", fitted.network_J_per_byte)):
        if joules is not None:
            print(f"{name} {joules:.3g} J per byte")
    print(
        f"residual {fitted.residual:.2%} ({fitted.degrees} degrees of freedom), with the meter's accuracy {fitted.model_u:.2%}"
    )
    for warning in warnings:
        print(f"warning: {warning}")


def write_model(
    path: Path,
    host: str,
    board: str,
    trace: Trace,
    points: Sequence[ModelPoint],
    fitted: FittedModel,
    warnings: Sequence[str],
) -> None:
    """Write the file of a fit, which a board class can name.

    Args:
        path: The file; its folders are made.
        host: The host that was measured.
        board: Its class.
        trace: The readings of the meter.
        points: The mean powers.
        fitted: The model.
        warnings: One line each.

    Raises:
        UserError: The coefficients are no model, or the file cannot be written.
    """
    from bench.common.atomic_files import write_json

    if fitted.idle_W <= 0 or fitted.cpu_W_at[-1][1] <= 0:
        raise UserError(f"the fit gives {fitted.idle_W:.3g} W idle and {fitted.cpu_W_at[-1][1]:.3g} W for busy cores: no model")
    against = f"{trace.source}: {trace.channels[cover(trace.channels)[0]].scope}"
    values = {
        "schema": SCHEMA,
        "made": date.today().isoformat(),
        "host": host,
        "board": board,
        "against": against,
        "power": _coefficients(fitted, f"fitted on {host} on {date.today().isoformat()} against {against}"),
        "residual": fitted.residual,
        "degrees": fitted.degrees,
        "points": [{**asdict(point), "model_W": watts} for point, watts in zip(points, fitted.predicted_W, strict=True)],
        "warnings": list(warnings),
    }
    try:
        write_json(path, values)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error}); give another --out") from None


def _coefficients(fitted: FittedModel, source: str) -> dict[str, object]:
    """The keys of ``power`` of a board class; a coefficient of 0 is left out."""
    numbers = {
        "idle_W": fitted.idle_W,
        "cpu_W": fitted.cpu_W_at[-1][1],
        "exponent": fitted.exponent,
        "memory_J_per_byte": fitted.memory_J_per_byte,
        "network_J_per_byte": fitted.network_J_per_byte,
        "model_u": math.hypot(fitted.model_u, LEAST_U),
    }
    power: dict[str, object] = {key: {"value": value, "source": source} for key, value in numbers.items() if value}
    at = [{"frequency_Hz": clock, "value": watts, "source": source} for clock, watts in fitted.cpu_W_at if clock and watts > 0]
    return {**power, "cpu_W_at": at} if len(at) > 1 else power
