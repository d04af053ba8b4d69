"""The command line: Hydra composes, the campaign runs, errors are one line.

On a launch host this process never initialises MPI: it starts mpirun. Started *by* an mpirun, every rank goes straight to
the worker; rank 0 composes for all.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench import campaign, config
from bench.errors import UserError
from bench.launch.mpirun import find_mpirun
from strategies.base import registered
from strategies.errors import PlanError

BAD_INPUT = 2
INSIDE_MPI = ("OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK")
RESULTS = Path("results")
traceback_wanted = False


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. 2 for what the user can mend, 1 where a point failed."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    global traceback_wanted
    traceback_wanted = "HYDRA_FULL_ERROR" in os.environ
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise its errors instead of printing them
    _register_strategies()
    if any(name in os.environ for name in INSIDE_MPI):
        from bench.by_hand import run_inside_mpi

        return run_inside_mpi(arguments)
    try:
        _hydra_main()
    except (UserError, PlanError, HydraException, OmegaConfBaseException) as error:
        if traceback_wanted:
            raise
        print(f"error: {one_line(error)}", file=sys.stderr)
        return BAD_INPUT
    return 0


@hydra.main(config_path=str(config.CONF), config_name="config", version_base="1.3")
def _hydra_main(cfg: DictConfig) -> None:
    """A single run (sweeps go to the campaign launcher)."""
    try:
        code = run_points([cfg], HydraConfig.get().runtime.choices.get("experiment"))
    except (UserError, PlanError) as error:
        if traceback_wanted:
            raise
        # Here and not in main(): Hydra would print a line of its own about any exception of its task.
        print(f"error: {error}", file=sys.stderr)
        code = BAD_INPUT
    if code:
        raise SystemExit(code)


def run_points(composed: Sequence[DictConfig], experiment: str | None = None) -> int:
    """Resolve and check all points, then run them, or show them for ``dry_run=true``; the exit code."""
    points, repeats = [], []
    for cfg in composed:
        if "hydra" in cfg:
            experiment = cfg.hydra.runtime.choices.get("experiment")
        plain = to_plain(cfg)
        points.append(config.resolve(plain, experiment, RESULTS))
        find_mpirun(plain["cluster"]["mpirun"])
        repeats.append(plain["repeats"])
    if composed[0].dry_run:
        from bench.dry_run import show

        return show(campaign.expand(points, repeats, RESULTS, composed[0].seed))
    return campaign.run(points, repeats, RESULTS, composed[0].seed)


def to_plain(cfg: DictConfig) -> dict[str, Any]:
    """The composed configuration as plain values; a value that is missing is an error that names it."""
    without = {key: cfg._get_node(key) for key in cfg if key != "hydra"}
    plain = OmegaConf.to_container(OmegaConf.create(without), resolve=True, throw_on_missing=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _register_strategies() -> None:
    """Every registered strategy is an option of the group, with or without a file in conf/strategy."""
    for name, strategy in registered().items():
        node: Mapping[str, Any] = {"name": name, **strategy.options}
        ConfigStore.instance().store(group="strategy", name=name, node=dict(node), provider="strategies")


def one_line(error: BaseException) -> str:
    """What Hydra or OmegaConf complains of, in one line with the near names."""
    text = str(error)
    option = re.search(r"Could not find '([\w/]+)/([^'/]+)'", text)
    if option:
        group, name = option[1], option[2]
        known = sorted(re.findall(r"^\t(\S+)$", text, re.MULTILINE)) or known_options(group)
        return f"unknown {group} {name}; known are {', '.join(known)}{config.near(name, known)}"
    key = re.search(r"Could not override '([^']+)'", text) or re.search(r"Key '([^']+)' is not in struct", text)
    if key:
        known = known_keys()
        return f"unknown key {key[1]}{config.near(key[1], known)}; all keys: python -m bench --help"
    return " ".join(line.strip() for line in text.splitlines() if line.strip())[:300]


def known_options(group: str) -> list[str]:
    return sorted(path.stem for path in (config.CONF / group).glob("*.yaml"))


def known_keys() -> list[str]:
    """Dotted keys of the configuration file and its groups' defaults."""
    top = OmegaConf.to_container(OmegaConf.load(config.CONF / "config.yaml"))
    assert isinstance(top, dict)
    keys = list(_dotted({k: v for k, v in top.items() if k not in ("defaults", "hydra")}, ""))
    for strategy in registered().values():
        keys += [f"strategy.{name}" for name in strategy.options]
    return [*keys, "model.checkpoint", "cluster.hostfile", "cluster.oversubscribe", "energy.source"]


def _dotted(values: Mapping[Any, Any], prefix: str) -> list[str]:
    found = []
    for key, value in values.items():
        found.append(f"{prefix}{key}")
        if isinstance(value, Mapping):
            found += _dotted(value, f"{prefix}{key}.")
    return found
