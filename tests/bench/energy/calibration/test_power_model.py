"""A power model fitted to simulated boards whose coefficients are known, through real files, the real sampler and sensors."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bench.calibrate.model_verb import clocks_of, write_model
from bench.cluster.board_class import BoardClass
from bench.cluster.board_files import load_board
from bench.common.user_error import UserError
from bench.energy.calibration.model_fit import FittedModel, ModelPoint, fit_model
from bench.energy.calibration.model_loads import Step, design, some_clocks
from bench.energy.calibration.model_session import ModelSession
from bench.energy.sensor_base.source import Place
from bench.energy.sensors.modelled import TICK_S, Modelled
from tests.project import ROOT

CLOCKS = (1.0e9, 2.0e9)
IDLE_W, CORE_W, EXPONENT, MEMORY_J, NETWORK_J = 3.0, (0.5, 1.5), 1.3, 2.0e-10, 4.0e-9
STREAM_B_S, SENT_B_S = 4.0e9, 1.0e8
CORES = 4


def watts(use: np.ndarray, clock_Hz: float, memory_B_s: float = 0.0, network_B_s: float = 0.0) -> float:
    core_W = float(np.interp(clock_Hz, CLOCKS, CORE_W))
    return IDLE_W + core_W * float((use**EXPONENT).sum()) + MEMORY_J * memory_B_s + NETWORK_J * network_B_s


def state(step: Step, clock_Hz: float) -> tuple[np.ndarray, float, float, float]:
    """Use of each core, the clock, and bytes of memory and network in a second."""
    use = np.zeros(CORES)
    use[: step.cores] = 0.3 if step.work == "send" else step.duty
    return use, clock_Hz, STREAM_B_S * step.cores * (step.work == "stream"), SENT_B_S * (step.work == "send")


class SimulatedBoard:
    """A tree whose files advance as those of a board would under the present step; its counter has steps of ``step_uJ``."""

    def __init__(self, root: Path, step_uJ: int = 1) -> None:
        self.root, self.step_uJ, self.step = root, step_uJ, Step(0)
        self.ticks, self.joules, self.bytes = np.zeros(CORES), 0.0, np.zeros(2)
        self._files: dict[Path, int] = {}
        zone = root / "sys/class/powercap/intel-rapl:0"
        for path, text in ((zone / "name", "package-0"), (zone / "max_energy_range_uj", "262143328850")):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
        (root / "sys/class/net/eth0/device").mkdir(parents=True)
        policy = root / "sys/devices/system/cpu/cpufreq/policy0"
        policy.mkdir(parents=True)
        for name, value in (
            ("scaling_min_freq", 1e6),
            ("scaling_max_freq", 2e6),
            ("cpuinfo_min_freq", 1e6),
            ("cpuinfo_max_freq", 2e6),
        ):
            (policy / name).write_text(f"{value:.0f}\n")
        (policy / "scaling_available_frequencies").write_text("1000000 2000000\n")
        self.policy, self.zone = policy, zone
        self._write()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._advance, daemon=True)

    def __enter__(self) -> SimulatedBoard:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        for file in self._files.values():
            os.close(file)

    @contextmanager
    def load(self, step: Step) -> Iterator[None]:
        self.step = step
        yield
        self.step = Step(0)

    def _advance(self) -> None:
        last_s = time.monotonic()
        while not self._ending.wait(0.005):
            now_s = time.monotonic()
            clock_Hz = 1e3 * int((self.policy / "scaling_max_freq").read_text() or 2_000_000)
            use, clock_Hz, memory, network = state(self.step, clock_Hz)
            passed_s, last_s = now_s - last_s, now_s
            self.ticks += use * passed_s / TICK_S
            self.joules += watts(use, clock_Hz, memory, network) * passed_s
            self.bytes += np.array([memory, network]) * passed_s
            self._write(clock_Hz)

    def _write(self, clock_Hz: float = 2.0e9) -> None:
        counts = [int(count) for count in self.ticks]
        lines = [
            f"cpu  {sum(counts)} 0 0 9 0 0 0",
            *(f"cpu{n} {count} 0 0 9 0 0 0" for n, count in enumerate(counts)),
            "intr 1",
        ]
        self._put("proc/stat", "\n".join(lines))
        self._put(self.zone / "energy_uj", int(self.joules * 1e6) // self.step_uJ * self.step_uJ)
        self._put("sys/fs/resctrl/mon_data/mon_L3_00/mbm_total_bytes", int(self.bytes[0]))
        self._put("sys/class/net/eth0/statistics/rx_bytes", 0)
        self._put("sys/class/net/eth0/statistics/tx_bytes", int(self.bytes[1]))
        for core in range(CORES):
            self._put(f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq", int(clock_Hz / 1e3))

    def _put(self, path: str | Path, value: object) -> None:
        """In one write over what was there, as a kernel's file changes."""
        whole = self.root / path
        if whole not in self._files:
            whole.parent.mkdir(parents=True, exist_ok=True)
            self._files[whole] = os.open(whole, os.O_WRONLY | os.O_CREAT, 0o644)
        os.pwrite(self._files[whole], f"{value:>24}\n".encode(), 0)


def fitted_on(board: SimulatedBoard, seconds: float, rounds: int) -> tuple[FittedModel, list[ModelPoint], Any]:
    clocks_Hz, set_clock, restore, why = clocks_of(board.root)
    assert (clocks_Hz, why) == ([1.0e9, 2.0e9], None)
    session = ModelSession("rapl", {}, BoardClass("mine"), "me", board.root, seconds, 0.1, rounds, board.load, set_clock)
    points, trace, warnings = session.run(design(CORES, clocks_Hz, network=True), lambda _: None)
    restore()
    assert "accuracy is not known" in warnings[0]
    return fit_model(points, clocks_Hz, 0.01), points, trace


def predicted(fitted: FittedModel, use: np.ndarray, clock_Hz: float) -> float:
    clocks, at = zip(*fitted.cpu_W_at, strict=True)
    return fitted.idle_W + float(np.interp(clock_Hz, clocks, at)) / CORES * float((use**fitted.exponent).sum())


@pytest.mark.machine
def test_known_coefficients_come_back_and_a_board_that_names_the_file_uses_them(tmp_path: Path) -> None:
    """The whole way: a session, a fit, a file, a class that names it, and modelled joules of another load."""
    with SimulatedBoard(tmp_path / "root") as board:
        fitted, points, trace = fitted_on(board, 0.4, 2)
        assert fitted.idle_W == pytest.approx(IDLE_W, rel=0.02)
        assert [watts for _, watts in fitted.cpu_W_at] == pytest.approx([CORES * one for one in CORE_W], rel=0.05)
        assert fitted.exponent == pytest.approx(EXPONENT, abs=0.1)
        assert fitted.memory_J_per_byte == pytest.approx(MEMORY_J, rel=0.1)
        assert fitted.network_J_per_byte == pytest.approx(NETWORK_J, rel=0.2)
        assert 0 < fitted.residual < 0.03
        assert fitted.model_u == pytest.approx(np.hypot(fitted.residual, 0.01))
        write_model(tmp_path / "fit.json", "me", "mine", trace, points, fitted, ["none"])
        conf = tmp_path / "conf"
        conf.mkdir()
        own = yaml.safe_load((ROOT / "conf/board/raspberry-pi-5.yaml").read_text()) | {
            "name": "mine",
            "power": {"model": "../fit.json"},
        }
        (conf / "mine.yaml").write_text(yaml.safe_dump(own))
        described = replace(load_board("mine", conf), device="cpu")
        model = described.power_model()
        assert (model.idle_W, model.exponent, len(model.clocks)) == (fitted.idle_W, fitted.exponent, 2)
        assert model.relative_u == pytest.approx(fitted.model_u, rel=0.01)
        source = Modelled.open(Place(board.root, described))
        assert [channel.id for channel in source.channels] == ["cpu-utilisation", "busy-ticks", "network", "memory"]
        with board.load(Step(3, 0.7)):
            time.sleep(1.2)
            begin, begin_J, first = time.monotonic(), board.joules, source.read()
            for _ in range(30):
                time.sleep(0.03)
                last = source.read()
            seconds, measured_J = time.monotonic() - begin, board.joules - begin_J
        joules = seconds * model.idle_W + sum(
            channel.scale * (b - a)
            for channel, a, b in zip(source.channels, first, last, strict=True)
            if channel.id != "busy-ticks"
        )
        source.close()
    assert joules == pytest.approx(measured_J, rel=0.05)
    assert (board.policy / "scaling_max_freq").read_text().strip() == "2000000"


@pytest.mark.machine
def test_a_coarse_sensor_makes_a_wide_model_that_still_covers(tmp_path: Path) -> None:
    """Steps of 0.3 J in windows of 0.4 s: tens of per cent; the residual says so, and predictions are within three of it."""
    with SimulatedBoard(tmp_path, step_uJ=300_000) as board:
        fitted, _, _ = fitted_on(board, 0.4, 2)
    assert fitted.residual > 0.02
    for use in (np.ones(CORES), np.full(CORES, 0.5), np.array([1.0, 0, 0, 0])):
        for clock_Hz in CLOCKS:
            truth = watts(use, clock_Hz)
            assert abs(predicted(fitted, use, clock_Hz) - truth) <= 3 * fitted.model_u * truth


def made_points(steps: list[Step], change: Callable[[ModelPoint], ModelPoint] = lambda point: point) -> list[ModelPoint]:
    """Exact powers of steps, two rounds."""
    points = []
    for step in steps * 2:
        use, clock_Hz, memory, network = state(step, step.clock_Hz or 2.0e9)
        power = watts(use, clock_Hz, memory, network)
        points.append(change(ModelPoint(step.words, 0, power, 0.0, tuple(use), (clock_Hz,) * CORES, memory, network)))
    return points


STEPS = design(CORES, CLOCKS, network=True)


def test_exact_powers_give_exact_coefficients() -> None:
    fitted = fit_model(made_points(STEPS), CLOCKS, 0.0)
    assert (fitted.idle_W, fitted.exponent) == pytest.approx((IDLE_W, EXPONENT), rel=1e-3)
    assert [watts for _, watts in fitted.cpu_W_at] == pytest.approx([2.0, 6.0], rel=1e-3)
    assert (fitted.memory_J_per_byte, fitted.network_J_per_byte) == pytest.approx((MEMORY_J, NETWORK_J), rel=1e-3)
    assert fitted.residual < 1e-3


def test_memory_that_cannot_be_counted_is_in_the_residual() -> None:
    """The streams draw 0.8 W and 3.2 W that no counter explains: the uncertainty has them, no coefficient is invented."""
    fitted = fit_model(made_points(STEPS, lambda point: replace(point, memory_B_s=None)), CLOCKS, 0.0)
    assert fitted.memory_J_per_byte is None
    assert 0.03 < fitted.model_u < 0.4


def test_without_clocks_the_governors_is_the_only_one() -> None:
    steps = [step for step in STEPS if step.clock_Hz is None]
    fitted = fit_model(made_points(steps, lambda point: replace(point, clocks_Hz=())), (), 0.0)
    assert fitted.cpu_W_at == ((0.0, pytest.approx(6.0, rel=1e-3)),)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "no model fits no load was measured"),
        (made_points([Step(0)]), "do not tell the coefficients apart"),
        (made_points([Step(0), Step(4)])[:2], "2 segments for 2 coefficients; use more --rounds"),
        (made_points(STEPS, lambda point: replace(point, watts=-1.0)), "no model fits -1 W under a load"),
    ],
)
def test_powers_that_no_model_fits_are_one_line(points: list[ModelPoint], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        fit_model(points, (), 0.0)
    assert "\n" not in str(error.value)


def test_the_session_is_designed() -> None:
    words = [step.words for step in design(6, [1.0e9, 1.5e9, 2.0e9], network=False)]
    assert words == [
        "idle", "1 core", "2 cores", "4 cores", "6 cores", "6 cores for 50 % of the time", "6 cores for 25 % of the time",
        "6 cores at 1 GHz", "6 cores at 1.5 GHz", "1 core, memory stream", "6 cores, memory stream",
    ]  # fmt: skip
    assert some_clocks([1e9 + 1e8 * n for n in range(13)]) == pytest.approx([1.0e9, 1.4e9, 1.8e9, 2.2e9])
    assert some_clocks([2e9, 1e9, 2e9]) == [1e9, 2e9]


def test_clocks_that_cannot_be_set_are_said_to_be_missing(tmp_path: Path) -> None:
    clocks, set_clock, restore, why = clocks_of(tmp_path)
    set_clock(None)
    restore()
    assert clocks == []
    assert why is not None
    assert why.startswith("one clock only, that of the governor: ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda fit: fit | {"schema": "other"}, r"is no edgejoule.power_model/1 \(other\)"),
        (lambda fit: [], r"is no edgejoule.power_model/1 \(not JSON\)"),
        (lambda fit: fit | {"power": {"idle_W": fit["power"]["idle_W"]}}, "has no cpu_W"),
        (lambda fit: fit | {"power": fit["power"] | {"cpu_W": {"value": -1, "source": "x"}}}, "cpu_W must be positive"),
    ],
)
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    about = {key: {"value": value, "source": "fit"} for key, value in (("idle_W", 3.0), ("cpu_W", 6.0), ("model_u", 0.02))}
    (tmp_path / "fit.json").write_text(json.dumps(change({"schema": "edgejoule.power_model/1", "power": about})))
    shutil.copy(ROOT / "conf/board/x86-mini-pc.yaml", tmp_path / "mine.yaml")
    own = yaml.safe_load((tmp_path / "mine.yaml").read_text()) | {"name": "mine", "power": {"model": "fit.json"}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(own))
    with pytest.raises(UserError, match=message) as error:
        load_board("mine", tmp_path)
    assert "\n" not in str(error.value)
