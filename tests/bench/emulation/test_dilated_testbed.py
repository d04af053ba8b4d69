"""Dilated boards without any: what they stand for, links, latency, shares in this machine's time, refusals in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.cluster.board_class import BoardClass
from bench.cluster.board_files import load_board
from bench.cluster.emulated_inventory import Emulation, read_emulated
from bench.cluster.inventory import read_inventory
from bench.cluster.training_rate import TrainingRate
from bench.common.paths import CONF
from bench.common.sourced_number import SourcedNumber
from bench.common.user_error import UserError
from bench.config.dilation_config import BoardSpeed
from bench.config.host_config import Host
from bench.config.testbed_config import Testbed as Shelf  # pytest takes a class Test... for tests
from bench.emulation import dilated_testbed, network_commands
from bench.emulation.emulated_boards import resolve_cluster
from bench.emulation.machine_threads import processors
from bench.emulation.shelf_training import at_work, dilation_of, training_rates

EMULATION = Emulation("10.77.0.0/24", link="ethernet-100m", dilation="class")
FAST, SLOW = 4.0e11, 1.0e11


def rate(device: str, value: float, **more: Any) -> TrainingRate:
    return TrainingRate(device, "fp32", None, value, f"measured {device}", 0.5 * value, 2 * value, **more)


PEAK = SourcedNumber(1.0e12, "said")
CLASSES = {
    "quick": BoardClass("quick", flop_s=PEAK, train_flop_s=(rate("gpu", FAST, busy_W=SourcedNumber(12.0, "measured")),)),
    "slow": BoardClass("slow", flop_s=PEAK, train_flop_s=(rate("cpu", SLOW), rate("gpu", 2 * SLOW))),
}


def hosts(*names: str, **more: Any) -> list[Host]:
    return [Host(f"10.77.0.{n}", board=name, name=f"b{n}", **more) for n, name in enumerate(names, 1)]


def shelf(*names: str, emulation: Emulation = EMULATION, cores: int = 2, **cluster: Any) -> Shelf:
    from bench.cluster.inventory import Inventory

    block = {"name": "e", "hostfile": "h.yaml", "interface": None, "link": None, **cluster}
    boards = hosts(*names)
    rates = training_rates(block, emulation, boards, CLASSES, "float32")
    found = resolve_cluster(block, Inventory(boards, emulation), CLASSES, CONF / "link", cores, None, rates)
    return Shelf.from_dict(found["emulated"])


def speeds(testbed: Shelf, flop_s: float) -> list[BoardSpeed]:
    """What shares of a machine achieve that does ``flop_s`` on a core."""
    return [BoardSpeed(b.name, b.quota_cores, flop_s * (b.quota_cores or 0.0)) for b in testbed.boards]


def test_shares_keep_the_ratio_of_the_classes() -> None:
    """A shelf of two classes gets one dilation, since its shares are to each other as the classes' training rates are."""
    testbed = shelf("quick", "slow", device="gpu")
    quick, slow = (board.quota_cores for board in testbed.boards)
    assert quick is not None
    assert slow is not None
    assert quick / slow == pytest.approx(FAST / (2 * SLOW))
    assert quick + slow == pytest.approx(0.95 * 2)  # the rest is for what starts and watches them
    measured = speeds(testbed, 3.0e10)
    factor = dilated_testbed.shelf_factor(testbed, measured)
    assert factor == pytest.approx(FAST / (3.0e10 * quick))
    for board, speed in zip(testbed.boards, measured, strict=True):
        assert board.target is not None
        assert speed.together_flop_s * factor == pytest.approx(board.target.value)


def test_range_and_source_of_the_factor() -> None:
    testbed = shelf("quick", "quick")
    dilation = dilated_testbed.dilation_by(testbed, 8.0, "said", netem=False, speeds=speeds(testbed, 1e10))
    assert (dilation.low, dilation.factor, dilation.high, dilation.source) == (4.0, 8.0, 16.0, "said")
    assert testbed.boards[0].target is not None
    assert testbed.boards[0].target.source == "measured gpu"


@pytest.mark.parametrize("factor", [1.0, 4.0, 16.0])
def test_links_in_this_machines_time(factor: float) -> None:
    """Rate over the factor; the queue holds the same bytes; by netem a message is late by what is beyond its own latency."""
    plain = shelf("quick", "quick")
    latency_s = 0.000271  # of conf/link/ethernet-100m
    for netem in (True, False):
        dilation = dilated_testbed.dilation_by(plain, factor, "", netem=netem)
        assert dilation.latency_s == latency_s
        machine = dilated_testbed.in_machine_time(plain, dilation)
        link, added_s = machine.boards[0].link, (factor - 1) * latency_s
        assert link.rate_bit_s == 1e8 / factor
        assert (link.delay_s or 0.0) == pytest.approx(added_s / 2 if netem else 0.0)
        assert dilation.receive_delay_s == pytest.approx(0.0 if netem else added_s)
        (shaper, *_) = network_commands.shapers(machine)
        words = " ".join(network_commands.shape(shaper)[0])
        assert f"rate {1e8 / factor:.0f}bit" in words
        assert f"latency {50 * factor:.0f}ms" in words
        assert [b.memory_bytes for b in machine.boards] == [b.memory_bytes for b in plain.boards]


def test_a_factor_of_one_is_no_dilation() -> None:
    """Then the kernel is told what it is told without one."""
    plain = shelf("quick", "quick", emulation=replace(EMULATION, dilation="none"))
    asked = shelf("quick", "quick", emulation=replace(EMULATION, dilation=1))
    machine = dilated_testbed.in_machine_time(asked, dilated_testbed.dilation_by(asked, 1.0, "", netem=False))
    assert dilated_testbed.in_machine_time(plain, None) is plain
    for one, other in zip(network_commands.shapers(machine), network_commands.shapers(plain), strict=True):
        assert network_commands.shape(one) == network_commands.shape(other)
    for board, same in zip(machine.boards, plain.boards, strict=True):
        assert network_commands.quota_us(board) == network_commands.quota_us(same)


def test_a_delay_that_was_asked_for_is_dilated_too() -> None:
    plain = shelf("quick", "quick", link_delay_s=0.01)
    machine = dilated_testbed.in_machine_time(plain, dilated_testbed.dilation_by(plain, 4.0, "", netem=False))
    assert machine.boards[0].link.delay_s == pytest.approx(0.04)


def test_classes_slower_than_their_share_get_less_of_it() -> None:
    plain = shelf("quick", "quick", emulation=replace(EMULATION, compute=1.0))
    dilation = dilated_testbed.dilation_by(plain, 1.0, "", netem=False, quota_scale=0.25)
    machine = dilated_testbed.in_machine_time(plain, dilation)
    assert [board.quota_cores for board in machine.boards] == [0.25, 0.25]
    with pytest.raises(
        UserError, match=r"b1 would get 0\.0050 of a core to be as slow as its class, and at least 0\.01"
    ) as error:
        dilated_testbed.in_machine_time(plain, replace(dilation, quota_scale=0.005))
    assert "\n" not in str(error.value)


def test_a_rate_that_the_kernel_cannot_shape() -> None:
    plain = shelf("quick", "quick")
    with pytest.raises(
        UserError, match=r"link ethernet-100m of b1 would pass 5e\+03 bit/s \(1e\+08 slowed by the dilation of"
    ) as error:
        dilated_testbed.in_machine_time(plain, dilated_testbed.dilation_by(plain, 2e4, "", netem=False))
    assert "\n" not in str(error.value)


def test_a_point_says_its_dilation_only_where_it_has_one() -> None:
    """A key more in the testbed of a point without dilation would give every old point another name."""
    plain = shelf("quick", "quick", emulation=replace(EMULATION, dilation="none")).to_dict()
    assert not {"dilation", "latency_s", "factor"} & set(plain)
    assert not any({"target"} & set(board) for board in plain["boards"])
    dilated = shelf("quick", "quick").to_dict()
    assert dilated["dilation"] == "class"
    assert Shelf.from_dict(dilated).to_dict() == dilated


def test_the_device_that_a_board_stands_for() -> None:
    """One device needs no word; of two the inventory, the host or the command line says which; otherwise one line."""
    assert training_rates({}, EMULATION, hosts("quick"), CLASSES, "float32")["quick"].device == "gpu"
    with pytest.raises(UserError, match="board slow trains on its cpu and on its gpu; say which one") as error:
        training_rates({}, EMULATION, hosts("slow"), CLASSES, "float32")
    assert "\n" not in str(error.value)
    of_inventory = replace(EMULATION, device="gpu")
    assert training_rates({}, of_inventory, hosts("slow"), CLASSES, "float32")["slow"].value == 2 * SLOW
    assert training_rates({}, of_inventory, hosts("slow", device="cpu"), CLASSES, "float32")["slow"].value == SLOW
    assert training_rates({"device": "cpu"}, of_inventory, hosts("slow"), CLASSES, "float32")["slow"].value == SLOW
    both = [*hosts("slow", device="cpu"), Host("10.77.0.2", board="slow", name="b2", device="gpu")]
    with pytest.raises(
        UserError, match="boards of class slow stand for cpu and for gpu device; give all of one class the same"
    ):
        training_rates({}, EMULATION, both, CLASSES, "float32")
    with pytest.raises(UserError, match=r"dilation=class with train.dtype=float64: no board class states"):
        training_rates({}, EMULATION, hosts("quick"), CLASSES, "float64")


def test_watts_are_those_of_the_device() -> None:
    rates = training_rates({}, EMULATION, hosts("quick"), CLASSES, "float32")
    boards = at_work({}, EMULATION, hosts("quick", "slow"), CLASSES, rates)
    assert boards["quick"].power.values() == {"busy_W": 12.0}
    assert boards["quick"].power.busy_W == SourcedNumber(12.0, "measured", "gpu")
    assert (boards["quick"].device, boards["slow"]) == ("gpu", CLASSES["slow"])


def test_a_board_stands_for_the_device_that_was_asked_for_else_for_that_of_its_peak() -> None:
    """Not dilated: the wattage must be of the device that the board stands for, and that must be known."""
    peak = {"quick": replace(CLASSES["quick"], flop_s=SourcedNumber(1.0e12, "said", "gpu"))}
    assert at_work({}, EMULATION, hosts("quick"), peak, {})["quick"].device == "gpu"
    assert at_work({}, EMULATION, hosts("quick", device="cpu"), peak, {})["quick"].device == "cpu"
    assert at_work({"device": "gpu"}, EMULATION, hosts("quick", device="cpu"), peak, {})["quick"].device == "gpu"


def test_the_command_line_goes_before_the_inventory() -> None:
    assert dilation_of({}, EMULATION) == "class"
    assert dilation_of({"dilation": "none"}, EMULATION) is None
    assert dilation_of({"dilation": 4}, EMULATION) == 4.0
    assert dilation_of({"dilation": None}, replace(EMULATION, dilation=2)) == 2.0


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("dilation", "clas", r"emulated.dilation=clas must be class .*, none, or a number of at least 1"),
        ("dilation", 0.5, r"emulated.dilation=0.5 must be class"),
        ("dilation", True, r"emulated.dilation=True must be class"),
        ("device", "tpu", "emulated.device=tpu must be cpu or gpu"),
        ("cpus", 0, r"emulated.cpus=0 must be a list of processors of this machine, such as \[0\]"),
        ("cpus", [], r"emulated.cpus=\[\] must be a list"),
        ("cpus", ["a"], r"emulated.cpus=\['a'\] must be a list"),
    ],
)
def test_wrong_words_of_an_inventory(key: str, value: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        read_emulated(Path("h.yaml"), {"network": "10.77.0.0/24", key: value})
    assert "\n" not in str(error.value)


def test_real_hosts_stand_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "h.yaml"
    path.write_text("hosts:\n  - {address: 10.0.0.1, device: gpu}\n")
    with pytest.raises(UserError, match=r"device of 10\.0\.0\.1 is of emulated boards only"):
        read_inventory(path, "raspberry-pi-4")


def test_unlimited_boards_have_no_class_dilation() -> None:
    with pytest.raises(UserError, match="dilation=class needs boards with a share of this machine"):
        shelf("quick", "quick", emulation=replace(EMULATION, compute="unlimited"))


def siblings(root: Path, *lists: str) -> Path:
    """The kernel's files of a machine whose processor N shares a core with those of the Nth list."""
    for cpu, text in enumerate(lists):
        folder = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(text + "\n")
    return root


def test_dilated_boards_have_one_thread_of_each_core(tmp_path: Path) -> None:
    """Where the kernel says which are of one core; boards without dilation stay where they were, so do their points' names."""
    paired = siblings(tmp_path / "smt", "0,2", "1,3", "0,2", "1,3")
    assert processors(None, range(4), True, paired) == (0, 1)
    assert processors(None, {1, 2, 3}, True, paired) == (1, 2)
    assert processors(None, range(4), False, paired) is None
    assert processors(None, range(2), True, siblings(tmp_path / "plain", "0", "1")) is None
    assert processors(None, range(2), True, tmp_path / "hidden") is None


def test_processors_that_an_inventory_names(tmp_path: Path) -> None:
    assert processors([1, 0, 1], range(2), True, tmp_path) == (0, 1)
    with pytest.raises(UserError, match=r"emulated.cpus has 7, and this process may run on 0, 1; use some of these") as error:
        processors([0, 7], range(2), True, tmp_path)
    assert "\n" not in str(error.value)


def test_shipped_classes_can_be_asked(tmp_path: Path) -> None:
    """The classes of the shelf inventories state a rate, so dilation=class has a factor."""
    board = load_board("raspberry-pi-4", CONF / "board")
    assert board.training_rate("cpu", "fp32").value > 0
