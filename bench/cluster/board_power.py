"""What a class of boards draws, and the model of its power that follows: each coefficient from a page, or from a fit.

    P = idle + sum over cores a(f) u^b + GPU + memory bytes + network bytes

``docs/explanation/modelled-power.md`` says where the form is from and what its uncertainty means.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bench.common.sourced_number import SourcedNumber
from bench.common.unfitted_model import UNFITTED_U
from bench.common.user_error import UserError

Plain = dict[str, Any]
"""Plain values, as they stand in a description."""
CPU, GPU, BOTH = "cpu", "gpu", "cpu+gpu"
AT_WORK = (CPU, GPU, BOTH)
"""What may have been at work when a wattage was read."""
UNFITTED_EXPONENT = 1.4
"""b of a class without its own: of the Raspberry Pi 4 at the wall, by Noureddine's regression over CPU use (same page)."""
NUMBERS = ("idle_W", "busy_W", "cpu_W", "exponent", "network_J_per_byte", "memory_J_per_byte", "model_u")
SINCE_HASHES = ("cpu_W", "exponent", "memory_J_per_byte", "model_u", "cpu_W_at", "model")
"""Keys that descriptions have had since points were named by a hash: the names stay what they were."""


@dataclass(frozen=True)
class ClockWatts:
    """Watts above idle with all cores busy at one clock."""

    frequency_Hz: float
    value: float
    source: str

    def to_dict(self) -> Plain:
        """The plain values, as they stand in a description."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class PowerModel:
    """The coefficients for one device: what a point's modelled joules are made of.

    Attributes:
        idle_W: Power of the idle board.
        cpu_W: Above idle with all cores busy at the highest clock; 0 where only the GPU's is known.
        exponent: b of a core's use.
        clocks: Clock (Hz) and its share of ``cpu_W``, rising; empty where watts are known at one clock alone.
        gpu_W: Above idle with the GPU busy; 0 for a point on the CPU.
        network_J_per_byte: Of a byte sent or received; 0: not known.
        memory_J_per_byte: Of a byte moved by the memory; 0: not known.
        relative_u: Relative standard uncertainty of joules by this model.
        basis: The wattages in words, and what is not known.
    """

    idle_W: float
    cpu_W: float
    exponent: float
    gpu_W: float
    relative_u: float
    basis: str
    clocks: tuple[tuple[float, float], ...] = ()
    network_J_per_byte: float = 0.0
    memory_J_per_byte: float = 0.0


@dataclass(frozen=True)
class BoardPower:
    """Power of a board; None where a number is not known.

    Attributes:
        idle_W: Of the idle board.
        busy_W: Of the board at work; its ``device`` says what worked: ``cpu``, ``gpu`` or ``cpu+gpu``.
        network_J_per_byte: What a byte on its network costs.
        cpu_W: Above idle with all cores busy and the GPU idle.
        exponent: b of a core's use: busy seconds of a core that is half busy cost less than those of a busy one.
        memory_J_per_byte: What a byte to or from memory costs.
        model_u: Relative standard uncertainty of joules by these numbers.
        cpu_W_at: ``cpu_W`` at several clocks, rising.
        model: The file of ``calibrate model`` that the numbers are from.
    """

    idle_W: SourcedNumber | None = None
    busy_W: SourcedNumber | None = None
    network_J_per_byte: SourcedNumber | None = None
    cpu_W: SourcedNumber | None = None
    exponent: SourcedNumber | None = None
    memory_J_per_byte: SourcedNumber | None = None
    model_u: SourcedNumber | None = None
    cpu_W_at: tuple[ClockWatts, ...] = field(default=())
    model: str | None = None

    def values(self) -> dict[str, float]:
        """Of idle_W, busy_W and network_J_per_byte those that are known, without their sources."""
        known = {key: getattr(self, key) for key in ("idle_W", "busy_W", "network_J_per_byte")}
        return {key: float(number.value) for key, number in known.items() if number is not None}

    def to_dict(self) -> Plain:
        """The plain values, as they stand in a description."""
        plain: Plain = {key: number.to_dict() for key in NUMBERS if (number := getattr(self, key)) is not None}
        if self.cpu_W_at:
            plain["cpu_W_at"] = [one.to_dict() for one in self.cpu_W_at]
        return plain if self.model is None else {**plain, "model": self.model}

    @classmethod
    def from_dict(cls, values: Plain) -> BoardPower:
        """The power that ``to_dict`` wrote.

        Args:
            values: Some of the fields, each number as ``{value, source}``.

        Returns:
            The power; None for numbers that are not there.
        """
        numbers = {key: SourcedNumber.from_dict(values[key]) for key in NUMBERS if key in values}
        clocks = tuple(ClockWatts(**one) for one in values.get("cpu_W_at", ()))
        return cls(**numbers, cpu_W_at=clocks, model=values.get("model"))

    def model_for(self, device: str, board: str) -> PowerModel:
        """The model of a point that computes on one device.

        Args:
            device: ``cpu`` or ``gpu``.
            board: The class's name, for messages.

        Returns:
            Its coefficients.

        Raises:
            UserError: A wattage is missing, or was read with another device at work.
        """
        idle, busy = self.idle_W, self.busy_W
        if idle is None or (busy is None and self.cpu_W is None):
            missing = [key for key, number in (("idle_W", idle), ("busy_W", busy)) if number is None]
            raise UserError(f"board {board} has no power.{' and no power.'.join(missing)} to model with")
        busy_at_work = None if busy is None else (busy.device or device)
        of_load_W = 0.0 if busy is None else busy.value - idle.value
        gpu_W, cpu_W, words = 0.0, 0.0, [f"{idle.value:g} W idle"]
        if self.cpu_W is not None:
            cpu_W = self.cpu_W.value
        elif busy_at_work == CPU:
            cpu_W = of_load_W
        elif device == CPU:
            raise UserError(self._read_elsewhere(board, device))
        if cpu_W:
            words.append(f"{cpu_W:.4g} W more with all cores busy")
        if device == GPU:
            if busy_at_work not in (GPU, BOTH):
                raise UserError(self._read_elsewhere(board, device))
            gpu_W = of_load_W
            words.append(f"{gpu_W:.4g} W more with {'CPU and GPU' if busy_at_work == BOTH else 'the GPU'} busy")
            if not cpu_W:
                words.append("the CPU's own share not known")
        return PowerModel(
            idle_W=idle.value,
            cpu_W=cpu_W,
            exponent=UNFITTED_EXPONENT if self.exponent is None else self.exponent.value,
            gpu_W=gpu_W,
            relative_u=UNFITTED_U if self.model_u is None else self.model_u.value,
            basis=", ".join(words),
            clocks=tuple((one.frequency_Hz, one.value / cpu_W) for one in self.cpu_W_at) if cpu_W else (),
            network_J_per_byte=0.0 if self.network_J_per_byte is None else self.network_J_per_byte.value,
            memory_J_per_byte=0.0 if self.memory_J_per_byte is None else self.memory_J_per_byte.value,
        )

    def _read_elsewhere(self, board: str, device: str) -> str:
        """The message where the wattage at hand is of another device than the point's."""
        busy = self.busy_W
        if busy is None:
            return f"board {board} has no power.busy_W of its {device.upper()}; measure, or add it with its source"
        work = {CPU: "the CPU", GPU: "the GPU", BOTH: "CPU and GPU"}[busy.device or device]
        add = "power.cpu_W (watts above idle with all cores busy)" if device == CPU else "power.busy_W with device: gpu"
        return (
            f"board {board}: its busy {busy.value:g} W were read with {work} at work, and this point computes on the "
            f"{device.upper()}; use a sensor or a meter, fit the board (python -m bench.calibrate model), or add {add} with "
            "its source"
        )


def named_by(board: Plain) -> Plain:
    """The part of a board's description that names a point.

    What descriptions have learnt since points were named by a hash is left out, or finished points of older studies would run
    again; the coefficients of a fit, which the user asked for, stay.

    Args:
        board: The plain values of a point's board.

    Returns:
        A copy.
    """
    kept = {key: value for key, value in board.items() if key not in ("max_W", "device", "power_mode")}
    kept["power"] = _named_by(board["power"])
    modes = {
        name: {**mode, "power": _named_by(mode["power"])} if "power" in mode else mode
        for name, mode in board.get("power_modes", {}).items()
    }
    return {**kept, "power_modes": modes} if modes else kept


def _named_by(power: Plain) -> Plain:
    if "model" in power:
        return {key: value for key, value in power.items() if key != "model"}  # where the file lies does not matter
    old = {key: value for key, value in power.items() if key not in SINCE_HASHES}
    if "busy_W" in old:
        old["busy_W"] = {key: value for key, value in old["busy_W"].items() if key != "device"}
    return old
