"""A RAPL tree whose counter really advances, and a plug in front of it that reads another power: real files, a real server."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from tests.stand_ins.web import WebMeter, recorded

RANGE_UJ = 262143328850


class LiveRapl:
    """``with LiveRapl(root, watts) as board:`` one package whose power is ``watts()`` at any time."""

    def __init__(self, root: Path, watts: Callable[[], float], pause_s: float = 0.01) -> None:
        self.watts, self.pause_s = watts, pause_s
        self.begin_s, self.joules = time.monotonic(), 0.0
        self.folder = root / "sys/class/powercap/intel-rapl:0"
        self.folder.mkdir(parents=True)
        (self.folder / "name").write_text("package-0\n")
        (self.folder / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
        (self.folder / "energy_uj").write_text(f"{1_000_000:020d}\n")
        self._file = os.open(self.folder / "energy_uj", os.O_WRONLY)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._advance, daemon=True)

    def __enter__(self) -> LiveRapl:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join()
        os.close(self._file)

    def _advance(self) -> None:
        last_s = self.begin_s
        while not self._ending.wait(self.pause_s):
            now_s = time.monotonic()
            self.joules, last_s = self.joules + self.watts() * (now_s - last_s), now_s
            # All of the number in one write, or a reader would see half of it.
            os.pwrite(self._file, f"{1_000_000 + int(self.joules * 1e6):020d}\n".encode(), 0)

    def plug(self, gain: float, offset_W: float) -> WebMeter:
        """A Shelly whose counter has ``gain`` times the joules of the package and ``offset_W`` more all the time."""
        device = recorded("shelly-plus-plug-s")

        def answer(target: str) -> Any:
            if target == "/shelly":
                return device["shelly"]
            joules = gain * self.joules + offset_W * (time.monotonic() - self.begin_s)
            status = dict(device["status"]["switch:0"])
            return {**status, "apower": round(gain * self.watts() + offset_W, 1), "aenergy": {"total": round(joules / 3600, 9)}}

        return WebMeter(answer)


class Workers:
    """Watts by the load workers that a process has started: ``idle_W`` and ``core_W`` for each core that they keep busy."""

    def __init__(self, idle_W: float, core_W: float) -> None:
        self.idle_W, self.core_W = idle_W, core_W
        self.of: psutil.Process | None = None
        self._next_s, self._cores = 0.0, 0.0

    def __call__(self) -> float:
        if time.monotonic() > self._next_s:  # looking at processes takes a while
            self._cores, self._next_s = self._busy(), time.monotonic() + 0.05
        return self.idle_W + self.core_W * self._cores

    def _busy(self) -> float:
        try:
            children = [] if self.of is None else self.of.children()
            lines = [child.cmdline() for child in children]
        except psutil.Error:
            return 0.0
        return sum(float(line[-1]) for line in lines if "bench.energy.calibration.load_generator" in line)


class Ranks:
    """Watts by the processor time of the MPI ranks below a process: ``idle_W``, and ``core_W`` for each core's worth."""

    def __init__(self, idle_W: float, core_W: float) -> None:
        self.idle_W, self.core_W = idle_W, core_W
        self.of: int | None = None
        self._at_s, self._cpu_s, self._cores = time.monotonic(), 0.0, 0.0

    def __call__(self) -> float:
        now_s = time.monotonic()
        if now_s > self._at_s + 0.05:
            cpu_s = self._spent()
            self._cores = max(0.0, cpu_s - self._cpu_s) / (now_s - self._at_s)
            self._at_s, self._cpu_s = now_s, cpu_s
        return self.idle_W + self.core_W * self._cores

    def _spent(self) -> float:
        """Seconds of all ranks; nothing of the sampler, of mpirun and of the launcher."""
        total = 0.0
        try:
            below = [] if self.of is None else psutil.Process(self.of).children(recursive=True)
        except psutil.Error:
            return self._cpu_s
        for process in below:
            try:
                if "bench.energy.calibration.waiting_ranks" in process.cmdline() and "mpirun" not in process.cmdline()[0]:
                    total += sum(process.cpu_times()[:2])
            except psutil.Error:
                continue
        return total
