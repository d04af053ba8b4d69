"""What a shelf of emulated boards stands for in training: the rate of each board's class on its device. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.cluster.board_class import BoardClass
from bench.cluster.emulated_inventory import Emulation
from bench.cluster.training_rate import TrainingRate
from bench.common.user_error import UserError
from bench.config.dilation_config import BY_CLASS, NONE, TrainingTarget
from bench.config.host_config import Host

PRECISION_OF = {"float32": "fp32"}


def dilation_of(cluster: Mapping[str, object], emulated: Emulation) -> str | float | None:
    """The dilation that is asked for: that of the command line, else that of the inventory.

    Args:
        cluster: The block of the configuration.
        emulated: The ``emulated:`` block of the inventory.

    Returns:
        ``class``, a number, or None for none.
    """
    asked = cluster.get("dilation")
    value = emulated.dilation if asked is None else asked
    return None if value == NONE else BY_CLASS if value == BY_CLASS else float(str(value))


def training_rates(
    cluster: Mapping[str, object], emulated: Emulation, hosts: Sequence[Host], boards: Mapping[str, BoardClass], dtype: str
) -> dict[str, TrainingRate]:
    """What each class of a shelf achieves in training on the device that its boards stand for.

    Args:
        cluster: The block of the configuration: ``dilation`` and ``device`` go before those of the inventory.
        emulated: The ``emulated:`` block of the inventory.
        hosts: The boards.
        boards: The descriptions of the classes by name, in their power modes.
        dtype: The type of the arithmetic, as ``train.dtype`` names it.

    Returns:
        The rate by class; empty where the dilation does not follow from the classes.

    Raises:
        UserError: A class has no such rate, or has rates of two devices and nobody says which one is meant.
    """
    if dilation_of(cluster, emulated) != BY_CLASS:
        return {}
    if dtype not in PRECISION_OF:
        raise UserError(
            f"dilation=class with train.dtype={dtype}: no board class states a training rate in it; use float32, or give the "
            "dilation as a number"
        )
    devices: dict[str, str | None] = {}
    for host in hosts:
        device = str(cluster["device"]) if cluster.get("device") else host.device or emulated.device
        if devices.setdefault(host.board, device) != device:
            raise UserError(
                f"boards of class {host.board} stand for {devices[host.board] or 'no'} and for {device or 'no'} device; "
                "give all of one class the same device:, or copy the class under another name"
            )
    return {name: boards[name].training_rate(device, PRECISION_OF[dtype]) for name, device in devices.items()}


def at_work(
    cluster: Mapping[str, object],
    emulated: Emulation,
    hosts: Sequence[Host],
    boards: Mapping[str, BoardClass],
    rates: Mapping[str, TrainingRate],
) -> dict[str, BoardClass]:
    """The classes with the devices that their boards stand for, and with those devices' watts.

    Args:
        cluster: The block of the configuration.
        emulated: The ``emulated:`` block of the inventory.
        hosts: The boards.
        boards: The descriptions by name.
        rates: The rate by class, from ``training_rates``.

    Returns:
        Copies with ``device`` (of the rate, else as asked for, else that of the class's peak), in which ``busy_W`` is that of
        the rate, where it states one.
    """
    asked = {host.board: cluster.get("device") or host.device or emulated.device for host in hosts}
    return {name: _at_work(board, asked.get(name), rates.get(name)) for name, board in boards.items()}


def _at_work(board: BoardClass, asked: object, rate: TrainingRate | None) -> BoardClass:
    if rate is None:
        return replace(board, device=str(asked) if asked else None if board.flop_s is None else board.flop_s.device)
    if rate.busy_W is None:
        return replace(board, device=rate.device)
    return replace(board, device=rate.device, power=replace(board.power, busy_W=replace(rate.busy_W, device=rate.device)))


def targets(hosts: Sequence[Host], rates: Mapping[str, TrainingRate]) -> list[TrainingTarget | None]:
    """What each board of a shelf stands for.

    A host's ``speed`` is relative to the fastest class of the shelf and goes before its class's own rate.

    Args:
        hosts: The boards.
        rates: The rate by class; empty where the dilation does not follow from the classes.

    Returns:
        The target of each board; None for all of them where there are no rates.
    """
    if not rates:
        return [None for _ in hosts]
    fastest = max(rates.values(), key=lambda rate: rate.value)
    return [
        _target(rates[host.board])
        if host.speed is None
        else _target(fastest.scaled(host.speed, f"{host.label}, as its inventory says"))
        for host in hosts
    ]


def _target(rate: TrainingRate) -> TrainingTarget:
    return TrainingTarget(rate.device, rate.precision, rate.value, rate.low, rate.high, rate.source)
