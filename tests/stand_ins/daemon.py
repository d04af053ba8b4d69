"""Real daemons of Debian on this machine: an MQTT broker and an SNMP agent. A test says why it is skipped without them."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

WAIT_S = 10.0


def program(name: str, package: str) -> str:
    """The path of a daemon; the test is skipped where it is not installed."""
    path = shutil.which(name) or shutil.which(f"/usr/sbin/{name}")
    if path is None:
        pytest.skip(f"{name} is not installed (apt-get install {package})")
    return path


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """Mosquitto. ``dies`` and ``returns`` keep the port."""

    def __init__(self, folder: Path, user: str | None = None, password: str | None = None) -> None:
        self.path, self.port = program("mosquitto", "mosquitto"), free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", "user root"]
        if user is None:
            lines.append("allow_anonymous true")
        else:
            secrets = folder / "passwords"
            subprocess.run(
                [program("mosquitto_passwd", "mosquitto"), "-b", "-c", str(secrets), user, str(password)],
                check=True,
                capture_output=True,
            )
            lines += ["allow_anonymous false", f"password_file {secrets}"]
        self.config.write_text("\n".join(lines) + "\n")
        self.returns()

    @property
    def address(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def returns(self) -> None:
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen([self.path, "-c", str(self.config)], stdout=quiet, stderr=quiet)
        deadline_s = time.monotonic() + WAIT_S
        while time.monotonic() < deadline_s:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("mosquitto does not listen")

    def dies(self) -> None:
        self.process.terminate()
        self.process.wait(5)
