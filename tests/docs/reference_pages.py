"""The pages of ``docs/reference`` that are made here from the code: the command line, the configuration and the sensors.

python -m tests.docs.reference_pages          writes them again
python -m tests.docs.reference_pages PAGE     prints one: command-line, configuration or sensors
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.project import ROOT

WIDTH = "100"
MADE = "<!-- made by python -m tests.docs.reference_pages: change the code, not this page -->"
SUBVERBS = {"doctor": ("cluster", "energy", "push"), "calibrate": ("sensor", "waiting")}
"""Verbs whose words have a help of their own."""
CONFIGURATION = Path("docs/reference") / "configuration.md"
END_OF_RUN = "Every value can be overridden"
"""Where the help of ``run`` turns to the keys of the configuration, which have a page of their own."""


def help_text(words: tuple[str, ...]) -> str:
    """What ``edgejoule WORDS --help`` prints, in lines of WIDTH letters and without this machine's folders."""
    from edgejoule.command_line import main

    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        main([*words, "--help"])
    lines = [line.rstrip() for line in text.getvalue().replace(f"{ROOT}/", "").strip().splitlines()]
    return "\n".join(lines)


def command_line() -> str:
    """``docs/reference/command-line.md``: every verb with its help."""
    os.environ["COLUMNS"] = WIDTH
    from edgejoule.verbs import VERBS

    return "\n".join(_command_line(VERBS)) + "\n"


def _command_line(verbs: dict[str, object]) -> Iterator[str]:
    yield from ("# Command line", "", MADE, "")
    yield from (
        "`edgejoule VERB` is the command of an installed EdgeJoule; in a source tree the same code runs as a module.",
        "",
    )
    yield from ("| verb | module |", "| --- | --- |")
    modules = {"run": "python -m bench", **{verb: f"python -m bench.{verb}" for verb in ("fetch", "export", "monitor")}}
    for verb in verbs:
        planner = verb in ("profile", "plan", "simulate")
        program = "bench.planner" if planner else f"bench.{verb}" if verb in ("doctor", "testbed", "calibrate") else "analysis"
        module = modules.get(verb) or f"python -m {program}" + f" {verb}" * (planner or program == "analysis")
        yield f"| [`{verb}`](#{verb}) | `{module}` |"
    yield from (
        "",
        "Exit codes: 0 is well, 1 a point or a check failed, 2 what you can mend (in one line), 130 Ctrl-C.",
        "",
    )
    for verb in verbs:
        yield from (f"## {verb}", "")
        text = help_text((verb,))
        if verb == "run":
            text = text.split(END_OF_RUN)[0].rstrip()
        yield from ("```text", text, "```", "")
        if verb == "run":
            known = (ROOT / CONFIGURATION).is_file()
            yield from ("Every key: " + ("[configuration](configuration.md)." if known else "`python -m bench --help`."), "")
        for word in SUBVERBS.get(verb, ()):
            yield from (f"### {verb} {word}", "", "```text", help_text((verb, word)), "```", "")


def sensors() -> str:
    """``docs/reference/sensors.md``: every registered sensor and meter, with what it reads."""
    from bench.energy.sensor_base.source import meters, on_board

    return "\n".join(_sensors(on_board(), meters())) + "\n"


def _sensors(boards: dict[str, type], meters: dict[str, type]) -> Iterator[str]:
    yield from ("# Sensors", "", MADE, "")
    yield (
        "Every sensor and meter that `energy.source=` and the inventory know, from its file in `bench/energy/sensors/`. "
        "What is behind the numbers: [energy sources](energy-sources.md); how meters are set up: "
        "[external meters](../how-to/energy-meters.md)."
    )
    yield from (
        "",
        "**None of those that measure has been run on physical hardware**: tests use directory trees, recorded replies",
    )
    yield from ("and local servers.", "")
    yield from ("| name | kind | sensor | read every, s | chosen by `energy=auto` |", "| --- | --- | --- | --- | --- |")
    for name, source in {**boards, **meters}.items():
        automatic = "in the inventory" if source.settings else "yes" if source.automatic else "by name only"
        yield f"| [`{name}`](#{name}) | {source.kind} | {source.sensor} | {source.period_s:g} | {automatic} |"
    for title, sources in (("Sensors of a host itself", boards), ("Meters of the inventory", meters)):
        yield from ("", f"## {title}")
        for name, source in sources.items():
            yield from ("", f"### {name}", "", *_paragraphs(sys.modules[source.__module__].__doc__ or ""))
            missing = source.not_measured
            if isinstance(missing, tuple) and missing:
                yield from ("", f"Not measured: {'; '.join(missing)}.")
            if source.settings:
                yield from ("", "| setting | meaning |", "| --- | --- |")
                yield from (f"| `{key}` | {meaning} |" for key, meaning in source.settings.items())


def _paragraphs(docstring: str) -> Iterator[str]:
    """A docstring as Markdown: literals in single back quotes, links of its own as code."""
    for line in docstring.strip().replace("``", "`").splitlines():
        yield line.replace("|", "\\|") if "|" in line else line


def configuration() -> str:
    """``docs/reference/configuration.md``: every key with its default, unit, range and meaning."""
    from bench.config.config_reference import page

    start = ("# Configuration", "", MADE, "", CONFIGURATION_INTRODUCTION, "")
    return "\n".join(start) + "\n" + page()


CONFIGURATION_INTRODUCTION = (
    "Every key of `python -m bench`, as `KEY=VALUE` on the command line or in a file of `conf`. Groups (`strategy=`, `model=`, "
    "`task=`, `cluster=`, `energy=`, `experiment=`) take the name of a file in their folder, whose values win over the "
    "defaults here. A wrong key, type or range ends in one line and exit code 2 before anything runs."
)
PAGES: dict[str, Callable[[], str]] = {"command-line": command_line, "configuration": configuration, "sensors": sensors}


def main(words: list[str]) -> int:
    if words:
        print(PAGES[words[0]](), end="")
        return 0
    for name, make in PAGES.items():
        (ROOT / f"docs/reference/{name}.md").write_text(make())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
