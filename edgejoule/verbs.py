"""The verbs of ``edgejoule`` and the modules that do them. Imports none of these."""

from __future__ import annotations

from dataclasses import dataclass


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
    "monitor": Verb("joules of any program, also under mpirun, srun and torchrun", "bench.monitor.monitor_command"),
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
        "compare a sensor with a meter, fit a board's power model, or measure the power of waiting",
        "bench.calibrate.calibrate_command",
        words=("sensor", "model", "waiting"),
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
