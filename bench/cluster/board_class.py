"""A class of boards: the numbers, watts and power modes of its description. Light imports: samplers and guards use it too."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bench.cluster.board_power import CPU, BoardPower, PowerModel
from bench.cluster.training_rate import TrainingRate
from bench.common.sourced_number import SourcedNumber
from bench.common.user_error import UserError
from strategies.common.registry import did_you_mean

NUMBERS = ("cores", "memory_bytes", "network_bit_s", "max_W", "flop_s")
SETTINGS = ("nvpmodel", "jetson_clocks", "governor", "max_frequency_Hz", "rapl_limit_W")
"""The keys of a power mode that are set on a real board; its others describe an emulated one."""
OF_A_POINT = ("mode_speed", "device", "power_mode")
"""Keys of a point's board that no description has."""


@dataclass(frozen=True)
class BoardMode:
    """A power mode: what it sets (None: not set), and for an emulated board its speed and watts where they are known.

    ``speed`` is relative to the default mode's; ``power`` None: not known, except where it is the default mode.
    """

    nvpmodel: int | None = None
    jetson_clocks: bool | None = None
    governor: str | None = None
    max_frequency_Hz: float | None = None
    rapl_limit_W: float | None = None
    speed: SourcedNumber | None = None
    power: BoardPower | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What is set on a real board, by the names of the controls."""
        return {key: getattr(self, key) for key in SETTINGS if getattr(self, key) is not None}

    def to_dict(self) -> dict[str, Any]:
        """The plain values, as they stand in a description."""
        about = {"speed": self.speed, "power": self.power}
        return {**self.settings, **{key: part.to_dict() for key, part in about.items() if part is not None}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BoardMode:
        """The mode that ``to_dict`` wrote.

        Args:
            values: Settings as they are, ``speed`` and ``power`` with their sources.

        Returns:
            The mode; None for what is not there.
        """
        speed, power = SourcedNumber.from_dict(values.get("speed")), values.get("power")
        settings = {key: values[key] for key in SETTINGS if key in values}
        return cls(**settings, speed=speed, power=None if power is None else BoardPower.from_dict(power))


@dataclass(frozen=True)
class BoardClass:
    """A class of boards. The numbers describe it in its ``default_mode``; None where they are not known.

    ``network_bit_s`` is the rate of its port, ``max_W`` the most that it can draw (what its supply gives), ``flop_s`` the
    peak of its device in fp32 products, ``train_flop_s`` what it achieves in training. Of a point's board, ``mode_speed`` is
    set for an emulated one that is in a power mode: its speed relative to the default one's; ``device`` is what computes,
    ``cpu`` or ``gpu``; ``power_mode`` the mode that a real one is set to, where its description still has the numbers of the
    default one.
    """

    name: str
    description: str = ""
    cores: SourcedNumber | None = None
    memory_bytes: SourcedNumber | None = None
    network_bit_s: SourcedNumber | None = None
    max_W: SourcedNumber | None = None
    flop_s: SourcedNumber | None = None
    train_flop_s: tuple[TrainingRate, ...] = ()
    power: BoardPower = field(default_factory=BoardPower)
    power_modes: Mapping[str, BoardMode] = field(default_factory=dict)
    default_mode: str | None = None
    mode_speed: float | None = None
    device: str | None = None
    power_mode: str | None = None

    def mode(self, name: str) -> BoardMode:
        """Look up a power mode of the class.

        Args:
            name: A key of ``power_modes``.

        Returns:
            Its settings, speed and watts.

        Raises:
            UserError: The name is unknown; the message lists the known ones.
        """
        if name not in self.power_modes:
            names = self.power_modes
            known = f"known are {', '.join(names)}{did_you_mean(name, names)}" if names else "it has no power modes"
            raise UserError(f"unknown power mode {name} of board {self.name}; {known}")
        return self.power_modes[name]

    def power_model(self) -> PowerModel:
        """The model of this board's power for the device that computes (the CPU where none is said).

        Returns:
            Its coefficients, in the board's power mode.

        Raises:
            UserError: The class has none for that device.
        """
        power, name = self.power, self.name
        if self.power_mode not in (None, self.default_mode):
            power, name = self.mode(str(self.power_mode)).power or BoardPower(), f"{name} in power mode {self.power_mode}"
        return power.model_for(self.device or CPU, name)

    def training_rate(self, device: str | None, precision: str, mode: str | None = None) -> TrainingRate:
        """What the board achieves in training.

        Args:
            device: ``cpu`` or ``gpu``; None: the only one that the class has rates of.
            precision: ``fp32``, ``fp16`` or ``bf16``.
            mode: The name of a power mode; None: the default one.

        Returns:
            The rate; of a mode without one the default mode's times the mode's speed, which its source then says.

        Raises:
            UserError: There is none, or ``device`` is None and the class has rates of both.
        """
        devices = sorted({rate.device for rate in self.train_flop_s if rate.precision == precision})
        if device is None and len(devices) > 1:
            raise UserError(
                f"board {self.name} trains on its {' and on its '.join(devices)}; say which one the emulated boards stand for: "
                "emulated.device or a host's device in the inventory, or cluster.device="
            )
        device = device or next(iter(devices), None)
        mode = mode or self.default_mode
        rates = {rate.power_mode: rate for rate in self.train_flop_s if (rate.device, rate.precision) == (device, precision)}
        default = rates.get(self.default_mode) or rates.get(None)
        rate = rates.get(mode) or (default if mode == self.default_mode else None)
        if rate is not None:
            return rate
        speed = None if mode is None or default is None else self.mode(mode).speed
        if default is None or speed is None:
            raise UserError(self._no_rate(device, precision, mode))
        return default.scaled(speed.value, f"power mode {mode}: {speed.source}")

    def _no_rate(self, device: str | None, precision: str, mode: str | None) -> str:
        """Why there is no rate: what was asked for, and what there is."""
        stated = ", ".join(f"{r.device} {r.precision} {r.power_mode or 'default mode'}" for r in self.train_flop_s) or "none"
        asked = " ".join(word for word in (device, precision, mode and f"in power mode {mode}") if word)
        return (
            f"board {self.name} has no train_flop_s for {asked} (it has {stated}); add it with its source to "
            f"conf/board/{self.name}.yaml, or give the dilation as a number"
        )

    def in_mode(self, name: str) -> BoardClass:
        """The description of an emulated board in a power mode: the mode's watts and speed.

        Watts of another mode would be wrong, so a mode without published ones has none, and its energy cannot be modelled.

        Args:
            name: The name of a power mode.

        Returns:
            A copy with the mode's ``power``, and its speed relative to the default mode's as ``mode_speed``.

        Raises:
            UserError: The mode is unknown, or has no speed and so cannot be emulated.
        """
        mode, default = self.mode(name), name == self.default_mode
        if mode.speed is None and not default:
            raise UserError(
                f"power mode {name} of board {self.name} has no speed to emulate; add it with its source, or use "
                f"{self.default_mode}"
            )
        power = self.power if default else mode.power or BoardPower()
        speed = 1.0 if mode.speed is None else mode.speed.value
        return replace(self, power=power, mode_speed=speed, train_flop_s=self._rates_in(name))

    def _rates_in(self, mode: str) -> tuple[TrainingRate, ...]:
        """The training rates in a power mode, as those of a class in its default mode."""
        rates = []
        for device, precision in dict.fromkeys((rate.device, rate.precision) for rate in self.train_flop_s):
            with contextlib.suppress(UserError):  # there is none: whoever needs it is told so
                rates.append(replace(self.training_rate(device, precision, mode), power_mode=None))
        return tuple(rates)

    def to_dict(self) -> dict[str, Any]:
        """The plain values, as they stand in a description: keys without a value are left out."""
        numbers = {key: getattr(self, key) for key in NUMBERS}
        plain: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            **{key: number.to_dict() for key, number in numbers.items() if number is not None},
            "power": self.power.to_dict(),
        }
        if self.train_flop_s:
            plain["train_flop_s"] = [rate.to_dict() for rate in self.train_flop_s]
        if self.power_modes:
            plain["power_modes"] = {name: mode.to_dict() for name, mode in self.power_modes.items()}
        for key in ("default_mode", *OF_A_POINT):
            if getattr(self, key) is not None:
                plain[key] = getattr(self, key)
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BoardClass:
        """The class that ``to_dict`` wrote, or that a description holds.

        Args:
            values: The keys of ``conf/board/CLASS.yaml``, checked already, and those of ``OF_A_POINT``.

        Returns:
            The class; None for numbers that are not there.
        """
        modes = {name: BoardMode.from_dict(mode) for name, mode in (values.get("power_modes") or {}).items()}
        numbers = {key: SourcedNumber.from_dict(values[key]) for key in NUMBERS if key in values}
        more: dict[str, Any] = {key: values[key] for key in ("description", "default_mode", *OF_A_POINT) if key in values}
        more["train_flop_s"] = tuple(TrainingRate.from_dict(rate) for rate in values.get("train_flop_s", ()))
        power = BoardPower.from_dict(values.get("power", {}))
        return cls(values["name"], power=power, power_modes=modes, **{**numbers, **more})


def boards_of(values: Mapping[str, Any]) -> dict[str, BoardClass]:
    """The classes of a point's ``boards``, by name.

    Args:
        values: From the name of each class to the plain values that ``BoardClass.to_dict`` gives.

    Returns:
        The class by each name.
    """
    return {name: BoardClass.from_dict(board) for name, board in values.items()}
