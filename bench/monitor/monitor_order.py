"""What a run was asked to do, the same for every host: read from the command line, handed to the agent as JSON."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import yaml

from bench.cluster.board_class import BoardClass
from bench.cluster.board_files import load_board
from bench.cluster.inventory import read_inventory
from bench.common.paths import conf_folders
from bench.common.user_error import UserError
from bench.config.config_field import check_value, leaves
from bench.config.energy_config import EnergyConfig
from bench.config.host_config import Host
from bench.energy.sampling.energy_settings import EnergySettings, energy_settings
from bench.record.record_file import Json
from strategies.common.registry import did_you_mean

UNKNOWN = "unknown"
"""The board class of a host that nobody described: its power is never modelled."""


@dataclass(frozen=True)
class MonitorOrder:
    """One run, as its host's agent needs it.

    ``label`` is this host's name, ``folder`` that of the run. ``energy`` are the plain settings, ``board`` the class of this
    host. ``expected`` ranks start on this host (None: not known), of ``size`` altogether.
    """

    command: Sequence[str]
    folder: str
    label: str
    launcher: str | None
    size: int
    expected: int | None
    energy: Json
    board: Json
    hosts: Sequence[str] = field(default_factory=list)
    idle_s: float = 0.0
    unmetered: bool = False

    def to_json(self) -> str:
        """The order as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> MonitorOrder:
        """The order that ``to_json`` wrote.

        Args:
            line: One line of JSON.

        Returns:
            The order.
        """
        values = json.loads(line)
        return cls(**{one.name: values[one.name] for one in fields(cls)})

    @property
    def settings(self) -> EnergySettings:
        """What is read on which host."""
        return EnergySettings.from_dict(self.energy)


def energy_words(words: Sequence[str]) -> Json:
    """The ``energy`` block that KEY=VALUE words describe, as a point's configuration has it.

    Args:
        words: Such as ``source=rapl``, ``period_s=0.02``, ``meters.plug='{source: shelly, address: ...}'``; a word without
            ``=`` is the source.

    Returns:
        All keys of the block, defaults where nothing is said.

    Raises:
        UserError: One line, for an unknown key or a value that the key does not take.
    """
    known = dict(leaves(EnergyConfig))
    values: Json = {}
    for word in words:
        key, sign, text = word.partition("=")
        key, text = (key.removeprefix("+").removeprefix("energy."), text) if sign else ("source", word)
        top = key.split(".")[0]
        entry = top in ("meters", "others") and key.count(".") == 1
        if key not in known and not entry:
            raise UserError(f"--energy {word}: unknown key {key}; keys are {', '.join(known)}{did_you_mean(key, known)}")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            shown = " ".join(str(error).split())[:80]
            raise UserError(f"--energy {word}: the value is not YAML ({shown}); put quotes around it") from None
        if not entry:
            check_value(f"energy.{key}", known[key], value)
            values[key] = value
        else:
            values.setdefault(top, {})[key.split(".", 1)[1]] = value
    plain = {name: getattr(EnergyConfig(), name) for name in ("source", "period_s", "root", "meters", "others", "calibration")}
    carbon = {name: values.pop(f"carbon.{name}", None) for name in ("g_per_kWh", "source")}
    return {**plain, **values, "carbon": carbon}


def described(hostfile: Path | None, name: str, board: str | None) -> tuple[str, str, list[str]]:
    """This host's name and board class, and the names of all hosts.

    Args:
        hostfile: An inventory or a plain hostfile; None: there is none.
        name: What this host calls itself, or was called on the command line.
        board: The class of hosts that name none; None: it is unknown.

    Returns:
        The name in the inventory, the class, and all hosts; no hosts without an inventory.

    Raises:
        UserError: The inventory cannot be read, or does not have this host.
    """
    if hostfile is None:
        return name, board or UNKNOWN, []
    hosts = read_inventory(hostfile, board or UNKNOWN).hosts
    mine = [host for host in hosts if name in _names(host) or name.split(".")[0] in _names(host)]
    if not mine and len(hosts) == 1 and hosts[0].address in ("localhost", "127.0.0.1"):
        mine = list(hosts)
    if not mine:
        known = ", ".join(host.label for host in hosts)
        raise UserError(f"hostfile {hostfile} has no host {name} ({known}); say which one this is with --host NAME")
    return mine[0].label, mine[0].board, [host.label for host in hosts]


def _names(host: Host) -> tuple[str, ...]:
    return tuple(name for name in (host.name, host.address) if name)


def board_of(name: str) -> BoardClass:
    """The description of a board class.

    Args:
        name: A file in conf/board, or ``unknown``.

    Returns:
        The class; of ``unknown`` one without numbers.

    Raises:
        UserError: There is no such class.
    """
    return BoardClass(UNKNOWN) if name == UNKNOWN else load_board(name, conf_folders("board"))


def settings_of(block: Json, label: str, hosts: Sequence[str], hostfile: Path | None, alone: bool) -> EnergySettings:
    """The energy settings of a run.

    Args:
        block: What ``energy_words`` gave.
        label: This host's name.
        hosts: All hosts of the inventory; none without one.
        hostfile: The inventory, for its meters.
        alone: Whether all ranks are on this host.

    Returns:
        The settings.

    Raises:
        UserError: One line for what cannot be.
    """
    if block["meters"] and not hosts and not alone:
        raise UserError(
            "a meter in a run of several hosts must say whose energy it has; give the inventory: --hostfile FILE with meters:"
        )
    return energy_settings(block, hosts or [label], hostfile or Path("none"))


def check_command(command: Sequence[str]) -> None:
    """Check that there is a command and that its program is there, before anything is started for it.

    Args:
        command: The words after ``--``.

    Raises:
        UserError: There is none, or no such program.
    """
    if not command:
        raise UserError("no command; write it after --: edgejoule monitor [options] -- python train.py")
    if shutil.which(command[0]) is None:
        raise UserError(f"{command[0]} is no program that can be run here; give its path, or put it on PATH")
