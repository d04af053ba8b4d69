"""perun's HDF5: a tree of application, executions, rounds, nodes, device groups and sensors with their raw readings.

Each group has the attribute ``type`` (1 to 6 in that order) and a group ``nodes`` of its children; a sensor has ``raw_data``
with the data sets ``timesteps`` (s since the first reading of the round) and ``values``, each with its ``unit`` and the factor
``mag``, and since perun 0.7 the counter itself in ``alt_values`` where ``values`` are watts made from it. An execution has its
begin, ``execution_dt``, in local time without a zone. When the first reading was taken is not recorded: perun starts a process
for that, which takes seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.imports.log import civil_times
from analysis.imports.log.log_format import LOG_FORMATS, LogFormat
from analysis.imports.log.meter_log import SCALE, IntArray, Log, LogOptions, Readings, check_order, check_values, usual_period_s
from bench.common.user_error import UserError
from bench.joules.channel import EVERYTHING, Channel
from strategies.common.registry import did_you_mean

APPLICATION, SENSOR = 1, 6
INSIDE = {"node": (EVERYTHING,), "socket": ("cpu", "sysio"), "cpu": (), "gpu": (), "ram": (), "sysio": ()}
"""Contents of a device's sensor beside the device: all of its node, or sensors of these devices. Others are in no sum."""
COUNTER_UPDATE_S = 0.001
"""RAPL, which is the only counter that perun reads."""


HDF5 = b"\x89HDF\r\n\x1a\n"


@LOG_FORMATS.register
class PerunHdf5(LogFormat):
    """perun's HDF5 file."""

    name = "perun"
    place = 10
    column_noun = "nodes"
    offset_reason = (
        "perun tells when it was started, not when it took its first reading, which is seconds later; give "
        "that time as --offset-s, or --offset-s 0 for perun monitor --binary, which reads at once"
    )

    @classmethod
    def recognises(cls, head: bytes) -> bool:
        """Any HDF5 file."""
        return head.startswith(HDF5)

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
        UserError: h5py is not installed, or the file is of no known version of perun.
    """
    h5py = _h5py()
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise UserError(f"{path} cannot be read as HDF5 ({' '.join(str(error).split())}); give perun's .hdf5 file") from None
    with file:
        try:
            return _read(path, file, options)
        except KeyError as missing:
            raise UserError(
                f"{path} is of no version of perun that is known here: {' '.join(map(str, missing.args))}"
            ) from None


def _read(path: Path, file: Any, options: LogOptions) -> Log:
    app = _application(path, file)
    _check_nodes(path, app, options)
    readings, unused = [], []
    for name, execution in app["nodes"].items():
        rounds = list(execution["nodes"].values())
        unused += [f"round {number} of {name}: perun does not say when it began" for number in range(1, len(rounds))]
        begin_ns = _begin(path, name, execution, options)
        for node in (node for first in rounds[:1] for node in first["nodes"].values()):
            if options.columns and _name(node) not in options.columns:
                unused.append(f"node {_name(node)} of {name}")
            else:
                readings.append(_node(path, node, begin_ns, options))
    if not readings:
        raise UserError(f"{path} has no execution with readings of a node")
    return Log(path, PerunHdf5.name, tuple(readings), tuple(unused))


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise UserError("perun's files are HDF5, and h5py is not installed; pip install 'edgejoule[import]'") from None
    return h5py


def _application(path: Path, file: Any) -> Any:
    groups = list(file.values())
    if len(groups) != 1 or int(groups[0].attrs.get("type", 0)) != APPLICATION or "nodes" not in groups[0]:
        raise UserError(
            f"{path} is HDF5, but no file of perun: its top has {', '.join(file) or 'nothing'}, not one application"
        )
    return groups[0]


def _check_nodes(path: Path, app: Any, options: LogOptions) -> None:
    known = sorted(
        {_name(node) for one in app["nodes"].values() for first in one["nodes"].values() for node in first["nodes"].values()}
    )
    for name in options.columns:
        if name not in known:
            raise UserError(f"{path} has no node {name}; nodes are {', '.join(known)}{did_you_mean(name, known)}")


def _begin(path: Path, name: str, execution: Any, options: LogOptions) -> int:
    begun = execution.attrs.get("execution_dt")
    if begun is None:
        raise UserError(f"{path}: execution {name} has no execution_dt, so it cannot be placed in time")
    return civil_times.moment_ns(f"{path}, execution_dt of {name}", str(begun), options.zone)


def _name(group: Any) -> str:
    return str(group.name).rsplit("/", 1)[-1]


def _sensors(group: Any) -> Iterator[Any]:
    for child in group["nodes"].values():
        if int(child.attrs["type"]) == SENSOR:
            yield child
        else:
            yield from _sensors(child)


def _node(path: Path, node: Any, begin_ns: int, options: LogOptions) -> Readings:
    where = f"{path}, node {_name(node)}"
    powered = [sensor for sensor in _sensors(node) if "raw_data" in sensor and _values(sensor).attrs["unit"] in ("W", "J")]
    devices = {_name(sensor): str(sensor.attrs.get("device_type", "")) for sensor in powered}
    known = [sensor for sensor in powered if devices[_name(sensor)] in INSIDE]
    if not known:
        raise UserError(f"{where} has no sensor of power or energy of its node, CPU, GPU or memory; perun found none there")
    since_s = _seconds(where, known)
    t_ns = begin_ns + np.rint(since_s * 1e9).astype(np.int64)
    check_order(where, t_ns, first_row=1)
    channels = [_channel(where, sensor, devices, usual_period_s(t_ns), options) for sensor in known]
    strange = [sensor for sensor in powered if sensor not in known]
    return Readings(
        name=_name(node),
        source=PerunHdf5.name,
        kind=options.kind or "measured",
        channels=tuple(channel for channel, _ in channels),
        t_ns=t_ns,
        # Times are kept in single precision, which is coarser the longer the run is.
        known_ns=int(np.ceil(np.spacing(np.float32(since_s[-1])) * 1e9)),
        raw=np.stack([raw for _, raw in channels], axis=1),
        left_out=tuple({"source": f"perun {_name(s)}", "why": "perun does not say what it contains"} for s in strange),
        not_measured=("what perun has no sensor of: power supply, board, network",),
    )


def _seconds(where: str, sensors: Sequence[Any]) -> NDArray[np.float64]:
    """The times of the readings since the first one, in seconds, which all sensors of a node share."""
    steps = sensors[0]["raw_data"]["timesteps"]
    if any(not np.array_equal(sensor["raw_data"]["timesteps"][:], steps[:]) for sensor in sensors):
        raise UserError(f"{where}: its sensors have different times, which no known version of perun writes")
    seconds: NDArray[np.float64] = steps[:].astype(np.float64) * float(steps.attrs["mag"])
    return seconds


def _values(sensor: Any) -> Any:
    raw = sensor["raw_data"]
    return raw["alt_values"] if "alt_values" in raw and raw["alt_values"].attrs["unit"] == "J" else raw["values"]


def _channel(
    where: str, sensor: Any, devices: dict[str, str], period_s: float, options: LogOptions
) -> tuple[Channel, IntArray]:
    name, values = _name(sensor), _values(sensor)
    counter, factor = values.attrs["unit"] == "J", float(values.attrs["mag"])
    scaled = values[:].astype(np.float64) * factor
    check_values(f"{where}, sensor {name}", scaled, range(1, len(scaled) + 1), "J" if counter else "W")
    inside = INSIDE[devices[name]]
    within = inside if EVERYTHING in inside else tuple(other for other, device in devices.items() if device in inside)
    wraps = float(values.attrs["valid_max"]) * factor / SCALE
    channel = Channel(
        id=name,
        kind="counter" if counter else "power",
        scale=SCALE,
        scope=f"{devices[name]} by perun",
        level=options.level or "package",
        modulus=round(wraps) if counter and 0 < wraps < 2**62 else None,
        update_period_s=COUNTER_UPDATE_S if counter else period_s,
        lsb=max(factor / SCALE, 1.0) if np.issubdtype(values.dtype, np.integer) else 1.0,
        accuracy=options.accuracy,
        contains=within,
    )
    return channel, np.rint(scaled / SCALE).astype(np.int64)
