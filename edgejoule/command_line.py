"""The command line ``edgejoule VERB ...``.

Each verb is the code that ``python -m bench``, ``python -m bench.doctor``, ``python -m analysis`` and so on run, and its module
is imported when it is called.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from bench.common.paths import PROJECT
from bench.common.program_names import PROGRAM, as_called, version

BAD_INPUT = 2
HELP_WORDS = ("-h", "--help", "--hydra-help")


@dataclass(frozen=True)
class Verb:
    """One word of the command line.

    Args:
        summary: What it does, in one line.
        module: The module whose ``main(arguments)`` does it and returns the exit code.
        first: Words that ``main`` gets in front of the user's.
        words: The words that may follow first, for completion.
        keys: Whether KEY=VALUE of the configuration follow, for completion.
    """

    summary: str
    module: str
    first: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    keys: bool = False


def _planner(summary: str, name: str) -> Verb:
    return Verb(summary, "bench.planner.__main__", (name,), keys=True)


def _analysis(summary: str, name: str) -> Verb:
    return Verb(summary, "analysis.__main__", (name,))


VERBS = {
    "run": Verb("run one point, or with -m a sweep of points", "bench.commands.run_command", keys=True),
    "profile": _planner("measure the boards and links of a cluster for the planner", "profile"),
    "plan": _planner("predict every strategy, mesh and order of boards; the best and their command lines", "plan"),
    "simulate": _planner("predict one configuration, rank by rank", "simulate"),
    "doctor": Verb(
        "look for what would spoil a run: energy sources, hosts, links; bring code to hosts",
        "bench.doctor.__main__",
        words=("cluster", "energy", "push"),
        keys=True,
    ),
    "testbed": Verb(
        "bring emulated boards up or down, or show them",
        "bench.testbed.testbed_command",
        words=("up", "down", "status"),
        keys=True,
    ),
    "calibrate": Verb(
        "compare a sensor with a meter, or measure the power of waiting",
        "bench.calibrate.calibrate_command",
        words=("sensor", "waiting"),
    ),
    "fetch": Verb("get the pre-trained weights once and check them", "bench.fetch"),
    "export": Verb("write a saved checkpoint as a Hugging Face model", "bench.export"),
    "report": _analysis("figures, tables and the page of a study", "report"),
    "check": _analysis("every check of every point of a study", "check"),
    "compare": _analysis("what changed between two studies, and whether it is real", "compare"),
    "import": _analysis("another meter's data (perun, CodeCarbon, CSV) as a new study", "import"),
    "publish": _analysis("a copy of a study to give away, without paths and boot ids", "publish"),
    "gallery": _analysis("make docs/gallery again from its records", "gallery"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the verb's exit code, or 2 for what the user can mend."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0 if words else BAD_INPUT
    if words[0] == "--version" or words[1:] == ["--version"]:
        print(version())
        return 0
    if words[0] == "--completion":
        from edgejoule import shell_completion

        return shell_completion.main(words[1:])
    if words[0] not in VERBS:
        from strategies.common.registry import did_you_mean

        print(f"error: unknown verb {words[0]}{did_you_mean(words[0], VERBS)}; all verbs: {PROGRAM} --help", file=sys.stderr)
        return BAD_INPUT
    return run(VERBS[words[0]], words[1:])


def run(verb: Verb, words: Sequence[str]) -> int:
    """Call the verb's ``main`` as if its own program had been started with these words."""
    arguments = [*verb.first, *words]
    sys.argv = [PROGRAM, *arguments]  # Hydra and argparse read it
    if str(PROJECT) not in sys.path:  # Hydra looks for hydra_plugins there
        sys.path.insert(0, str(PROJECT))
    program = importlib.import_module(verb.module)
    if not any(word in HELP_WORDS for word in words):
        return int(program.main(arguments))
    text = io.StringIO()
    try:
        with contextlib.redirect_stdout(text):
            return int(program.main(arguments))
    finally:
        print(as_called(text.getvalue()), end="")


def usage() -> str:
    """The verbs, one line each."""
    width = max(map(len, VERBS))
    lines = [f"  {name.ljust(width)}  {verb.summary}" for name, verb in VERBS.items()]
    return "\n".join(
        [
            f"usage: {PROGRAM} VERB ...",
            "",
            "Energy against time of parallel Transformer fine-tuning over MPI on clusters of edge boards.",
            "",
            *lines,
            "",
            f"{PROGRAM} VERB --help tells more of each. Others: {PROGRAM} --version, {PROGRAM} --completion bash|zsh|fish.",
            "Files of the working folder come first: conf/ (own models, clusters, experiments), hostfiles/, results/.",
            "",
        ]
    )
