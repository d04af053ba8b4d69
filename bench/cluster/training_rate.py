"""What a board class achieves in training: the rates of its description, each with its source and its range."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.common.sourced_number import SourcedNumber
from bench.common.sourced_yaml import check_keys, check_number, check_positive
from bench.common.user_error import UserError

DEVICES = ("cpu", "gpu")
PRECISIONS = ("fp32", "fp16", "bf16")
KEYS = ("device", "precision", "power_mode", "value", "source", "low", "high", "busy_W")
NEEDED = ("device", "precision", "power_mode", "value", "source", "low", "high")


@dataclass(frozen=True)
class TrainingRate:
    """Floating point operations a second in forward and backward of a Transformer, sustained by the whole board (FLOP/s).

    Counted as ``strategies.plan.training_work`` does: two for each multiply and add, nothing for what is recomputed.

    Attributes:
        device: What computes: ``cpu`` or ``gpu`` of the board.
        precision: In which precision.
        power_mode: A power mode of the class; None: its default one, or a class without modes.
        value: The rate.
        source: The page that it is from, and how it was derived.
        low: The least that it may be, by the source or by the stated range of an efficiency.
        high: The most that it may be.
        busy_W: Power of the whole board while this device trains (W); None: the ``busy_W`` of the class.
    """

    device: str
    precision: str
    power_mode: str | None
    value: float
    source: str
    low: float
    high: float
    busy_W: SourcedNumber | None = None

    def scaled(self, speed: float, why: str) -> TrainingRate:
        """The rate at another speed of the board.

        Args:
            speed: Relative to the speed of this rate.
            why: Where the speed is from, for the source.

        Returns:
            A copy whose source says that it was scaled; its watts are not known.
        """
        source = f"{speed:g} (speed of {why}) times: {self.source}"
        return replace(self, value=speed * self.value, low=speed * self.low, high=speed * self.high, source=source, busy_W=None)

    def to_dict(self) -> dict[str, object]:
        """The plain values, as they stand in a description."""
        plain: dict[str, object] = {key: value for key, value in self.__dict__.items() if key != "busy_W"}
        return plain if self.busy_W is None else {**plain, "busy_W": self.busy_W.to_dict()}

    @classmethod
    def from_dict(cls, values: Any) -> TrainingRate:
        """The rate that ``to_dict`` wrote.

        Args:
            values: Its keys, checked already.

        Returns:
            The rate.
        """
        return cls(**{**values, "busy_W": SourcedNumber.from_dict(values.get("busy_W"))})


def check_training_rates(where: str, rates: Any, modes: Collection[str] | None) -> None:
    """Check the ``train_flop_s`` of a description.

    Args:
        where: The board, which begins every message.
        rates: The list as YAML has it.
        modes: The power modes of the same description.

    Raises:
        UserError: One line, for anything that is no rate with its source and range, and for one that is there twice.
    """
    if not isinstance(rates, Sequence) or isinstance(rates, str) or not rates:
        raise UserError(f"{where}: train_flop_s must be a list of rates, each with {', '.join(NEEDED)}, found {rates!r}")
    known: set[tuple[Any, ...]] = set()
    for number, rate in enumerate(rates):
        place = f"{where}: train_flop_s[{number}]"
        _check_rate(place, rate, modes or ())
        key = tuple(rate[name] for name in ("device", "precision", "power_mode"))
        if key in known:
            raise UserError(f"{place} is the second one for {', '.join(map(str, key))}; keep the better one")
        known.add(key)


def _check_rate(place: str, rate: Any, modes: Collection[str]) -> None:
    check_keys(place, rate, KEYS, NEEDED)
    for name, choices in (("device", DEVICES), ("precision", PRECISIONS)):
        if rate[name] not in choices:
            raise UserError(f"{place}.{name} must be one of {', '.join(choices)}, found {rate[name]!r}")
    mode = rate["power_mode"]
    if mode is not None and mode not in modes:
        raise UserError(f"{place}.power_mode {mode!r} is no power mode of the board; use {', '.join(modes) or 'null'}")
    check_number(place, {key: rate[key] for key in ("value", "source")})
    for name in ("low", "high"):
        check_positive(f"{place}.{name}", rate[name])
    if not rate["low"] <= rate["value"] <= rate["high"]:
        raise UserError(f"{place}: value={rate['value']} must lie from low={rate['low']} to high={rate['high']}")
    if "busy_W" in rate:
        check_number(f"{place}.busy_W", rate["busy_W"])
