"""``python -m bench.calibrate sensor``: a board's sensor against a meter. ``model``: the board's power model.

``python -m bench.calibrate waiting``: what a waiting rank draws.

``docs/how-to/calibration.md`` says when, how, and what the intervals mean.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

import yaml

from bench.calibrate import model_verb
from bench.calibrate.meter_words import entry_of, meter_of
from bench.cluster.board_files import load_board
from bench.common import terminal_table
from bench.common.exit_codes import BAD_INPUT, FAILED, INTERRUPTED
from bench.common.paths import CONF, conf_folders
from bench.common.program_names import as_called
from bench.common.user_error import UserError
from bench.energy.calibration import side_by_side, waiting_power
from bench.energy.calibration.sensor_fit import Fit, fit, is_full_test, write_calibration
from bench.energy.sampling.energy_settings import energy_settings
from bench.energy.sensor_base.source_choice import check_name

EXAMPLES = """examples:
  python -m bench.calibrate sensor --source jetson --meter 'source: shelly, address: http://192.168.1.50, accuracy: 0.01' \\
      --host board1
  python -m bench strategy=data cluster=two-boards energy.calibration=calibration/     # uses it
  python -m bench.calibrate model --meter 'source: shelly, address: http://192.168.1.50, accuracy: 0.01' --board raspberry-pi-4
  python -m bench.calibrate waiting
"""


class _Parser(argparse.ArgumentParser):
    """Complains in one line, as all of our command lines do."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see {self.prog} --help")


def parser() -> argparse.ArgumentParser:
    """The words of the command line."""
    top = _Parser(
        prog="python -m bench.calibrate",
        description="Compare a board's sensor with a meter, fit its power model, or measure what waiting costs.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = top.add_subparsers(dest="verb", metavar="sensor|model|waiting", required=True)
    more: dict[str, Any] = {"epilog": EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter}

    one = verbs.add_parser("sensor", help="gain and offset of this board's sensor against a meter", **more)
    one.add_argument("--source", required=True, help="the board's source: jetson, rapl, ...; modelled fits the model's watts")
    one.add_argument("--meter", required=True, help="as in an inventory's meters: 'source: shelly, address: http://...'")
    one.add_argument("--out", type=Path, default=Path("calibration"), help="folder for HOST-SOURCE.json (default: %(default)s)")
    one.add_argument("--seconds", type=float, default=60.0, help="of each measured segment (default: %(default)g)")
    one.add_argument("--settle", type=float, default=10.0, help="seconds of a load before its segment (default: %(default)g)")
    one.add_argument("--loads", default="0,0.5,1", help="fractions of the cores; 0 is idle (default: %(default)s)")
    one.add_argument("--rounds", type=int, default=3, help="how often each load is measured (default: %(default)s)")

    two = verbs.add_parser("waiting", help="watts of a rank that waits, spinning and polling", **more)
    two.add_argument("--ranks", type=int, default=2, help="the last one sleeps (default: %(default)s)")
    two.add_argument("--seconds", type=float, default=20.0, help="of each state in each round (default: %(default)g)")
    two.add_argument("--rounds", type=int, default=3, help="at least 2 (default: %(default)s)")
    two.add_argument("--source", default="auto", help="as energy.source; several with commas (default: %(default)s)")
    two.add_argument("--meter", help="a meter of this machine, as in an inventory's meters:")
    two.add_argument("--calibration", help="correct the sensor: as energy.calibration")
    two.add_argument("--mpirun", help="as cluster.mpirun")
    two.add_argument("--out", type=Path, default=Path("results/waiting.json"), help="file to write (default: %(default)s)")

    three = verbs.add_parser("model", help="the coefficients of this board's power model, with any meter", **more)
    model_verb.add_words(three)

    for verb in (one, two, three):
        verb.add_argument("--host", default="localhost", help="its name (else address) in the inventory (default: %(default)s)")
        verb.add_argument("--board", default="x86-mini-pc", help="its class, for modelled power (default: %(default)s)")
        verb.add_argument("--root", default="/", help="of sys and proc (default: %(default)s)")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 2 for what the user can mend, 1 for watts that cannot be trusted."""
    try:
        args = parser().parse_args(argv)
        return {"sensor": sensor, "model": model_verb.model, "waiting": wait}[args.verb](args)
    except UserError as error:
        print(f"error: {as_called(str(error))}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("interrupted; nothing is written", file=sys.stderr)
        return INTERRUPTED


def sensor(args: argparse.Namespace) -> int:
    """Fit gain and offset of a sensor to a meter and write them.

    Args:
        args: The words of the verb ``sensor``, parsed.

    Returns:
        The exit code.

    Raises:
        UserError: For a source that is no sensor, a bad protocol or meter, and segments that cannot be measured or fitted.
    """
    check_name(args.source)
    if args.source in ("none", "meters", "auto"):
        raise UserError(f"--source {args.source} is no sensor of this board; name one, such as jetson or rapl")
    protocol = side_by_side.Protocol(_numbers(args.loads), args.rounds, args.seconds, args.settle)
    protocol.check()
    meter = meter_of(args.meter, args.host)
    board = load_board(args.board, conf_folders("board"))
    compared = side_by_side.compare(args.source, meter, board, args.root, args.host, protocol, _say)
    sensor_fit = fit(compared.points, compared.accuracy, compared.against, compared.scope, date.today(), compared.level)
    source = compared.sensor.source
    report(sensor_fit, compared, args.host, protocol)
    path = side_by_side.calibration_path(args.out, args.host, source)
    about = {
        "kind": compared.sensor.kind,
        "meter": {"source": meter.source, **meter.settings},
        "meter_accuracy": compared.accuracy or None,
        "seconds": args.seconds,
        "settle_s": args.settle,
        "mlperf_test": is_full_test(compared.points, args.seconds),
        "warnings": list(compared.warnings),
    }
    write_calibration(path, args.host, source, sensor_fit, about)
    print(as_called(f"{path}; use it with: python -m bench energy.calibration={args.out}"))
    return 0


def report(sensor_fit: Fit, compared: side_by_side.Compared, host: str, protocol: side_by_side.Protocol) -> None:
    """Print the table, the line and what a reader should know.

    Args:
        sensor_fit: The fitted line with its points and intervals, watts.
        compared: What was measured side by side.
        host: The board's name in the inventory.
        protocol: Loads, rounds and seconds of the measurement.
    """
    calibration = sensor_fit.calibration
    title = f"{compared.sensor.source} of {host} against {calibration.against}"
    columns = ("load", ">round", ">sensor, W", ">meter, W", ">corrected, W", ">off, W")
    terminal_table.show(title, columns, side_by_side.table(sensor_fit))
    low, high = sensor_fit.gain_interval
    print(f"gain {calibration.gain:.4f}, 95 % interval {low:.4f} to {high:.4f}")
    low, high = sensor_fit.offset_interval_W
    print(
        f"offset {calibration.offset_W:.3f} W, 95 % interval {low:.3f} to {high:.3f} W "
        f"({sensor_fit.degrees} degrees of freedom)"
    )
    full = is_full_test(sensor_fit.points, protocol.seconds)
    within = " and ".join(
        f"{what} {'within' if apart <= 0.05 else 'not within'} 5 % of the meter ({100 * apart:.1f} %)"
        for what, apart in (
            ("the sensor as read is", sensor_fit.as_read),
            ("corrected, on these same segments,", sensor_fit.corrected),
        )
    )
    comparison = "as MLPerf Training tests a meter" if full else "fewer or shorter than MLPerf's five rounds of a minute"
    print(f"{within}; {comparison}")
    for warning in compared.warnings:
        print(f"warning: {warning}")
    if not compared.accuracy:
        print("warning: the meter's accuracy is not known and not in the intervals; give accuracy: 0.01 in --meter")


def wait(args: argparse.Namespace) -> int:
    """Measure the watts of a waiting rank.

    Args:
        args: The words of the verb ``waiting``, parsed.

    Returns:
        The exit code; FAILED where the watts cannot be trusted.

    Raises:
        UserError: For a source that reads nothing, a bad order or meter, and a file that cannot be written.
    """
    names: str | list[str] = args.source.split(",") if "," in args.source else args.source
    defaults = yaml.safe_load((CONF / "energy/auto.yaml").read_text())
    meters = {} if args.meter is None else {side_by_side.METER: entry_of(args.meter)}
    asked = {**defaults, "source": names, "meters": meters, "calibration": args.calibration, "root": args.root}
    energy = energy_settings(asked, [args.host], Path("hostfile"))
    if energy.source == "none":
        raise UserError("--source none reads nothing; use auto, or name a source")
    board = load_board(args.board, conf_folders("board"))
    order = waiting_power.Order(args.ranks, args.seconds, args.rounds, energy, board, args.host)
    order.check()
    _say(f"{order.about_s:.0f} s: {args.ranks} ranks on this machine, which should do nothing else")
    measurement = waiting_power.measure(order, args.mpirun)
    from bench.common.atomic_files import write_json

    columns = ("wait", "who waits", ">ranks", ">W above idle, one rank", ">95 % interval", ">cores used")
    terminal_table.show(
        f"{measurement['kind']} ({measurement['source']}), {args.rounds} rounds of {args.seconds:g} s",
        columns,
        waiting_power.table(measurement),
    )
    low, high = measurement["idle"]["interval_W"]
    print(f"idle {measurement['idle']['watts']:.3f} W, 95 % interval {low:.3f} to {high:.3f} W")
    if measurement["kind"] == "modelled":
        print(
            "warning: modelled from CPU utilisation, not measured: it shows the cores that waiting takes, in the class's watts"
        )
    for warning in measurement["warnings"]:
        print(f"warning: {warning}")
    try:
        write_json(args.out, measurement)
    except OSError as error:
        raise UserError(f"{args.out} cannot be written ({error.strerror or error}); give another --out") from None
    print(args.out)
    if measurement["status"] != "ok":
        print(f"invalid: {measurement['reason']}")
        return FAILED
    return 0


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise UserError(f"--loads {text} must be numbers with commas, such as 0,0.5,1") from None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
