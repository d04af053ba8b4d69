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


APC = ".1.3.6.1.4.1.318.1.1.26.4.3.1"


class SnmpAgent:
    """Debian's snmpd, with objects of a rack distribution unit; version 2c, and 3 with SHA and AES."""

    def __init__(self, folder: Path, objects: dict[str, tuple[str, object]], user: tuple[str, str, str] | None = None) -> None:
        self.path, self.port = program("snmpd", "snmpd"), free_port(socket.SOCK_DGRAM)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        lines = [f"agentAddress udp:127.0.0.1:{self.port}", "rocommunity rack 127.0.0.1"]
        lines += [f"override {oid} {kind} {value}" for oid, (kind, value) in objects.items()]
        if user is not None:
            name, secret, privacy = user
            lines += [f"createUser {name} SHA {secret} AES {privacy}", f"rouser {name} authPriv"]
        (folder / "snmpd.conf").write_text("\n".join(lines) + "\n")
        self.returns()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def returns(self) -> None:
        quiet = subprocess.DEVNULL
        words = [self.path, "-f", "-Lf", str(self.folder / "log"), "-C", "-c", str(self.folder / "snmpd.conf")]
        self.process = subprocess.Popen(
            words,
            stdout=quiet,
            stderr=quiet,
            env={"SNMP_PERSISTENT_DIR": str(self.folder / "state"), "MIBS": "", "PATH": "/usr/sbin:/usr/bin"},
        )
        deadline_s = time.monotonic() + WAIT_S
        while time.monotonic() < deadline_s:
            if f":{self.port:04X} " in Path("/proc/net/udp").read_text():
                return
            time.sleep(0.02)
        raise AssertionError("snmpd does not listen")

    def dies(self) -> None:
        self.process.terminate()
        self.process.wait(5)
