"""What the doctor makes of a report, how it prints, and what its command line refuses."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest

from bench.common import terminal_table
from bench.doctor import doctor_verb
from bench.doctor.__main__ import main
from bench.doctor.clock_agreement import ClockAgreement
from bench.doctor.energy_findings import findings
from bench.doctor.host_energy_report import (
    ChannelReport,
    EnergyReport,
    HostEnergyReport,
    LeftOutSource,
    PartReport,
    SourceReport,
)
from bench.energy.sampling.energy_settings import EnergySettings

SOURCE = SourceReport(
    source="rapl", meter=None, kind="measured", covers=("a",), check_of=None, period_s=0.05, reached_Hz=20.0, read_s=1e-4,
    errors=0, window_s=3.0, calibrated=None, channels=(),
)  # fmt: skip
HOST = HostEnergyReport(
    label="a", board="x", machine="boot a", problem=None, left_out=(), not_measured=(), sampler_cpu=0.001, sources=(SOURCE,)
)
PART = PartReport(
    hosts=("a",), kind="measured", levels=("package",), channels=("rapl/package-0",), sources=("rapl",), calibrated=(),
    watts=5.0, quality="good",
)  # fmt: skip
AUTO = EnergySettings("auto")


def report(**changes: Any) -> EnergyReport:
    """One host that is measured well, with changes of its ``source``, ``host``, ``part`` and of the report."""
    source = replace(SOURCE, **changes.pop("source", {}))
    host = replace(HOST, sources=(source,), **changes.pop("host", {}))
    part = replace(PART, **changes.pop("part", {}))
    return replace(EnergyReport(hosts=(host,), parts=(part,), missing=(), others=(), clock=None), **changes)


def rail(name: str, watts: float, contains: tuple[str, ...] = (), step: float = 0.04) -> ChannelReport:
    return ChannelReport(name, "power", "W", 1e-6, 0.007, step, None, "package", name, contains, watts, "in the total")


RAILS = (rail("VDD_IN", 4.7, ("CPU", "SOC", "CORE")), rail("CPU", 6.9, ("CORE",)), rail("SOC", 1.5), rail("CORE", 5.0))
FINE = (rail("VDD_IN", 8.3, ("CPU", "SOC", "CORE")), *RAILS[1:])  # 8.4 W inside: within the steps of three sensors
RULES = [
    ({"part": {"watts": -9.88}}, "FAIL a: a run would be invalid: -9.880 W, negative power: the clamp"),
    ({"part": {"watts": 0.0}}, "FAIL a: a run would be invalid: 0.000 W, no power at all"),
    ({"source": {"channels": RAILS}}, "FAIL a: rapl: CPU + SOC read 8.400 W and VDD_IN, which should contain them, 4.700 W"),
    ({}, "PASS a: measured (package) by rapl/package-0"),
    ({"host": {"sampler_cpu": 0.03}}, "WARN a: the sampler takes 3.0 % of one core; read less often"),
    ({"source": {"errors": 4}}, "WARN a: rapl failed 4 times in these seconds"),
    ({"source": {"reached_Hz": 10.0}}, "WARN a: rapl gives 10 readings a second, 20 wanted, each takes 0.0001 s"),
    ({"part": {"quality": "gap"}}, "FAIL a: a run would be invalid: gap (rapl/package-0)"),
    ({"parts": (), "missing": ("a",)}, "FAIL a: nothing has its energy; put a meter in front of it"),
    ({"clock": ClockAgreement(False, 4e-5)}, "PASS the hosts' clocks are known to each other within 40 us"),
    ({"clock": ClockAgreement(False, 4e-3)}, "WARN the hosts' clocks are known to each other within 4000 us; steps"),
    ({"part": {"calibrated": ("rapl",), "sources": ("rapl", "nvml")}}, "WARN a: rapl is calibrated to all that its meter had"),
    ({"part": {"levels": ("board", "package")}}, "WARN energy is read at different levels (a: board and package)"),
    ({"source": {"window_s": 41.2}}, "PASS rapl of a needs 42 s for 1 %: a run makes window_s=20 that long by itself"),
    ({"host": {"left_out": (LeftOutSource("nvml", "x: Permission denied"),)}}, "WARN a: nvml is there and cannot be read"),
]


@pytest.mark.parametrize(("changes", "said"), RULES, ids=[said[:40] for _, said in RULES])
def test_findings(changes: dict[str, Any], said: str) -> None:
    found = findings(report(**changes), AUTO, 20.0, emulated=False)
    told = [f"{finding.status} {finding.text}" for finding in found]
    assert any(line.startswith(said) for line in told), told


def test_parts_within_their_whole_are_no_finding() -> None:
    found = findings(report(source={"channels": FINE}), AUTO, 20.0, emulated=False)
    assert {finding.status for finding in found} == {"PASS"}


def test_another_source_of_a_sensor_that_may_not_be_read_is_enough() -> None:
    changes = {"host": {"left_out": (LeftOutSource("rapl", "may not be read"),)}, "source": {"source": "perf"}}
    found = findings(report(**changes), AUTO, 20.0, emulated=False)
    assert {finding.status for finding in found} == {"PASS"}


BAD_LINES = [
    ("enrgy", "unknown verb enrgy; known are cluster, energy, push; did you mean energy?"),
    ("energy doctor.second=1", "unknown key doctor.second; known are doctor.seconds, doctor.timeout_s; did you mean seconds?"),
    ("energy doctor.seconds=long", "doctor.seconds=long must be a number"),
    ("energy doctor.seconds=0", "doctor.seconds=0 must be a positive number of seconds, such as 3"),
    ("energy --seconds", "--seconds is no KEY=VALUE; see python -m bench.doctor --help"),
    ("energy energy=rappl", "unknown energy rappl; known are"),
    ("energy energy.source=rappl", "unknown energy.source rappl; known are"),
    ("energy cluster=locl", "unknown cluster locl; known are"),
    ("energy clustr=local", "unknown key clustr"),
    ("energy cluster.hostfile=/no/hosts", "hostfile /no/hosts cannot be read"),
    ("energy energy=meters", "energy=meters, but neither"),
    ("energy energy.calibration=/nowhere", "energy.calibration=/nowhere holds no calibration"),
]


@pytest.mark.parametrize(("line", "said"), BAD_LINES, ids=[line for line, _ in BAD_LINES])
def test_one_line_for_bad_input(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"error: {said}")
    assert told.err.count("\n") == 1


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"  {name:<7}  {verb.summary}" in told for name, verb in doctor_verb.verbs().items())
    assert main(["energy", "--help"]) == 0
    assert "python -m bench.doctor energy cluster=two-boards energy=measured" in capsys.readouterr().out
    assert main([]) == 2


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_tables_are_plain_in_a_file_and_drawn_on_a_terminal() -> None:
    rows = [["a", "1.5"], ["board", "12.25"]]
    assert terminal_table.plain("Watts", ("host", ">now"), rows) == "Watts\n  host     now\n  a        1.5\n  board  12.25"
    drawn = Terminal()
    terminal_table.show("Watts", ("host", ">now"), rows, drawn)
    assert "│ board │ 12.25 │" in drawn.getvalue()
    doctor_verb.show([doctor_verb.Finding("FAIL", "a: [bad]"), doctor_verb.Finding("PASS", "b")], told := Terminal())
    assert "a: [bad]" in told.getvalue()


@pytest.mark.parametrize(
    ("value", "text"), [(6.1e-5, "61 uJ"), (0.0785, "78.5 mJ"), (0, "0 J"), (3600.0, "3.6 kJ"), (1.0, "1 J"), (None, "-")]
)
def test_units(value: float | None, text: str) -> None:
    assert terminal_table.si(value, "J") == text
