"""``python -m bench.doctor VERB``: see ``python -m bench.doctor --help``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from bench.common.exit_codes import BAD_INPUT
from bench.common.user_error import UserError
from bench.doctor.doctor_verb import Verb, verbs
from bench.point import hydra_compose
from strategies.common.registry import did_you_mean

HELP_WORDS = ("-h", "--help", "help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line: 0 ready, 1 something failed, 2 for what the user can mend in the command."""
    words = list(sys.argv[1:] if argv is None else argv)
    known = verbs()
    if not words or words[0] in HELP_WORDS:
        print(usage(known), end="")
        return 0 if words else BAD_INPUT
    return hydra_compose.answered(lambda: _run(known, *words))


def _run(known: Mapping[str, Verb], name: str, *rest: str) -> int:
    if name not in known:
        raise UserError(f"unknown verb {name}; known are {', '.join(known)}{did_you_mean(name, known)}")
    if any(word in HELP_WORDS for word in rest):
        print(known[name].help, end="")
        return 0
    return known[name].run(rest)


def usage(known: dict[str, Verb]) -> str:
    """The help: each verb with its line.

    Args:
        known: The verbs by name.

    Returns:
        The text, which ends with a line break.
    """
    width = max(len(name) for name in known)
    lines = [f"  {name.ljust(width)}  {verb.summary}" for name, verb in known.items()]
    return "\n".join(
        [
            f"usage: python -m bench.doctor {'|'.join(known)} [KEY=VALUE ...]",
            "",
            *lines,
            "",
            "Each has its own --help. Lines of PASS, WARN and FAIL say what is well and what to do; the exit code is 1 after a",
            "FAIL, 2 for a command that cannot be understood, else 0.",
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
