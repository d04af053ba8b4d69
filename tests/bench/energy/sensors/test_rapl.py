"""The counters of x86 processors, through powercap, the kernel's events and pyJoules, on the trees in ``tests/boards``."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bench.energy.sensor_base.source import Place, Source, SourceUnavailable
from bench.energy.sensor_base.source_choice import select
from bench.energy.sensors.perf import Perf
from tests.bench.energy.board_trees import BOARDS, TESTS, Opener, copy, opened, refusal, total, values

pytestmark = pytest.mark.machine

UJ_61 = 262143328850  # max_energy_range_uj with steps of 61 uJ


def zone(root: Path, number: str) -> Path:
    return (root / f"sys/class/powercap/intel-rapl:{number}").resolve()


def add_zone(root: Path, number: str, name: str, energy_uj: int) -> Path:
    folder = root / f"sys/class/powercap/intel-rapl:{number}"
    folder.mkdir()
    for file, text in {"name": name, "energy_uj": energy_uj, "max_energy_range_uj": UJ_61}.items():
        (folder / file).write_text(f"{text}\n")
    return folder


@contextmanager
def counting(steps_uj: dict[Path, int]) -> Iterator[None]:
    """The counters grow in place, by so much every half millisecond."""
    done = threading.Event()
    files = {os.open(folder / "energy_uj", os.O_RDWR): step for folder, step in steps_uj.items()}
    now = {file: int(os.pread(file, 32, 0)) for file in files}

    def run() -> None:
        while not done.wait(0.0005):
            for file, step in files.items():
                now[file] += step
                os.pwrite(file, f"{now[file]}\n".encode(), 0)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        for file in files:
            os.close(file)


# powercap


def test_rapl_psys_contains_everything_else() -> None:
    with opened("rapl", BOARDS / "x86-desktop") as source:
        assert values(source) == {
            "package-0": 158803321734, "package-0/core": 91350011278, "package-0/uncore": 4126011947, "psys": 246019998841,
        }  # fmt: skip
        assert total(source) == ["psys"]
        assert [c.level for c in source.channels] == ["package", "component", "component", "board"]
        package = source.channels[0]
        assert package.contains == ("package-0/core", "package-0/uncore")
        assert (package.kind, package.scale, package.update_period_s) == ("counter", 1e-6, 1e-3)
        assert package.modulus == UJ_61 + 61
        assert package.lsb == pytest.approx(61.035, abs=1e-3)


def test_rapl_memory_counts_beside_its_package_and_names_rule_over_indices() -> None:
    """Zone 0 of this tree is package 1."""
    with opened("rapl", BOARDS / "x86-server") as source:
        assert values(source) == {
            "package-0": 187553901010, "package-0/dram": 19001440871, "package-1": 190011200345, "package-1/dram": 20776001220,
        }  # fmt: skip
        assert sorted(total(source)) == ["package-0", "package-0/dram", "package-1", "package-1/dram"]
        memory = next(c for c in source.channels if c.id == "package-1/dram")
        assert (memory.level, memory.modulus) == ("package", 65712999613 + 15)
        assert memory.lsb == pytest.approx(15.3)


def test_rapl_every_die_of_every_package() -> None:
    with opened("rapl", BOARDS / "x86-multi-die") as source:
        dies = [f"package-{package}-die-{die}" for package in (0, 1) for die in (0, 1)]
        assert total(source) == [name for die in dies for name in (die, f"{die}/dram")]
        assert values(source)["package-1-die-0"] == 54000000246


def test_rapl_memory_mapped_zones_are_not_counted_again() -> None:
    """The second interface has package 0 once more, and a memory zone that never counts."""
    opener = Opener()
    with opened("rapl", BOARDS / "x86-mmio", opener) as source:
        assert values(source) == {"package-0": 70455109922, "package-0/core": 20190338745, "package-0/uncore": 311902555}
        assert source.channels[0].scope == "processor: package-0; package-0/dram left out: always 0"
    assert [Path(path).parent.name for path in opener.files if "rapl-mmio" in path] == ["intel-rapl-mmio:0:0"]  # the memory


def test_rapl_memory_mapped_zones_count_where_there_is_no_other(tmp_path: Path) -> None:
    root = copy("x86-mmio", tmp_path)
    for link in (root / "sys/class/powercap").glob("intel-rapl:*"):
        link.unlink()
    with opened("rapl", root) as source:
        assert values(source) == {"package-0": 70455109922}


def test_rapl_one_counter_shown_for_two_dies_counts_once(tmp_path: Path) -> None:
    """68 W: 34 mJ each half millisecond. Repeated, because a stalled writer looks like two counters."""
    root = copy("x86-mirrored", tmp_path)
    first, second = zone(root, "0"), zone(root, "1")
    (second / "energy_uj").unlink()
    os.link(first / "energy_uj", second / "energy_uj")
    with counting({first: 34000}):
        for _ in range(20):
            with opened("rapl", root) as source:
                if len(source.channels) == 2:
                    break
        assert total(source) == ["package-0-die-0"]
        assert [c.id for c in source.channels] == ["package-0-die-0", "package-0-die-0/core"]
        assert "package-0-die-1 left out: the counter of package-0-die-0 again" in source.channels[0].scope
        assert source.channels[0].lsb == pytest.approx(15.258, abs=1e-3)


def test_rapl_two_counters_of_equal_power_are_two(tmp_path: Path) -> None:
    root = copy("x86-mirrored", tmp_path)
    (zone(root, "1") / "energy_uj").write_text(f"{31008772912 + 9_000_000}\n")  # 9 J apart
    with counting({zone(root, "0"): 34000, zone(root, "1"): 34000}):
        for _ in range(5):
            with opened("rapl", root) as source:
                assert total(source) == ["package-0-die-0", "package-0-die-1"]


def test_rapl_equal_counters_that_do_not_move_are_refused() -> None:
    assert "both read 31008772912 uJ and do not move: one counter or two?" in refusal("rapl", BOARDS / "x86-mirrored")


def test_rapl_a_platform_that_counts_less_than_its_package_is_left_out(tmp_path: Path) -> None:
    root = copy("x86-desktop", tmp_path)
    with counting({zone(root, "0"): 30000, zone(root, "1"): 45000}), opened("rapl", root) as source:
        assert total(source) == ["psys"]
    with counting({zone(root, "0"): 30000, zone(root, "1"): 3000}), opened("rapl", root) as source:
        assert total(source) == ["package-0"]
        assert "psys left out: counts less than the packages" in source.channels[0].scope
    with counting({zone(root, "0"): 30000}), opened("rapl", root) as source:
        assert total(source) == ["package-0"]


def test_rapl_zones_that_are_always_0(tmp_path: Path) -> None:
    root = copy("x86-desktop", tmp_path)
    for number in ("1", "0:1"):
        (zone(root, number) / "energy_uj").write_text("0\n")
    with opened("rapl", root) as source:
        assert list(values(source)) == ["package-0", "package-0/core"]
        assert source.channels[0].contains == ("package-0/core",)
        assert "psys left out: always 0" in source.channels[0].scope
    (zone(root, "0") / "energy_uj").write_text("0\n")
    assert "package-0 counts nothing (always 0)" in refusal("rapl", root)


def test_rapl_one_name_twice_is_two_counters(tmp_path: Path) -> None:
    root = copy("x86-desktop", tmp_path)
    add_zone(root, "2", "package-0", 777)
    add_zone(root, "3", "psys-1", 0)  # the second socket's platform: not wired
    with opened("rapl", root) as source:
        assert values(source)["package-0 (intel-rapl:2)"] == 777
        assert "package-0 (intel-rapl:2)" in next(c for c in source.channels if c.id == "psys").contains
        assert total(source) == ["psys"]


def test_rapl_a_zone_without_its_range_has_no_modulus(tmp_path: Path) -> None:
    root = copy("x86-desktop", tmp_path)
    (zone(root, "0") / "max_energy_range_uj").unlink()
    with opened("rapl", root) as source:
        assert source.channels[0].modulus is None
        assert "a restart of the counter is an error" in source.channels[0].scope
    (zone(root, "0") / "max_energy_range_uj").write_text("much\n")
    assert "does not describe itself" in refusal("rapl", root)


def test_rapl_refusals_say_what_to_do(tmp_path: Path) -> None:
    denied = refusal("rapl", BOARDS / "x86-server", Opener({"intel-rapl:1/energy_uj": errno.EACCES}))
    assert all(way in denied for way in ("udev rule", "tmpfiles.d", "sysfsutils"))
    for number in (errno.ENODATA, errno.EIO):
        assert os.strerror(number) in refusal("rapl", BOARDS / "x86-server", Opener({"energy_uj": number}))
    assert "no RAPL on this machine" in refusal("rapl", tmp_path)
    (tmp_path / "sys/class/powercap").mkdir(parents=True)
    assert "holds no intel-rapl zone" in refusal("rapl", tmp_path)


@pytest.mark.parametrize("kind", ["links that lead nowhere", "an empty folder"])
def test_rapl_says_that_a_container_masks_powercap(kind: str, tmp_path: Path) -> None:
    """Container runtimes put an empty folder over /sys/devices/virtual/powercap; the links of the class stay."""
    tree = tmp_path / "sys/class/powercap"
    tree.mkdir(parents=True)
    (tmp_path / "sys/devices/virtual/powercap").mkdir(parents=True)
    if kind.startswith("links"):
        for name in ("intel-rapl", "intel-rapl:0", "intel-rapl:0:0"):
            (tree / name).symlink_to(f"../../devices/virtual/powercap/intel-rapl/{name}")
    for source in ("rapl", "pyjoules"):
        said = refusal(source, tmp_path)
        assert said.startswith("powercap is masked in this container")
        assert "docker run -v /sys:/host/sys:ro, energy.root=/host" in said


def test_rapl_names_the_zones_of_others(tmp_path: Path) -> None:
    zone_of_firmware = tmp_path / "sys/class/powercap/arm-scmi:0"
    zone_of_firmware.mkdir(parents=True)
    said = refusal("rapl", tmp_path)
    assert "holds no intel-rapl zone" in said
    assert "arm-scmi:0 are read by a meter (source: powercap)" in said


# RAPL by performance events


def software_events(root: Path) -> Path:
    """The PMU of the tree becomes the kernel's own clock (type 1, event 0): nanoseconds of each processor."""
    pmu = root / "sys/devices/power"
    (pmu / "type").write_text("1\n")
    for event in (pmu / "events").glob("energy-*"):
        if "." not in event.name:
            event.write_text("event=0x00\n")
    return root


@contextmanager
def events(root: Path) -> Iterator[Source]:
    try:
        source = Perf.open(Place(root))
    except SourceUnavailable as why:
        if "may not be opened" in str(why) or "Function not implemented" in str(why):
            pytest.skip(f"this kernel does not let us open events: {why}")
        raise
    with closing(source):
        yield source


def test_perf_counts_what_the_kernel_counts(tmp_path: Path) -> None:
    with events(software_events(copy("x86-desktop", tmp_path))) as source:
        first, begin = source.read(), time.perf_counter_ns()
        time.sleep(0.05)
        inside_ns = time.perf_counter_ns() - begin
        second, outside_ns = source.read(), time.perf_counter_ns() - begin
        for before, after in zip(first, second, strict=True):
            assert 0.9 * inside_ns <= after - before <= 1.1 * outside_ns + 1e6
        with opened("rapl", BOARDS / "x86-desktop") as other:
            assert {c.id: (c.level, c.contains) for c in source.channels} == {
                c.id: (c.level, c.contains) for c in other.channels
            }
        assert total(source) == ["psys"]
        package = next(c for c in source.channels if c.id == "package-0")
        assert (package.scale, package.modulus, package.update_period_s) == (2**-32, None, 1e-3)
        assert package.lsb * package.scale == pytest.approx(61.035e-6, rel=1e-4)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two processors to stand for two sockets")
def test_perf_opens_one_event_for_each_package(tmp_path: Path) -> None:
    for board, second, packages in (
        ("x86-server", "cpu28", ["package-0", "package-0/dram", "package-1", "package-1/dram"]),
        ("x86-multi-die", "cpu24", ["package-0-die-0", "package-0-die-0/dram", "package-0-die-1", "package-0-die-1/dram"]),
        ("x86-mirrored", "cpu8", ["package-0"]),  # AMD: the counter is the package's, whatever the number of dies
    ):
        root = software_events(copy(board, tmp_path))
        (root / f"sys/devices/system/cpu/{second}").rename(root / "sys/devices/system/cpu/cpu1")
        (root / "sys/devices/power/cpumask").write_text("0-1\n" if board == "x86-server" else "0,1\n")
        with events(root) as source:
            assert sorted(values(source)) == packages
            assert sorted(total(source)) == packages


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become a user without rights")
@pytest.mark.skipif(
    Path("/proc/sys/kernel/perf_event_paranoid").exists() and int(Path("/proc/sys/kernel/perf_event_paranoid").read_text()) < 1,
    reason="kernel.perf_event_paranoid lets everyone open events",
)
def test_perf_without_the_right_says_which() -> None:
    """A real refusal of the kernel: the process becomes nobody before it opens."""
    program = (
        "import os, sys, ctypes, platform; from pathlib import Path\n"
        "from bench.energy.sensors.perf import Perf, Place, SourceUnavailable\n"
        "os.setuid(65534)\n"
        "try: Perf.open(Place(Path(sys.argv[1])))\n"
        "except SourceUnavailable as why: print(why)"
    )
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are for one user
        os.chmod(folder, 0o755)
        root = software_events(copy("x86-desktop", Path(folder)))
        command = [sys.executable, "-c", program, str(root)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=TESTS.parent, check=False)
    assert done.stderr == ""
    assert "may not be opened (perf_event_paranoid is 2)" in done.stdout
    assert "cap_perfmon" in done.stdout
    assert done.stdout.count("\n") == 1


def test_perf_refusals(tmp_path: Path) -> None:
    assert "no RAPL events" in refusal("perf", tmp_path)
    root = copy("x86-desktop", tmp_path)
    assert "use energy.source=rapl" in refusal("perf", root)  # this machine has no PMU of type 27
    assert os.strerror(errno.EIO) in refusal("perf", root, Opener({"cpumask": errno.EIO}))
    (root / "sys/devices/power/events/energy-pkg.unit").write_text("Watts\n")
    assert "in 'Watts', not event=N in Joules" in refusal("perf", root)
    shutil.rmtree(root / "sys/devices/power/events")
    assert "there is none" in refusal("perf", root)


def test_perf_reads_whole_counts_only() -> None:
    read, write = os.pipe()
    with opened("rapl", BOARDS / "x86-server") as other:
        source = Perf([read], other.channels[:1])
    os.write(write, (2**40 + 5).to_bytes(8, "little") + b"half")
    assert source.read() == [2**40 + 5]
    with pytest.raises(ValueError, match="4 bytes instead of 8"):
        source.read()
    source.close()
    os.close(write)


# RAPL by pyJoules


def test_pyjoules_reads_what_rapl_reads() -> None:
    found, _ = select(["rapl", "pyjoules"], Place(BOARDS / "x86-desktop"))
    rapl, check = (one.source for one in found)
    assert found[1].check_of == "rapl"
    assert values(check) == {name: raw for name, raw in values(rapl).items() if name != "psys"}
    assert total(check) == ["package-0"]
    by_name = {channel.id: channel for channel in rapl.channels}
    assert all(c.modulus == by_name[c.id].modulus and c.lsb == by_name[c.id].lsb for c in check.channels)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        check.read()
        gc.collect()
    for one in found:
        one.source.close()


def test_pyjoules_follows_its_zones_or_is_refused(tmp_path: Path) -> None:
    """On the server tree zone 0 is package 1, which pyJoules does not see; with psys in between it loses a socket."""
    assert "it reads only zones N named package-N" in refusal("pyjoules", BOARDS / "x86-server")
    assert "it reads only zones N named package-N" in refusal("pyjoules", BOARDS / "x86-multi-die")
    root = copy("x86-server", tmp_path)
    for number in (0, 1):
        (zone(root, f"{number}") / "name").write_text(f"package-{number}\n")
    with opened("pyjoules", root) as source:
        assert values(source) == {
            "package-0": 190011200345, "package-1": 187553901010, "package-0/dram": 20776001220, "package-1/dram": 19001440871,
        } == {name: values(source)[name] for name in values(source)}  # fmt: skip
    (zone(root, "1") / "name").write_text("psys\n")
    add_zone(root, "2", "package-1", 5)
    assert "pyJoules sees package-0" in refusal("pyjoules", root)


def test_pyjoules_refusals_are_its_callers(tmp_path: Path) -> None:
    assert "no RAPL on this machine" in refusal("pyjoules", tmp_path)
    assert "udev rule" in refusal("pyjoules", BOARDS / "x86-desktop", Opener({"energy_uj": errno.EACCES}))
    root = copy("x86-desktop", tmp_path)
    (root / "sys/class/powercap/intel-rapl").unlink()
    assert "NoSuchDeviceError" in refusal("pyjoules", root)


def test_pyjoules_fails_as_an_error_of_the_file(tmp_path: Path) -> None:
    root = copy("x86-desktop", tmp_path)
    with opened("pyjoules", root) as source:
        (zone(root, "0") / "energy_uj").write_text("")
        with pytest.raises(ValueError, match="could not convert"):
            source.read()
        (zone(root, "0") / "energy_uj").unlink()
        with pytest.raises(FileNotFoundError):
            source.read()
