"""Around Hydra's composition: the schema, strategies and energy sources as options, and plain values."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench.common import paths
from bench.common.exit_codes import BAD_INPUT, INTERRUPTED
from bench.common.program_names import as_called
from bench.common.user_error import UserError
from bench.config.config_check import read_run_config
from bench.config.config_json import to_json
from bench.config.config_schema import register_schema
from bench.energy.sensor_base.source import on_board
from bench.point.composition_errors import one_line
from strategies.base import registered
from strategies.common.plan_error import PlanError


def composed(overrides: Sequence[str]) -> dict[str, Any]:
    """The checked configuration under overrides.

    Args:
        overrides: Words of the command line, KEY=VALUE each.

    Returns:
        All keys as plain values.

    Raises:
        HydraException, OmegaConfBaseException: The words cannot be composed.
        UserError: For a value of the wrong type or out of range.
    """
    register()
    with initialize_config_dir(str(paths.CONF), version_base="1.3"):
        plain: dict[str, Any] = to_json(read_run_config(to_plain(compose("config", overrides=list(overrides)))))
        return plain


def register() -> None:
    """Make known to Hydra what is in no file: the schema, the strategies and the ways to measure."""
    register_schema()
    register_strategies()
    register_energy()


def check_words(overrides: Sequence[str], program: str) -> None:
    """Refuse words that are no override.

    Args:
        overrides: Words of the command line.
        program: The module whose ``--help`` the message names.

    Raises:
        UserError: For the first word that is no KEY=VALUE.
    """
    flags = [word for word in overrides if word.startswith("-") or "=" not in word]
    if flags:
        raise UserError(f"{flags[0]} is no KEY=VALUE; see python -m {program} --help")


def answered(run: Callable[[], int], interrupted: str = "interrupted") -> int:
    """Run a command line; for an error that the user can mend print one line.

    Args:
        run: The command; gives its exit code.
        interrupted: The line after Ctrl-C.

    Returns:
        The exit code of ``run``, BAD_INPUT for what the user can mend, INTERRUPTED after Ctrl-C.
    """
    try:
        return run()
    except (UserError, PlanError, HydraException, OmegaConfBaseException) as error:
        print(f"error: {as_called(one_line(error))}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        return INTERRUPTED


def to_plain(cfg: DictConfig) -> dict[str, Any]:
    """The composed configuration as plain values.

    Args:
        cfg: As Hydra composed it; its ``hydra`` block is left out.

    Returns:
        Its values, with interpolations resolved.

    Raises:
        OmegaConfBaseException: A value is missing; the message names it.
    """
    without = {key: cfg._get_node(key) for key in cfg if key != "hydra"}
    plain = OmegaConf.to_container(OmegaConf.create(without), resolve=True, throw_on_missing=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def register_strategies() -> None:
    """Every registered strategy is an option of the group, with or without a file in conf/strategy."""
    for name, strategy in registered().items():
        node: Mapping[str, Any] = {"name": name, **strategy.options}
        ConfigStore.instance().store(group="strategy", name=name, node=dict(node), provider="strategies")


def register_energy() -> None:
    """Every way to measure is an option of the group: conf/energy/auto.yaml with another source."""
    for name in ("measured", "meters", "none", *on_board()):
        node = {"defaults": ["auto", "_self_"], "source": name}
        ConfigStore.instance().store(group="energy", name=name, node=node, provider="energy")
