"""``python -m bench --help``: groups with their options, then every key with its default and meaning."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence

from bench.common import paths
from bench.config.config_reference import KeyRow, rows, strategy_rows
from bench.energy.sensor_base.source import on_board
from strategies.base import registered

GROUPS = ("strategy", "model", "task", "cluster", "energy", "experiment")
ENERGY = ("measured", "meters", "none")  # with the hosts' own sources: conf/energy/auto.yaml with another source
EXAMPLES = """\
Examples:
  python -m bench strategy=data ranks=2                     one point
  python -m bench -m strategy=single,data,tensor,pipeline   a sweep
  python -m bench experiment=quickstart                     a study from conf/experiment
  python -m bench strategy=pipeline dry_run=true            plan, bytes, memory, mpirun line
  python -m bench strategy=pipeline --help                  with the options of a strategy
  mpirun -n 2 python -m bench strategy=tensor               by hand"""
FIRST = ("", "train", "mesh", "comm", "warmup", "campaign")  # blocks that most command lines touch
WIDEST, NARROWEST = 128, 60


def help_text(words: Sequence[str] = ()) -> str:
    """The help for a command line.

    Args:
        words: Those of the command line; ``strategy=NAME`` among them adds the options of that strategy.

    Returns:
        The text, as wide as the terminal within limits.
    """
    width = max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))
    return "\n".join(_lines([word.removeprefix("strategy=") for word in words if word.startswith("strategy=")], width))


def group_options(group: str) -> list[str]:
    """The options of a group: files in conf, and what is registered.

    Args:
        group: The group's name.

    Returns:
        Their names, sorted.
    """
    names = {path.stem for folder in paths.conf_folders(group) for path in folder.glob("*.yaml")}
    if group == "strategy":
        names.update(registered())
    if group == "energy":
        names.update((*ENERGY, *on_board()))
    return sorted(names)


def _lines(strategies: Sequence[str], width: int) -> Iterator[str]:
    yield from ("EdgeJoule: energy against time of parallel Transformer fine-tuning", "", "Groups (group=option):", "")
    for group in GROUPS:
        yield from _hanging(f"  {group:<11}", ", ".join(group_options(group)), width)
    yield from ("", "Every value can be overridden (train.batch=16). The keys with their defaults:", "")
    options = strategy_rows()
    for name in strategies:
        yield from _keys(options.get(name, []), width)
    listed = [one for one in rows() if not one.key.endswith(".name") and ".spec." not in one.key]
    yield from _keys(sorted(listed, key=lambda one: FIRST.index(_block(one)) if _block(one) in FIRST else len(FIRST)), width)
    yield from ("", "All of them, with ranges: docs/reference/configuration.md", "", EXAMPLES, "")


def _block(one: KeyRow) -> str:
    return one.key.rpartition(".")[0].partition(".")[0]


def _keys(some: Sequence[KeyRow], width: int) -> Iterator[str]:
    for one in some:
        unit = f" ({one.unit})" if one.unit else ""
        yield from _hanging(f"  {one.key + '=' + one.default:<32} ", one.meaning + unit, width)


def _hanging(start: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=start, subsequent_indent=" " * len(start), break_on_hyphens=False)
