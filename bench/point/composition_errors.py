"""What Hydra and OmegaConf complain of, in one line with the near names."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from bench.common import paths
from bench.config.config_field import leaves, setting_of
from bench.config.run_config import RunConfig
from bench.point.plan_errors import in_command_line_words
from strategies.base import registered
from strategies.common.registry import did_you_mean

GROUPS_ALONE = ("experiment", "hydra")  # groups that are no block of the configuration
ALL_KEYS = "all keys: python -m bench --help"


def one_line(error: BaseException) -> str:
    """The message of an error of the user's making, in one line.

    Args:
        error: From Hydra, OmegaConf, the strategies or the suite.

    Returns:
        The line; for a complaint of Hydra or OmegaConf with the near key or option.
    """
    text = in_command_line_words(error)
    option = re.search(r"Could not find '([\w/]+)/([^'/]+)'", text)
    if option:
        group, name = option[1], option[2]
        known = sorted(re.findall(r"^\t(\S+)$", text, re.MULTILINE)) or known_options(group)
        return f"unknown {group} {name}; known are {', '.join(known)}{did_you_mean(name, known)}"
    merged = re.search(r"Error merging override ([^=\s]+)=?(\S*)", text)
    if merged and not merged[1].startswith("~"):
        return f"{merged[1]}={merged[2]} must be a block of keys; set one of them, such as {_first_key(merged[1])}=..."
    if text.startswith("Config group override must be"):
        return f"a group takes the name of one of its options ({text}); groups and options: python -m bench --help"
    alone = re.search(r"Could not override '([^']+)'\. No match in the defaults list", text)
    if alone:
        return f"{alone[1]} is no group that is chosen by itself; {ALL_KEYS}"
    if re.search(r"Could not override '|Key '[^']+' (is not in struct|not in ')", text):
        return unknown_key(error, text)
    return " ".join(line.strip() for line in text.splitlines() if line.strip())[:300]


def unknown_key(error: BaseException, text: str) -> str:
    """The line for a key that does not exist.

    Args:
        error: Its cause has the node that was composed.
        text: The complaint, which names the key.

    Returns:
        The line, with the near key or the options of the chosen strategy.
    """
    full = re.search(r"Could not override '([^']+)'|full_key: (\S+)|Key '([^']+)'", text)
    assert full is not None
    key = next(part for part in full.groups() if part)
    top, _, rest = key.partition(".")
    if top == "strategy" and rest:
        chosen = _chosen_strategy(error)
        if chosen is not None and not did_you_mean(rest, chosen[1]):
            return f"strategy={chosen[0]} has no option {rest}; its options are {', '.join(chosen[1]) or 'none'}"
    if key in known_keys():  # of another option of its group
        return f"{key} is no key of the chosen {top}; {ALL_KEYS}"
    return f"unknown key {key}{near_key(key)}; {ALL_KEYS}"


def near_key(key: str) -> str:
    """The key that was probably meant.

    Args:
        key: A word alone is compared with groups and top keys, a dotted key with those of its block.

    Returns:
        ``; did you mean KEY?``, or nothing.
    """
    tops = [*(field.name for field in dataclasses.fields(RunConfig)), *GROUPS_ALONE]
    top, dot, _ = key.partition(".")
    if not dot:
        return did_you_mean(key, tops)
    known = known_keys()
    same_block = [name for name in known if name.startswith(f"{top}.")]
    return did_you_mean(key, same_block) or did_you_mean(key, known)


def _chosen_strategy(error: BaseException) -> tuple[str, list[str]] | None:
    """The strategy that was composed and its options, from the node that OmegaConf names."""
    node = getattr(error.__cause__, "parent_node", None)
    values: Any = node if isinstance(node, Mapping) or hasattr(node, "keys") else None
    if values is None or "name" not in values:
        return None
    return str(values["name"]), [str(key) for key in values if key != "name"]


def _first_key(name: str) -> str:
    return next((key for key in known_keys() if key.startswith(f"{name}.")), f"{name}.KEY")


def known_options(group: str) -> list[str]:
    """The options of a group that are files.

    Args:
        group: The group's name.

    Returns:
        Their names, sorted.
    """
    return sorted({path.stem for folder in paths.conf_folders(group) for path in folder.glob("*.yaml")})


def known_keys() -> list[str]:
    """Every dotted key, and the options of all strategies."""
    keys = [key for key, field in leaves(RunConfig) if not setting_of(field).flat]
    options = [f"strategy.{name}" for strategy in registered().values() for name in strategy.options]
    return [*keys, *dict.fromkeys(options)]
