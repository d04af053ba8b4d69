"""Boards that are directory trees, brought to life: a process that writes what their sensors would show of a known load.

    python -m tests.fake_boards FOLDER          until stdin closes

``FOLDER/x86``, ``FOLDER/orin`` and ``FOLDER/pi`` are the trees of three boards; a fourth has a smart plug, whose web server is
here too (``Plug``). Loads are functions of this machine's CLOCK_MONOTONIC, never constant, so that the truth between any
two times is known exactly. The process asks for real-time priority: a sensor that comes late would be a worse sensor than
it says it is.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import shutil
import stat
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.bench.energy.simulator import Load

TREES = Path(__file__).parent / "boards"
PERIOD_S = 1e-3
PLUG_S = 0.2
LOADS = {
    "x86": Load(base_W=24.0, swing_W=6.0, frequency_Hz=0.7, step_W=12.0, period_s=0.83, duty=0.4),
    "orin": Load(base_W=7.0, swing_W=2.0, frequency_Hz=1.1, step_W=4.0, period_s=0.57, duty=0.6),
    "pi": Load(base_W=5.0, swing_W=1.5, frequency_Hz=0.3, step_W=1.0, period_s=2.3, duty=0.5),
    "plug": Load(base_W=9.0, swing_W=2.5, frequency_Hz=0.4, step_W=2.0, period_s=2.9, duty=0.5),
}
CLASSES = {"x86": "x86-mini-pc", "orin": "jetson-orin-nano", "pi": "raspberry-pi-5", "plug": "raspberry-pi-4"}
RAPL = "sys/devices/virtual/powercap/intel-rapl"
INA = "sys/devices/platform/bus@0/c240000.i2c/i2c-1/1-0040/hwmon/hwmon1"
PACKAGE_RANGE_UJ = 262_143_328_850
PSYS_RANGE_UJ = 200_000_000
"""The platform's counter starts again every six seconds or so, once at least in every run."""


def plant(folder: Path) -> None:
    """The trees, before anything is read of them."""
    for name, tree in (("x86", "x86-desktop"), ("orin", "jetson-orin-nano"), ("pi", "raspberry-pi-5")):
        shutil.copytree(TREES / tree, folder / name, symlinks=True)
    (folder / "plug/proc").mkdir(parents=True)
    program = folder / "pi/usr/bin/vcgencmd"
    reply = program.read_text().split("<<REPLY\n")[1].split("REPLY\n")[0]
    (folder / "reply").write_text(reply)
    program.write_text(f"#!/bin/sh\nexec cat {folder}/pmic\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    put(folder / "x86" / RAPL / "intel-rapl:1/max_energy_range_uj", PSYS_RANGE_UJ)
    write(folder, time.monotonic())


def write(folder: Path, now_s: float) -> None:
    """Every sensor's value at ``now_s``."""
    x86 = LOADS["x86"].energy_J(now_s)
    put(folder / "x86" / RAPL / "intel-rapl:1/energy_uj", round(1e6 * x86) % PSYS_RANGE_UJ)
    put(folder / "x86" / RAPL / "intel-rapl:0/energy_uj", round(0.6e6 * x86) % (PACKAGE_RANGE_UJ + 61))
    volts = 5.0 + 0.02 * math.sin(now_s)  # the supply gives a little with the load
    milliamps = 1000 * LOADS["orin"].power_W(now_s) / volts
    put(folder / "orin" / INA / "in1_input", round(volts * 1000 / 8) * 8)
    put(folder / "orin" / INA / "curr1_input", round(milliamps / 8) * 8)
    core_A = (LOADS["pi"].power_W(now_s) - OTHERS_W) / CORE_V
    text = (folder / "reply").read_text()
    put(
        folder / "pmic", text.replace("current(7)=10.87674000A", f"current(7)={round(core_A / CORE_STEP_A) * CORE_STEP_A:.8f}A")
    )


CORE_V, CORE_STEP_A = 0.89745940, 8.93e-3
OTHERS_W = (
    3.30632200 * 0.06245952 + 1.79828900 * 0.16102850 + 1.10292900 * 0.00780744 + 1.10439400 * 0.17566740
    + 0.80256330 * 0.32791250 + 3.30494200 * 0.00036630 + 3.30219400 * 0.00042735 + 0.79736190 * 0.00579975
    + 5.07056000 * 0.01367520
)  # fmt: skip
"""What the rails of the recorded reply take beside VDD_CORE, which alone follows the load."""

_files: dict[Path, int] = {}


def put(path: Path, value: object) -> None:
    """In one write over what was there, as a sensor's file changes: never empty, and never of another length half way."""
    if path not in _files:
        _files[path] = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    text = value if isinstance(value, str) else f"{value:>15}\n"
    os.pwrite(_files[path], text.encode(), 0)


class Plug:
    """A Tasmota plug's web server on all addresses of this machine; power renewed five times a second."""

    def __init__(self) -> None:
        reply = json.loads((Path(__file__).parent / "stand_ins/replies/tasmota-plug.json").read_text())

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                seen = math.floor(time.monotonic() / PLUG_S) * PLUG_S
                mean_W = (LOADS["plug"].energy_J(seen) - LOADS["plug"].energy_J(seen - PLUG_S)) / PLUG_S
                reply["StatusSNS"]["ENERGY"]["Power"] = round(mean_W, 3)
                body = json.dumps(reply).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the test's output is its own."""

        self.server = ThreadingHTTPServer(("", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def main() -> None:
    folder = Path(sys.argv[1])
    with contextlib.suppress(OSError):  # without the right to it sensors are a little late
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    write(folder, time.monotonic())
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], PERIOD_S)[0]:
        write(folder, time.monotonic())


if __name__ == "__main__":
    main()
