"""The keys of a host in an inventory, each with the values that it takes. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.cluster.training_rate import DEVICES
from bench.common.user_error import UserError
from strategies.common.registry import did_you_mean

LOGIN = re.compile(r"^[A-Za-z_][A-Za-z0-9._-]*$")
WORD = re.compile(r"^[^\s=@,:]+$")
VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
SECRET = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|API_?KEY|PRIVATE_?KEY", re.IGNORECASE)
OURS = ("BENCH_RUN_ID", "PYTHONPATH")


def is_number(value: Any) -> bool:
    """Whether a value is a number, and neither true nor false.

    Args:
        value: Anything that YAML may hold.

    Returns:
        True for int and float, false for bool.
    """
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "address": (lambda v: bool(WORD.match(str(v))), "must be an address or a host name"),
    "name": (lambda v: isinstance(v, str) and bool(WORD.match(v)), "must be a name"),
    "board": (_is_text, "must be a board class, a file in conf/board"),
    "python": (lambda v: isinstance(v, str) and v.startswith("/"), "must be the whole path of an interpreter on that host"),
    "threads": (lambda v: isinstance(v, int) and is_number(v) and v >= 1, "must be a whole number of at least 1"),
    "link": (_is_text, "must be a name"),
    "switch": (_is_text, "must be a name"),
    "speed": (lambda v: is_number(v) and 0 < v <= 1, "must be over 0 and at most 1 (the fastest board)"),
    "memory_bytes": (
        lambda v: is_number(v) and v >= 1 and v == int(v),
        "must be a whole number of bytes, such as 2.0e+9",
    ),
    "device": (lambda v: v in DEVICES, f"must be {' or '.join(DEVICES)}, what an emulated board stands for"),
    "user": (lambda v: isinstance(v, str) and bool(LOGIN.match(v)), "must be the name of a user"),
}


def checked(where: str, row: Any, keys: Sequence[str]) -> dict[str, Any]:
    """Check the values of a host of an inventory.

    Args:
        where: The inventory, for messages.
        row: The host as YAML has it.
        keys: The keys that a host may have.

    Returns:
        The values, of their types; nulls are left out, ``address`` and ``slots`` are always there.

    Raises:
        UserError: An unknown key (with near names), no address, or a value that its key does not take.
    """
    if not isinstance(row, Mapping):
        raise UserError(f"{where}: a host must be {{address: ...}}, found {row!r}")
    for key in row:
        if key not in keys:
            raise UserError(f"{where}: {row} has unknown key {key}; keys are {', '.join(keys)}{did_you_mean(str(key), keys)}")
    values = {key: value for key, value in row.items() if value is not None}
    if "address" not in values:
        raise UserError(f"{where}: {row} has no address; keys are {', '.join(keys)}")
    typed = {key: _value(where, key, value, str(values["address"])) for key, value in values.items()}
    return {**typed, "address": str(values["address"]), "slots": slots(where, values.get("slots", 1))}


def _value(where: str, key: str, value: Any, address: str) -> Any:
    if key == "env":
        return environment(f"{where}: env of {address}", value)
    good, must = RULES.get(key, (lambda _: True, ""))
    if not good(value):
        raise UserError(f"{where}: {key}={value} of {address} {must}")
    return int(value) if key == "memory_bytes" else value


def slots(where: str, value: Any) -> int:
    """Check how many ranks a host takes.

    Args:
        where: The inventory, for messages.
        value: A number, or its digits as text.

    Returns:
        The number of slots, at least 1.

    Raises:
        UserError: The value is no whole number of at least 1.
    """
    if not str(value).isdigit() or int(value) < 1:
        raise UserError(f"{where}: slots={value} must be a whole number of at least 1")
    return int(value)


def environment(where: str, variables: Any) -> dict[str, str]:
    """Variables with their values as text.

    Args:
        where: The key or file that holds the variables, for messages.
        variables: From the name of each variable to text or a number.

    Returns:
        The value of each variable as text.

    Raises:
        UserError: For what cannot be one, and for what looks like a secret: these values are part of the point, so they stand
            in command lines, configurations and records.
    """
    if not isinstance(variables, Mapping):
        raise UserError(f"{where} must map variables to values, such as {{OMP_PROC_BIND: close}}, found {variables!r}")
    texts = {}
    for name, value in variables.items():
        variable(where, name)
        if SECRET.search(name):
            raise UserError(
                f"{where}: {name} looks like a secret, and its value would be in records; use cluster.forward=[{name}]"
            )
        if not isinstance(value, (str, int, float)) or isinstance(value, bool) or "\n" in str(value):
            raise UserError(f"{where}: {name}={value} must be one line of text or a number; put quotes around it")
        texts[name] = str(value)
    return texts


def variable(where: str, name: Any) -> str:
    """Check the name of an environment variable.

    Args:
        where: The key or file that holds it, for messages.
        name: The name as YAML has it.

    Returns:
        The same name.

    Raises:
        UserError: It is no name of a variable, or the suite sets this variable itself.
    """
    if not isinstance(name, str) or not VARIABLE.match(name):
        raise UserError(f"{where}: {name!r} is no name of an environment variable; use letters, digits and '_'")
    if name in OURS:
        raise UserError(f"{where}: {name} is set by the suite itself; leave it out")
    return name
