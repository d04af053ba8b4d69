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

from bench.common.exit_codes import BAD_INPUT
from bench.common.paths import PROJECT
from bench.common.program_names import PROGRAM, as_called, version
from edgejoule.verbs import VERBS, Verb

HELP_WORDS = ("-h", "--help", "--hydra-help")


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
    """Call the verb's ``main`` as if its own program had been started.

    Args:
        verb: The verb.
        words: The words that follow it on the command line.

    Returns:
        The exit code.
    """
    arguments = [*verb.first, *words]
    sys.argv = [PROGRAM, *arguments]  # Hydra and argparse read it
    if str(PROJECT) not in sys.path:  # Hydra looks for hydra_plugins there
        sys.path.insert(0, str(PROJECT))
    program = importlib.import_module(verb.module)
    own = words[: words.index("--")] if "--" in words else words  # what follows is another program's
    if not any(word in HELP_WORDS for word in own):
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
