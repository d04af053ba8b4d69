"""perun's HDF5 or JSON: a tree of application, executions, rounds, nodes, device groups and sensors with their raw readings.

A sensor has the series ``timesteps`` (s since the first reading of the round) and ``values``, each with its unit and the factor
``mag``, and since perun 0.7 the counter itself in ``alt_values`` where ``values`` are watts made from it
(``analysis/imports/log/perun_tree.py``). An execution has its begin, ``execution_dt``, in local time without a zone. When the
first reading was taken is not recorded: perun starts a process for that, which takes seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.imports.log import civil_times
from analysis.imports.log.log_format import LOG_FORMATS, LogFormat
from analysis.imports.log.log_text import head_text
from analysis.imports.log.meter_log import SCALE, IntArray, Log, LogOptions, Readings, check_order, check_values, usual_period_s
from analysis.imports.log.perun_tree import PerunNode, Series, read_tree
from bench.common.user_error import UserError
from bench.joules.channel import EVERYTHING, Channel
from strategies.common.registry import did_you_mean

APPLICATION, EXECUTION, ROUND, NODE, _, SENSOR = range(1, 7)
INSIDE = {"node": (EVERYTHING,), "socket": ("cpu", "sysio"), "cpu": (), "gpu": (), "ram": (), "sysio": ()}
"""Contents of a device's sensor beside the device: all of its node, or sensors of these devices. Others are in no sum."""
COUNTER_UPDATE_S = 0.001
"""RAPL, which is the only counter that perun reads."""
MOST_S = 3.2e8


HDF5 = b"\x89HDF\r\n\x1a\n"


@LOG_FORMATS.register
class PerunFile(LogFormat):
    """perun's HDF5 or JSON file."""

    name = "perun"
    place = 10
    column_noun = "nodes"
    offset_reason = (
        "perun tells when it was started, not when it took its first reading, which is seconds later; give "
        "that time as --offset-s, or --offset-s 0 for perun monitor --binary, which reads at once"
    )

    @classmethod
    def recognises(cls, head: bytes) -> bool:
        """Any HDF5 file, and any JSON."""
        return head.startswith(HDF5) or head_text(head).lstrip()[:1] in ("{", "[")

    @classmethod
    def read(cls, path: Path, options: LogOptions) -> Log:
        """A stretch of readings for each node of each execution, called by the node's name."""
        return read(path, options)


def read(path: Path, options: LogOptions) -> Log:
    """A stretch of readings for each node of each execution, called by the node's name.

    Args:
        path: The file.
        options: ``columns`` are nodes.

    Returns:
        The readings of the nodes that are chosen; what was not asked for is named as unused.

    Raises:
        UserError: h5py is not installed, the file is of no known version of perun, or a sensor lacks readings.
    """
    app = read_tree(path, hdf5=not _is_json(path))
    if app.kind != APPLICATION:
        raise UserError(f"{path} is no file of perun: its top is no application")
    _check_nodes(path, app, options)
    readings, unused, notes = [], [], []
    for execution in app.children:
        rounds = execution.children
        unused += [f"round {number} of {execution.name}: perun does not say when it began" for number in range(1, len(rounds))]
        begin_ns = _begin(path, execution, options)
        for node in (node for first in rounds[:1] for node in first.children):
            if options.columns and node.name not in options.columns:
                unused.append(f"node {node.name} of {execution.name}")
            else:
                readings.append(_node(path, node, begin_ns, options))
                silent = [sensor.name for sensor in node.below(SENSOR) if not sensor.series and sensor.device in INSIDE]
                notes += [f"sensor {name} of {node.name} has no readings: it is in no total" for name in silent]
    if not readings:
        raise UserError(f"{path} has no execution with readings of a node")
    return Log(path, PerunFile.name, tuple(readings), tuple(unused), tuple(notes))


def _is_json(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return head_text(file.read(64)).lstrip()[:1] in ("{", "[")
    except OSError:
        return False  # opening it as HDF5 says why


def _check_nodes(path: Path, app: PerunNode, options: LogOptions) -> None:
    known = sorted({node.name for node in app.below(NODE)})
    for name in options.columns:
        if name not in known:
            raise UserError(f"{path} has no node {name}; nodes are {', '.join(known)}{did_you_mean(name, known)}")


def _begin(path: Path, execution: PerunNode, options: LogOptions) -> int:
    if execution.begun is None:
        raise UserError(f"{path}: execution {execution.name} has no execution_dt, so it cannot be placed in time")
    return civil_times.moment_ns(f"{path}, execution_dt of {execution.name}", execution.begun, options.zone)


def _node(path: Path, node: PerunNode, begin_ns: int, options: LogOptions) -> Readings:
    where = f"{path}, node {node.name}"
    sensors = list(node.below(SENSOR))
    powered = [sensor for sensor in sensors if (series := _values(sensor)) is not None and series.unit in ("W", "J")]
    devices = {sensor.name: sensor.device for sensor in powered}
    known = [sensor for sensor in powered if sensor.device in INSIDE]
    if not known:
        raise UserError(f"{where} has no sensor of power or energy of its node, CPU, GPU or memory; perun found none there")
    since_s = _seconds(where, known)
    t_ns = begin_ns + np.rint(since_s * 1e9).astype(np.int64)
    check_order(where, t_ns, first_row=1)
    channels = [_channel(where, sensor, devices, usual_period_s(t_ns), options) for sensor in known]
    left_out = {sensor.name: "perun does not say what it contains" for sensor in powered if sensor not in known}
    left_out |= {sensor.name: "it has no readings" for sensor in sensors if not sensor.series and sensor.device in INSIDE}
    return Readings(
        name=node.name,
        source=PerunFile.name,
        kind=options.kind or "measured",
        channels=tuple(channel for channel, _ in channels),
        t_ns=t_ns,
        # Times are kept in single precision, which is coarser the longer the run is.
        known_ns=int(np.ceil(np.spacing(np.float32(since_s[-1])) * 1e9)),
        raw=np.stack([raw for _, raw in channels], axis=1),
        left_out=tuple({"source": f"perun {name}", "why": why} for name, why in left_out.items()),
        not_measured=("what perun has no sensor of: power supply, board, network",),
    )


def _seconds(where: str, sensors: Sequence[PerunNode]) -> NDArray[np.float64]:
    """The times of the readings since the first one, in seconds, which all sensors of a node share."""
    for sensor in sensors:
        times, values = sensor.series.get("timesteps"), _values(sensor)
        if times is None or values is None:
            raise UserError(f"{where}, sensor {sensor.name} has values without times; measure again, or take the sensor out")
        if len(times.numbers) != len(values.numbers):
            raise UserError(
                f"{where}, sensor {sensor.name} has {len(values.numbers)} values at {len(times.numbers)} times; perun was "
                "ended before it had written all; measure again"
            )
    first = sensors[0].series["timesteps"]
    other = next((one for one in sensors if not np.array_equal(one.series["timesteps"].numbers, first.numbers)), None)
    if other is not None:
        counts = f"{len(other.series['timesteps'].numbers)} and {len(first.numbers)} readings"
        raise UserError(
            f"{where}: sensors {other.name} and {sensors[0].name} have different times ({counts}), which no known version of "
            "perun writes; a sum of them would be smaller than the whole"
        )
    seconds: NDArray[np.float64] = first.numbers * first.factor
    if len(seconds) < 2 or not ((seconds >= 0) & (seconds <= MOST_S)).all():
        raise UserError(f"{where} has {len(seconds)} reading(s) with times that perun could have; energy needs two at least")
    return seconds


def _values(sensor: PerunNode) -> Series | None:
    counter = sensor.series.get("alt_values")
    return counter if counter is not None and counter.unit == "J" else sensor.series.get("values")


def _channel(
    where: str, sensor: PerunNode, devices: dict[str, str], period_s: float, options: LogOptions
) -> tuple[Channel, IntArray]:
    series = _values(sensor)
    assert series is not None  # ``_node`` takes no other sensors
    counter = series.unit == "J"
    scaled = series.numbers * series.factor
    check_values(f"{where}, sensor {sensor.name}", scaled, range(1, len(scaled) + 1), "J" if counter else "W")
    inside = INSIDE[sensor.device]
    within = inside if EVERYTHING in inside else tuple(other for other, device in devices.items() if device in inside)
    wraps = series.valid_max * series.factor / SCALE
    channel = Channel(
        id=sensor.name,
        kind="counter" if counter else "power",
        scale=SCALE,
        scope=f"{sensor.device} by perun",
        level=options.level or "package",
        modulus=round(wraps) if counter and 0 < wraps < 2**62 else None,
        update_period_s=COUNTER_UPDATE_S if counter else period_s,
        lsb=max(series.factor / SCALE, 1.0) if series.whole else 1.0,
        accuracy=options.accuracy,
        contains=within,
    )
    return channel, np.rint(scaled / SCALE).astype(np.int64)
