"""The command line of the analysis: ``python -m analysis report|check|compare|import|publish|gallery``.

The module of a verb, and with it what it draws and computes with, is imported when that verb is called.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from bench.common.exit_codes import BAD_INPUT
from bench.common.program_names import as_called
from bench.common.user_error import UserError
from strategies.common.registry import unknown_name


@dataclass(frozen=True)
class Verb:
    """A verb: the module that has its words and its work, one line about it, and the words of its example."""

    module: str
    summary: str
    example: str


VERBS = {
    "report": Verb(
        "analysis.commands.report_verb",
        "figures, tables and the page of a study",
        "results/quickstart --out report --column acm --format pdf,svg",
    ),
    "check": Verb("analysis.commands.check_verb", "every check of every point, and those of the study", "results/quickstart"),
    "compare": Verb(
        "analysis.commands.compare_verb",
        "two studies, or two commits of one: what changed, by how much, and whether it is real",
        "results/before results/after",
    ),
    "import": Verb(
        "analysis.commands.import_verb",
        "another meter's data (perun, CodeCarbon, CSV) beside our events: a new study",
        "power.csv results/quickstart --into results/quickstart-metered",
    ),
    "publish": Verb(
        "analysis.commands.publish_verb",
        "a copy of a study's records to give away, without paths and boot ids",
        "results/quickstart --into artefact/quickstart",
    ),
    "gallery": Verb("analysis.commands.gallery_verb", "make docs/gallery again from its records", ""),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code: 1 where a check failed, 2 for what the user can mend."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if words and not words[0].startswith("-") and words[0] not in VERBS:
            raise UserError(unknown_name("verb", words[0], VERBS))
        arguments = parser(words[0] if words else None).parse_args(words)
        return int(arguments.run(arguments))
    except UserError as error:
        print(f"error: {as_called(str(error))}", file=sys.stderr)
        return BAD_INPUT


def parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """All verbs with their lines; the arguments of the chosen one only.

    Args:
        chosen: The verb on the command line, the only one whose module is imported; null: none.

    Returns:
        The parser. What it parses has ``run``, the function of the chosen verb.
    """
    program = as_called("python -m analysis").strip()
    top = argparse.ArgumentParser(prog=program, description="From the records of studies to reports and figures.")
    verbs = top.add_subparsers(required=True, metavar="|".join(VERBS))
    for name, verb in VERBS.items():
        made = verbs.add_parser(name, help=verb.summary, epilog=f"example: {program} {name} {verb.example}".rstrip())
        if name == chosen:
            module = importlib.import_module(verb.module)
            module.add_arguments(made)
            made.set_defaults(run=module.run)
    return top


if __name__ == "__main__":
    sys.exit(main())
