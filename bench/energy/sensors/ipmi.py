"""A server's own power reading, by IPMI DCMI from its management controller, through the program ``ipmitool``.

Runs ``ipmitool dcmi power reading`` and takes the line ``Instantaneous power reading`` in watts, in steps of 1 W: of this host
(``address: local``, by ``/dev/ipmi0``; root, or permission for that file), or of the controller at ``address`` (``lanplus``,
with ``user`` and ``password_env``, which goes to the program by its environment). Minimum, maximum and average of the reply
are over the controller's own time and not used. A reading of 0 W, or one that the controller says is not activated, is none.
How often controllers renew it is not documented, and some smooth it over seconds: 1 s is assumed. Each reading starts a
program: read each second, or ``period_s``. It includes the chassis, its power supplies too. Where the controller has Redfish,
``redfish`` says more. Never run on the hardware: recorded replies from a stand-in program in tests only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

from bench.energy.sensor_base.external_meter import ACCURACY, PASSWORD, Meter, channel, channels, exact, micro, password
from bench.energy.sensor_base.source import Place, Settings, Source, SourceUnavailable, register
from bench.joules.channel import Channel

UPDATE_PERIOD_S = 1.0
LSB_UW = 1_000_000
TIMEOUT_S = 5.0
DEVICES = ("dev/ipmi0", "dev/ipmi/0", "dev/ipmidev/0")
READING = re.compile(r"^\s*Instantaneous (?:power )?reading:\s*(\S+)\s*(\S*)\s*$", re.MULTILINE)
STATE = re.compile(r"^\s*Power reading state is:\s*(.*?)\s*$", re.MULTILINE)
LOCAL = "local"


@register
class Ipmi(Meter):
    """The instantaneous power of the chassis."""

    name: ClassVar[str] = "ipmi"
    rank: ClassVar[int] = 52
    settings: ClassVar[dict[str, str]] = {
        "address": "local, or the management controller, such as 192.168.1.90",
        "user": "of the controller",
        **PASSWORD,
        "period_s": "how often to read it (default 1.0)",
        **ACCURACY,
    }

    def __init__(self, command: Sequence[str], secret: str | None, period_s: float, channels: tuple[Channel, ...]) -> None:
        super().__init__(channels)
        self.command, self.secret = tuple(command), secret
        self.period_s = period_s  # an entry may have its own

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the controller, asked once."""
        settings = place.settings
        program, secret, address = _program(place.root), password(settings), str(settings["address"]).strip()
        if address == LOCAL:
            if not any((place.root / device).exists() for device in DEVICES):
                raise SourceUnavailable(
                    f"{place.root / DEVICES[0]} does not exist: this host shows no management controller; "
                    "`sudo modprobe ipmi_si ipmi_devintf`, or give the controller's address"
                )
            words = [program]
        else:
            words = [program, *_remote(address, settings, secret)]
        scope = f"the chassis of {'this host' if address == LOCAL else address}, power supplies included, by DCMI"
        power = channel("power", scope, settings, LSB_UW, UPDATE_PERIOD_S)
        period_s = float(settings.get("period_s", cls.period_s))
        source = cls([*words, "dcmi", "power", "reading"], secret, period_s, channels(power, None))
        try:
            source.values()
        except (OSError, ValueError) as error:
            advice = "root may read it (`sudo`)" if address == LOCAL else "check address, user and password_env"
            raise SourceUnavailable(f"ipmitool dcmi power reading ({address}): {error}; {advice}") from None
        return source

    def values(self) -> dict[str, int]:
        """Microwatts."""
        return {"power": micro(watts_of(_reply(self.command, self.secret)))}

    def close(self) -> None:
        """Nothing stays open."""


def _program(root: Path) -> str:
    if root != Path("/"):
        program = root / "usr/bin/ipmitool"
        path = str(program) if program.exists() else None
    else:
        path = shutil.which("ipmitool") or shutil.which("/usr/sbin/ipmitool")
    if path is None:
        raise SourceUnavailable("ipmitool is not installed; install it (`apt-get install ipmitool`), or use redfish")
    return path


def _remote(address: str, settings: Settings, secret: str | None) -> list[str]:
    if not re.fullmatch(r"[\w.:\[\]-]+", address) or address.startswith("-"):
        raise SourceUnavailable(f"address: {address} is no controller; give local, or a name or address such as 192.168.1.90")
    words = ["-I", "lanplus", "-H", address, "-N", "1", "-R", "2"]
    if "user" in settings:
        words += ["-U", str(settings["user"])]
    return [*words, "-E"] if secret is not None else words


def _reply(command: Sequence[str], secret: str | None) -> str:
    """Raises OSError when the program fails or hangs. The password is not among its words, where others may see it."""
    environment = {**os.environ, "LC_ALL": "C", **({} if secret is None else {"IPMI_PASSWORD": secret})}
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, env=environment, check=False)
    except subprocess.TimeoutExpired:
        raise OSError(f"no reply within {TIMEOUT_S:.0f} s") from None
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").split()
        raise OSError(" ".join(said)[:160] or f"exit code {done.returncode}")
    return done.stdout.decode(errors="replace")


def watts_of(reply: str) -> Decimal:
    """The watts of a reply.

    Args:
        reply: All lines that the program printed.

    Returns:
        Watts, above 0.

    Raises:
        ValueError: There is no reading, it is not activated, 0, or in another unit.
    """
    match, state = READING.search(reply), STATE.search(reply)
    if match is None:
        raise ValueError(f"no power reading in {' '.join(reply.split())[:80]!r}")
    if state is not None and state[1] != "activated":
        raise ValueError(f"the power reading is {state[1] or 'not activated'}; activate it in the controller")
    if match[2] not in ("Watts", "W"):
        raise ValueError(f"the power reading is in {match[2]!r}, not in watts")
    watts = exact(match[1])
    if watts == 0:
        raise ValueError("the controller reads 0 W, which a running server never takes: it does not measure")
    return watts
