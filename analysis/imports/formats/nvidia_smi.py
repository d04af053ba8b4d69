"""nvidia-smi's log: ``nvidia-smi --query-gpu=timestamp,index,power.draw --format=csv -lms 200``.

Columns: ``timestamp`` (local time without a zone, with slashes), one that tells the GPUs apart (``index``, ``uuid``,
``pci.bus_id``, ``name``) and powers as ``8.00 W``, or without the unit behind (``nounits``), which the header then still has. A
line for each GPU, one after the other, each with its own time: lines from a GPU to the same GPU again are one reading of all.
On many GPUs ``power.draw`` is a mean over the last second, and it is the GPU's board alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from analysis.imports.log.cell_numbers import NOTHING
from analysis.imports.log.column_readings import column_readings
from analysis.imports.log.csv_rows import LogTable, read_table
from analysis.imports.log.log_format import LOG_FORMATS, LogFormat
from analysis.imports.log.log_text import head_text
from analysis.imports.log.log_units import UNITS, Meaning
from analysis.imports.log.meter_log import IntArray, Log, LogOptions, Readings, check_order
from analysis.imports.log.power_columns import Column
from analysis.imports.log.time_columns import Times, table_times
from bench.common.user_error import UserError
from strategies.common.registry import did_you_mean

POWERS = ("power.draw.instant", "power.draw", "power.draw.average")
"""The best first."""
GPU_NAMES = ("index", "uuid", "gpu_uuid", "pci.bus_id", "gpu_bus_id", "serial", "name", "gpu_name")
MEANING = Meaning("power", UNITS["W"], "power in W")
AVERAGED_S = 1.0


@dataclass(frozen=True)
class Gpus:
    """The rows of each GPU, one for each time that all were asked; ``t_ns`` is the middle of these, within ``known_ns``."""

    rows: Mapping[str, list[list[str] | None]]
    t_ns: IntArray
    known_ns: int


@LOG_FORMATS.register
class NvidiaSmiCsv(LogFormat):
    """The CSV of nvidia-smi's queries."""

    name = "nvidia-smi"
    place = 30
    column_noun = "GPUs"
    columns_add_up = True

    @classmethod
    def recognises(cls, head: bytes) -> bool:
        """A header with nvidia-smi's names of powers."""
        header = (head_text(head).splitlines() or [""])[0].split(",")
        return any(_bare(name) in POWERS for name in header)

    @classmethod
    def read(cls, path: Path, options: LogOptions) -> Log:
        """A stretch of readings for each GPU."""
        return read(path, options)


def read(path: Path, options: LogOptions) -> Log:
    """A stretch of readings for each GPU: of one GPU called by the column of power, of several ``GPU 0`` and so on.

    Args:
        path: The file.
        options: ``columns`` are GPUs, or the column of power for all of them together.

    Returns:
        The readings in W, of the GPUs alone.

    Raises:
        UserError: The file has no times or powers, or there is no such GPU.
    """
    table = read_table(path)
    power = _power_column(table, options.columns)
    gpus = _gpus(table, table_times(table, options, rising=False))
    alone = len(gpus.rows) == 1
    names = {f"GPU {gpu}" if not alone else power: gpu for gpu in gpus.rows}
    for name in options.columns:
        if name not in (power, *names):
            known = [power, *names] if not alone else [power]
            raise UserError(f"{path} has no GPU {name}; there are {', '.join(known)}{did_you_mean(name, known)}")
    readings = {name: _readings(table, power, name, gpus, gpu, options) for name, gpu in names.items()}
    if power in options.columns and not alone:
        return Log(path, NvidiaSmiCsv.name, (_together(path, power, list(readings.values())),))
    chosen = options.columns or tuple(readings)
    unused = tuple(name for name in readings if name not in chosen)
    return Log(path, NvidiaSmiCsv.name, tuple(readings[name] for name in chosen), unused)


def _bare(name: str) -> str:
    return name.split("[", 1)[0].strip().lower()


def _power_column(table: LogTable, asked: Sequence[str]) -> str:
    """The column of powers that is asked for, else the best of nvidia-smi's."""
    powers = {name: _bare(name) for name in table.header if _bare(name) in POWERS}
    wrong = next((name for name in asked if name in table.header and name not in powers), None)
    if wrong is not None:
        raise UserError(f"{table.path}: column {wrong} is no power that was drawn; powers are {', '.join(powers) or 'none'}")
    if not powers:
        raise UserError(f"{table.path} is no log of nvidia-smi with a column of power: {', '.join(table.header)}")
    return next((name for name in asked if name in powers), min(powers, key=lambda name: POWERS.index(powers[name])))


def _gpus(table: LogTable, times: Times) -> Gpus:
    """Rows by GPU: a new reading of all begins where a GPU comes again."""
    key = next((table.header.index(name) for wanted in GPU_NAMES for name in table.header if _bare(name) == wanted), None)
    sweeps: list[dict[str, int]] = [{}]
    for number, row in enumerate(table.rows):
        gpu = "0" if key is None else row[key]
        if gpu in sweeps[-1]:
            sweeps.append({})
        sweeps[-1][gpu] = number
    names = list(dict.fromkeys(gpu for sweep in sweeps for gpu in sweep))
    spans = [times.t_ns[list(sweep.values())] for sweep in sweeps]
    first = np.array([span.min() for span in spans])
    last = np.array([span.max() for span in spans])
    middle: IntArray = first + (last - first) // 2
    check_order(f"{table.path}, column {table.header[times.columns[0]]}", middle, table.first_row)
    rows = {gpu: [table.rows[sweep[gpu]] if gpu in sweep else None for sweep in sweeps] for gpu in names}
    return Gpus(rows, middle, times.known_ns + int((last - first).max()) // 2)


def _readings(table: LogTable, power: str, name: str, gpus: Gpus, gpu: str, options: LogOptions) -> Readings:
    """The readings of one GPU, with the times of all."""
    index = table.header.index(power)
    cells = [["" if row is None or row[index].lower() in NOTHING else row[index]] for row in gpus.rows[gpu]]
    own = LogTable(table.path, [name], cells)
    column = Column(name, (name,), (MEANING,))
    level = options.level or "component"
    readings, _ = column_readings(own, column, Times((0,), gpus.t_ns, gpus.known_ns), level, options, NvidiaSmiCsv.name)
    (channel,) = readings.channels
    averaged = 0.0 if _bare(power) == "power.draw.instant" else AVERAGED_S
    channel = replace(channel, update_period_s=max(channel.update_period_s, averaged), scope=f"{name} by nvidia-smi")
    return replace(readings, channels=(channel,), not_measured=("what is not on the GPU's board: processor, power supply",))


def _together(path: Path, name: str, columns: Sequence[Readings]) -> Readings:
    """All GPUs as one meter; times at which one of them has no value are left out."""
    t_ns = columns[0].t_ns
    for other in columns[1:]:
        t_ns = np.intersect1d(t_ns, other.t_ns, assume_unique=True)
    check_order(f"{path}, {name} of all GPUs", t_ns)
    raw = np.concatenate([column.raw[np.isin(column.t_ns, t_ns)] for column in columns], axis=1)
    channels = tuple(channel for column in columns for channel in column.channels)
    return replace(columns[0], name=name, channels=channels, t_ns=t_ns, raw=raw)
