"""Each control on real directory trees: applied, verified, restored, and what it says where that cannot be."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from bench.cluster.board_class import SETTINGS
from bench.common.user_error import UserError
from bench.power_modes.controls import Control, Governor, MaxFrequency, RaplLimit
from bench.power_modes.jetson_controls import JetsonClocks, Nvpmodel
from bench.power_modes.machine_files import Machine, open_for_writing, parse_nvpmodel
from bench.power_modes.mode_choice import CONTROLS, steps
from tests.bench.power_modes.machine_trees import POLICY, machine, read, snapshot

JETSON, PI, X86 = "jetson-orin-nano", "raspberry-pi-4", "x86-mini-pc"
ROUND_TRIPS = [
    (JETSON, Nvpmodel, 1),
    (JETSON, JetsonClocks, True),
    (JETSON, Governor, "performance"),
    (JETSON, MaxFrequency, 268.8e6),
    (PI, Governor, "powersave"),
    (PI, MaxFrequency, 1.2e9),
    (X86, Governor, "performance"),
    (X86, MaxFrequency, 2e9),
    (X86, RaplLimit, 9.5),
]


@pytest.mark.parametrize(("tree", "control", "value"), ROUND_TRIPS)
def test_what_is_applied_holds_and_what_is_restored_is_as_before(
    tree: str, control: type[Control], value: Any, tmp_path: Path
) -> None:
    root = machine(tree, tmp_path / "root")
    before, own = snapshot(root), control(Machine(root), tmp_path)
    with pytest.raises(UserError, match="did not hold"):
        own.verify(value)
    saved = own.save()
    assert own.holds(saved)
    own.apply(value)
    own.verify(value)
    assert not own.holds(saved)
    assert snapshot(root) != before
    own.restore(saved)
    assert own.holds(saved)
    assert snapshot(root) == before


def refusal(tree: str, control: type[Control], value: Any, root: Path, **more: Any) -> str:
    """The one line with which ``value`` is refused."""
    own = control(Machine(root, **more), root.parent)

    def attempt() -> None:
        own.apply(value)
        own.verify(value)

    with pytest.raises(UserError) as caught:
        attempt()
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(root), "")


REFUSALS = [
    (
        (PI, Governor, "turbo"),
        "governor turbo is not available on policy0; use conservative, ondemand, userspace, powersave, performance, schedutil",
    ),
    (
        (PI, MaxFrequency, 1.25e9),
        "max_frequency_Hz 1.25e+09 is not available on policy0; use 6e+08, 7e+08, 8e+08, 9e+08, 1e+09, 1.1e+09, 1.2e+09, "
        "1.3e+09, 1.4e+09, 1.5e+09",
    ),
    ((X86, MaxFrequency, 5e9), "max_frequency_Hz 5e+09 is not available on policy0; use 8e+08 to 2.9e+09"),
    (
        (PI, Nvpmodel, 1),
        "nvpmodel is missing (/usr/sbin/nvpmodel and the like); take nvpmodel out of the board's mode",
    ),
    (
        (PI, RaplLimit, 5.0),
        "/sys/class/powercap has no package zone (modprobe intel_rapl_msr); take rapl_limit_W out of the board's mode",
    ),
    (
        (JETSON, Nvpmodel, 2),
        "nvpmodel -m 2 needs a reboot, which a run cannot do; set it by hand and reboot first",
    ),
    (
        (JETSON, Nvpmodel, 3),
        "nvpmodel -m 3 did not hold: nvpmodel -q says 15W (0); try sudo nvpmodel -m 3 by hand",
    ),
    (
        (JETSON, Nvpmodel, 9),
        "nvpmodel -m 9 failed with exit code 255 (NVPM ERROR: invalid power mode: 9); ids are in /etc/nvpmodel.conf",
    ),
]


@pytest.mark.parametrize(("asked", "message"), REFUSALS, ids=[f"{a[1].name}={a[2]} on {a[0]}" for a, _ in REFUSALS])
def test_refusals_say_what_was_found_and_what_to_do(asked: tuple[str, Any, Any], message: str, tmp_path: Path) -> None:
    root = machine(asked[0], tmp_path / "root")
    assert refusal(*asked, root, superuser=True) == message
    assert not (root / "rebooted").exists()


def refusing(path: Path) -> int:
    """As a file that belongs to root is for others; root itself cannot be refused by a tree."""
    raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def test_without_permission_the_line_to_add_is_named(tmp_path: Path) -> None:
    pi, x86 = machine(PI, tmp_path / "pi"), machine(X86, tmp_path / "x86")
    path = "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor"
    assert refusal(PI, Governor, "powersave", pi, opener=refusing) == (
        f"{path} cannot be written (Permission denied); run as root, or let your group write it with a line in "
        f"/etc/tmpfiles.d/edgejoule.conf: z {path} 0664 root GROUP"
    )
    assert "constraint_0_power_limit_uw cannot be written (Permission denied)" in refusal(
        X86, RaplLimit, 9.0, x86, opener=refusing
    )


def test_programs_are_called_by_sudo_where_we_are_not_root(tmp_path: Path) -> None:
    root = machine(JETSON, tmp_path / "root")
    sudo = root / "usr/bin/sudo"
    sudo.write_text('#!/bin/sh\n[ "$1" = -n ] && shift && exec "$@"\n')
    sudo.chmod(0o755)
    own = Nvpmodel(Machine(root, superuser=False), tmp_path)
    own.apply(1)
    own.verify(1)
    sudo.write_text("#!/bin/sh\necho 'sudo: a password is required'\nexit 1\n")
    assert refusal(JETSON, Nvpmodel, 0, root, superuser=False) == (
        "/usr/sbin/nvpmodel is not allowed (sudo: a password is required); run as root, or add the sudo rule: "
        "USER ALL=(root) NOPASSWD: /usr/sbin/nvpmodel"
    )


def test_a_file_that_takes_no_value_is_named(tmp_path: Path) -> None:
    """As a driver that answers EINVAL: here the file is a folder."""
    root = machine(X86, tmp_path / "root")
    path = root / "sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw"
    path.unlink()
    path.mkdir()
    message = refusal(X86, RaplLimit, 9.0, root)
    assert message.endswith("constraint_0_power_limit_uw does not take 9000000 (Is a directory); check the mode in conf/board")


class Deaf:
    """An opener whose writes to some files go nowhere, as in a register that the firmware has locked."""

    def __init__(self, names: tuple[str, ...], sink: Path) -> None:
        self.names, self.sink = names, sink

    def __call__(self, path: Path) -> int:
        return os.open(self.sink, os.O_WRONLY | os.O_CREAT) if path.name in self.names else open_for_writing(path)


@pytest.mark.parametrize(
    ("tree", "control", "value", "names", "said"),
    [
        (X86, RaplLimit, 9.0, ("constraint_0_power_limit_uw",), "has 15 W, enabled; it may be locked by the firmware"),
        (PI, MaxFrequency, 6e8, ("scaling_max_freq",), "scaling_max_freq says 1500000 kHz"),
        (PI, Governor, "powersave", ("scaling_governor",), "scaling_governor says ondemand"),
    ],
)
def test_a_value_that_does_not_stick_is_an_error(
    tree: str, control: type[Control], value: Any, names: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    root = machine(tree, tmp_path / "root")
    assert said in refusal(tree, control, value, root, opener=Deaf(names, tmp_path / "sink"))


def test_the_lowest_frequency_follows_and_comes_back(tmp_path: Path) -> None:
    """Jetson's 729.6 MHz is above what is asked for; the end that moves outwards is written first, both ways."""
    root = machine(JETSON, tmp_path / "root")
    written: list[str] = []

    def noting(path: Path) -> int:
        written.append(path.name)
        return open_for_writing(path)

    own = MaxFrequency(Machine(root, opener=noting), tmp_path)
    saved = own.save()
    own.apply(268.8e6)
    assert (read(root, 0, "scaling_min_freq"), read(root, 4, "scaling_max_freq")) == ("268800", "268800")
    assert written == ["scaling_min_freq", "scaling_max_freq"] * 2
    written.clear()
    own.restore(saved)
    assert written == ["scaling_max_freq", "scaling_min_freq"] * 2


def test_a_package_that_two_interfaces_limit_is_limited_by_both(tmp_path: Path) -> None:
    """The lower one holds; psys and the parts of a package are left alone."""
    root = machine(X86, tmp_path / "root")
    zones = root / "sys/class/powercap"
    (zones / "intel-rapl:0/enabled").write_text("0\n")
    own = RaplLimit(Machine(root), tmp_path)
    saved = own.save()
    assert sorted(saved) == ["intel-rapl-mmio:0", "intel-rapl:0"]
    own.apply(7)
    assert {(zones / zone / "constraint_0_power_limit_uw").read_text() for zone in saved} == {"7000000\n"}
    assert (zones / "intel-rapl:0/enabled").read_text() == "1\n"
    assert (zones / "intel-rapl:1/constraint_0_power_limit_uw").read_text() == "0\n"
    own.restore(saved)
    assert (zones / "intel-rapl:0/enabled").read_text() == "0\n"
    (zones / "intel-rapl:0/constraint_0_power_limit_uw").write_text("14875000\n")  # kept in steps of 1/8 W
    assert own.holds(saved)


def test_jetson_clocks_left_on_are_turned_off_by_what_was_stored(tmp_path: Path) -> None:
    root = machine(JETSON, tmp_path / "root")
    someone = JetsonClocks(Machine(root), tmp_path)
    someone.apply(True)
    message = refusal(JETSON, JetsonClocks, False, root)
    assert message.startswith("jetson_clocks is on and cannot be turned off (jetson_clocks --restore failed with exit code 1 (")
    assert message.endswith("file not found !); try it by hand); reboot the board")
    default = root / "root/.jetsonclocks_conf.txt"
    default.parent.mkdir()
    default.write_text("".join(f"{root / POLICY.format(n)}/scaling_min_freq:729600\n" for n in (0, 4)))
    own = JetsonClocks(Machine(root), tmp_path)
    saved = own.save()
    own.apply(False)
    own.verify(False)
    own.restore(saved)
    assert own.holds(saved)
    assert read(root, 0, "scaling_min_freq") == "1510400"


def test_nvpmodel_is_read_between_warnings_and_errors() -> None:
    said = "NVPM WARN: fan mode is not set!\nNV Fan Mode:quiet\nNV Power Mode: MODE_15W_6CORE\n2\n"
    assert parse_nvpmodel(f"{said}NVPM ERROR: Error opening x: 13\n") == {"id": 2, "name": "MODE_15W_6CORE"}
    assert parse_nvpmodel("NVPM ERROR: optMask is 1, no request for power mode\n") is None


def test_the_order_of_the_controls(tmp_path: Path) -> None:
    """nvpmodel first, with the frequencies that it sets anew; jetson_clocks last, or first where it is to be turned off."""
    mode = {"governor": "performance", "jetson_clocks": True, "rapl_limit_W": 9.0, "nvpmodel": 1}

    def order(**changed: Any) -> list[tuple[str, Any]]:
        return [(c.name, value) for c, value in steps({**mode, **changed}, Machine(tmp_path), tmp_path)]

    rest = [("governor", "performance"), ("rapl_limit_W", 9.0)]
    assert order() == [("nvpmodel", 1), ("max_frequency_Hz", None), *rest, ("jetson_clocks", True)]
    assert order(jetson_clocks=False, max_frequency_Hz=1e9)[:3] == [
        ("jetson_clocks", False), ("nvpmodel", 1), ("max_frequency_Hz", 1e9),
    ]  # fmt: skip
    assert order(nvpmodel=None, jetson_clocks=None) == rest


def test_a_board_class_knows_every_control() -> None:
    """What a power mode in ``conf/board`` may set is what there is a control for, in the same order."""
    assert tuple(CONTROLS) == SETTINGS
