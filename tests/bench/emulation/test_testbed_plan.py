"""What a testbed consists of, without one: shares of the processor, links, names, commands, control groups, locks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.cluster.board_files import load_board
from bench.cluster.emulated_inventory import Emulation
from bench.cluster.inventory import Inventory, read_inventory
from bench.common.paths import CONF, PROJECT
from bench.common.user_error import UserError
from bench.config.host_config import Host
from bench.emulation import emulated_boards, network_commands, state_files
from bench.emulation.cgroups import Version1, Version2, find_cgroups

INVENTORIES = sorted((PROJECT / "hostfiles").glob("emulated*.yaml"))
EMULATED = Emulation("10.77.0.0/24", link="ethernet-1g", uplink="ethernet-100m")


def resolved(inventory: Inventory, cores: int = 2, threads: int | None = None, **overrides: Any) -> dict[str, Any]:
    cluster = {"name": "e", "hostfile": "h.yaml", "interface": None, "link": None, **overrides}
    boards = {name: load_board(name, CONF / "board") for name in {host.board for host in inventory.hosts}}
    return emulated_boards.resolve_cluster(cluster, inventory, boards, CONF / "link", cores, threads)


def boards(*changes: dict[str, Any]) -> list[Host]:
    return [
        Host(**{"address": f"10.77.0.{n}", "board": "raspberry-pi-4", "name": f"b{n}", **change})
        for n, change in enumerate(changes, 1)
    ]


def make(*changes: dict[str, Any], emulated: Emulation = EMULATED, **overrides: Any) -> emulated_boards.Testbed:
    return emulated_boards.Testbed.from_dict(resolved(Inventory(boards(*changes), emulated), **overrides)["emulated"])


@pytest.mark.parametrize("path", INVENTORIES, ids=lambda path: path.stem)
@pytest.mark.parametrize("cores", [1, 2, 64])
def test_what_is_shipped_can_be_emulated(path: Path, cores: int) -> None:
    """Every inventory, on small and large machines: all quotas together are what the machine has, and no more."""
    found = resolved(read_inventory(path, "raspberry-pi-4"), cores)
    testbed = emulated_boards.Testbed.from_dict(json.loads(json.dumps(found["emulated"])))
    quotas = [board.quota_cores for board in testbed.boards]
    assert sum(q for q in quotas if q) == pytest.approx(cores)
    assert found["interface"] == testbed.network
    assert (CONF / "cluster" / path.name).exists()
    assert emulated_boards.Testbed.from_dict(testbed.to_dict()) == testbed


def test_shipped_testbeds_can_stand_side_by_side() -> None:
    found = [
        emulated_boards.Testbed.from_dict(resolved(read_inventory(path, "raspberry-pi-4"), name=path.stem)["emulated"])
        for path in INVENTORIES
    ]
    for testbed in found:
        state_files.check_network(testbed, found, [])
    assert len({network_commands.launch_device(testbed.name) for testbed in found}) == len(found) >= 5


def test_shares_of_the_processor() -> None:
    """Equal boards share the machine; others by their peak speed, or by what the inventory says."""
    assert [b.quota_cores for b in make({}, {}, {}, {}).boards] == [0.5] * 4
    mixed = make({"board": "raspberry-pi-5"}, {"board": "raspberry-pi-4"})
    ratio = mixed.boards[1].quota_cores / mixed.boards[0].quota_cores  # type: ignore[operator]
    flops = [load_board(name, CONF / "board").flop_s.value for name in ("raspberry-pi-5", "raspberry-pi-4")]  # type: ignore[union-attr]
    assert ratio == pytest.approx(flops[1] / flops[0])
    assert mixed.scale_cores == mixed.boards[0].quota_cores
    slow = make({}, {}, {"speed": 0.5})
    assert [b.quota_cores for b in slow.boards] == [0.8, 0.8, 0.4]
    fixed = make({}, {"speed": 0.5}, emulated=Emulation("10.77.0.0/24", "ethernet-1g", compute=0.4))
    assert [b.quota_cores for b in fixed.boards] == [0.4, 0.2]
    free = make({}, {}, emulated=Emulation("10.77.0.0/24", "ethernet-1g", compute="unlimited"))
    assert [b.quota_cores for b in free.boards] == [None, None]
    assert free.scale_cores is None


def test_threads_follow_the_quota_unless_given() -> None:
    def threads(cores: int, given: int | None = None, **change: Any) -> list[int | None]:
        return [host["threads"] for host in resolved(Inventory(boards(change, {}), EMULATED), cores, given)["hosts"]]

    assert threads(1) == [1, 1]
    assert threads(2) == [1, 1]
    assert threads(7) == [4, 4]  # 3.5 cores keep four threads busy
    assert threads(8, slots=2) == [2, 4]
    assert threads(8, threads=3) == [3, 4]
    assert threads(8, given=2) == [None, None]  # the rank takes what the user gave for all


def test_memory_of_the_class_or_of_the_host() -> None:
    own = {"memory_bytes": 10**9}
    assert [b.memory_bytes for b in make({}, own).boards] == [None, 10**9]
    of_class = make({}, own, emulated=Emulation("10.77.0.0/24", "ethernet-1g", memory="class"))
    assert [b.memory_bytes for b in of_class.boards] == [8 * 2**30, 10**9]


def test_links_and_what_overrides_them() -> None:
    three = ({}, {"link": "wifi-5"}, {"link": "wifi-5"})
    assert [b.link.name for b in make(*three).boards] == ["ethernet-1g", "wifi-5", "wifi-5"]
    over = make(*three, link="ethernet-100m", link_delay_s=0.002)
    assert {b.link for b in over.boards} == {emulated_boards.Link("ethernet-100m", 1e8, 0.002)}
    assert {b.link.rate_bit_s for b in make(*three, link_rate_bit_s=3e6).boards} == {3e6}
    # A link's latency is what real ones have: nothing asks for it here, so no kernel needs netem.
    assert network_commands.needs_netem(make(*three)) is None
    assert network_commands.needs_netem(over) == emulated_boards.Link("ethernet-100m", 1e8, 0.002)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"link": "ethernet-1"}, "unknown link ethernet-1; known are ethernet-100m, ethernet-1g, .*; did you mean ethernet-1g"),
        ({"link_rate_bit_s": "1gbit"}, "cluster.link_rate_bit_s=1gbit must be a number of bits per second"),
        ({"link_delay_s": -1}, "cluster.link_delay_s=-1 must be a number of seconds of at most 10, one way over one link"),
        ({"interface": "eth0"}, "cluster.interface=eth0 is that of the inventory for emulated boards; leave it out"),
        ({"name": "a.b"}, "cluster.name=a.b must have up to 40 letters"),
    ],
)
def test_bad_overrides(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        resolved(Inventory(boards({}, {}), EMULATED), **overrides)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_emulated() -> None:
    with pytest.raises(
        UserError, match=r"emulated\.compute=1\.5 cores of the fastest board are 3.00 for all, but this machine has 2"
    ):
        make({}, {}, emulated=Emulation("10.77.0.0/24", "ethernet-1g", compute=1.5))
    with pytest.raises(UserError, match=r"emulated board b2 would get 0\.0020 of a core, at least 0\.01 is possible"):
        make({}, {"speed": 0.001})
    with pytest.raises(UserError, match=r"cluster\.link=wifi-5 shapes emulated boards, but hostfile h\.yaml has real ones"):
        resolved(Inventory(boards({}, {})), link="wifi-5")


def test_a_real_inventory_stays_as_it_is() -> None:
    found = resolved(Inventory(boards({}, {})))
    assert "emulated" not in found
    assert found["interface"] is None
    assert found["hosts"][0]["threads"] is None


def test_commands_of_two_boards() -> None:
    testbed = make({}, {})
    launch = network_commands.launch_device("e")
    lines = [" ".join(command) for command in network_commands.create(testbed)]
    assert lines[:3] == ["ip netns add ej-e", "ip netns add ej-e.b1", "ip netns add ej-e.b2"]
    assert "ip link add eth0 netns ej-e.b2 type veth peer name p1 netns ej-e" in lines
    assert "ip -n ej-e.b2 addr add 10.77.0.2/24 dev eth0" in lines
    assert "ip -n ej-e link set p1 master sw0 addrgenmode none up" in lines
    assert lines[-1] == f"ip addr add 10.77.0.254/24 dev {launch}"
    assert len(launch) <= 15
    assert [(s.namespace, s.device) for s in network_commands.shapers(testbed)] == [
        ("ej-e.b1", "eth0"), ("ej-e", "p0"), ("ej-e.b2", "eth0"), ("ej-e", "p1"),
    ]  # fmt: skip
    assert network_commands.ports(testbed) == {"launch", "p0", "p1"}


def test_two_switches_and_the_link_between() -> None:
    testbed = make(*({"switch": name} for name in ("left", "left", "right", "right")))
    lines = [" ".join(command) for command in network_commands.create(testbed)]
    assert "ip link add u1a netns ej-e type veth peer name u1b netns ej-e" in lines
    assert "ip -n ej-e link set u1a master sw1 addrgenmode none up" in lines
    assert "ip -n ej-e link set u1b master sw0 addrgenmode none up" in lines
    assert [f"ip -n ej-e link set p{n} master sw{n // 2} addrgenmode none up" in lines for n in range(4)] == [True] * 4
    uplink = {s.device: s.link.rate_bit_s for s in network_commands.shapers(testbed) if s.device.startswith("u")}
    assert uplink == {"u1a": 1e8, "u1b": 1e8}
    assert network_commands.ports(testbed) == {"launch", "p0", "p1", "p2", "p3", "u1a", "u1b"}


def test_shaping() -> None:
    def lines(link: emulated_boards.Link) -> list[str]:
        return [" ".join(command) for command in network_commands.shape(network_commands.Shaper("ej-e", "p0", link))]

    qdisc = "tc -n ej-e qdisc replace dev p0"
    assert lines(emulated_boards.Link("l", 1e9)) == [
        f"{qdisc} root handle 1: tbf rate 1000000000bit burst 70000b latency 50ms",
        f"{qdisc} parent 1:1 handle 10: bfifo limit 6320000b",
    ]
    assert lines(emulated_boards.Link("l", 1e8, delay_s=0.01, loss=0.001))[1] == (
        f"{qdisc} parent 1:1 handle 10: netem limit 1000 delay 10000us loss 0.1%"
    )
    # At 1 Gbit/s 100 ms on the way are 8,000 packets and more.
    assert "limit 12500 " in lines(emulated_boards.Link("l", 1e9, delay_s=0.1))[1]


def test_a_fast_link_passes_whole_packets_and_a_slow_one_little_at_once() -> None:
    assert [network_commands.burst_bytes(rate) for rate in (2.5e9, 1e9, 8.38e8, 3e8)] == [175_000, 70_000, 70_000, 70_000]
    assert [network_commands.burst_bytes(rate) for rate in (1e8, 1e7)] == [7_000, 4_096]


def test_quotas_in_microseconds() -> None:
    def quota(cores: float | None) -> tuple[int, int] | None:
        return network_commands.quota_us(
            emulated_boards.Board("b", "10.77.0.1", "x", emulated_boards.Link("l", 1e9), quota_cores=cores)
        )

    assert quota(None) is None
    assert quota(0.5) == (5_000, 10_000)
    assert quota(1.647) == (16_470, 10_000)
    assert quota(0.045) == (1_000, 22_222)  # the kernel gives no less than 1 ms


def test_names_tell_what_belongs_to_whom() -> None:
    found = ["ej-e", "ej-e.b1", "ej-e.gone", "ej-e2", "ej-e2.b1", "mine"]
    assert [name for name in found if network_commands.belongs("e", name)] == ["ej-e", "ej-e.b1", "ej-e.gone"]


def test_addresses_that_are_taken() -> None:
    mine = make({}, {})
    other = make({}, {}, name="other")
    with pytest.raises(UserError, match=r"testbed other is up on 10.77.0.0/24, which e wants too; .* down cluster=other"):
        state_files.check_network(mine, [mine, other], [])
    with pytest.raises(UserError, match=r"this machine is already in 10.77.0.0/24 \(eth0 has 10.77.0.9/16\)"):
        state_files.check_network(mine, [mine], [("eth0", "10.77.0.9/16")])
    state_files.check_network(mine, [mine], [("lo", "127.0.0.1/8"), ("eth0", "192.168.1.2/24")])


def make_tree(root: Path, version: int) -> None:
    """A hierarchy as the kernel shows it, the files that it makes with a group left out."""
    if version == 2:
        root.mkdir()
        (root / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
        (root / "cgroup.subtree_control").write_text("memory pids\n")
        return
    for name in ("cpu", "cpuacct", "memory", "unified"):
        (root / name).mkdir(parents=True)
        (root / name / "cgroup.procs").write_text("")
    (root / "unified/cgroup.controllers").write_text("")


def test_groups_of_version_2(tmp_path: Path) -> None:
    make_tree(tmp_path / "cg", 2)
    groups = find_cgroups(tmp_path / "cg")
    assert isinstance(groups, Version2)
    group = tmp_path / "cg/ej-e/b1"
    group.mkdir(parents=True)
    for name in ("memory.swap.max", "cgroup.procs"):
        (group / name).write_text("")
    groups.limit("e", "b1", (5_000, 10_000), 2**30)
    assert {path.name: path.read_text() for path in group.iterdir()} == {
        "cpu.max": "5000 10000", "memory.max": str(2**30), "memory.swap.max": "0", "cgroup.procs": "",
    }  # fmt: skip
    for parent in (tmp_path / "cg", tmp_path / "cg/ej-e"):
        assert (parent / "cgroup.subtree_control").read_text() == "+cpu +memory"
    assert (groups.quota_cores("e", "b1"), groups.memory_bytes("e", "b1")) == (0.5, 2**30)
    groups.limit("e", "b1", None, None)
    assert (groups.quota_cores("e", "b1"), groups.memory_bytes("e", "b1")) == (None, None)
    (group / "memory.events").write_text("low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\n")
    (group / "cgroup.procs").write_text("12\n34\n")
    assert groups.oom_kills("e", "b1") == 1
    assert groups.processes("e", "b1") == [12, 34]
    assert groups.boards("e") == ["b1"]
    assert groups.cpu_file("e", "b1") == group / "cpu.stat"


@pytest.mark.parametrize("mounted", ["apart", "together"])
def test_groups_of_version_1(tmp_path: Path, mounted: str) -> None:
    root = tmp_path / "cg"
    make_tree(root, 1)
    if mounted == "together":  # as most distributions had it
        (root / "cpu/cgroup.procs").rename(root / "cpu,cpuacct.procs")
        for name in ("cpu", "cpuacct"):
            for file in (root / name).iterdir():
                file.unlink()
            (root / name).rmdir()
        (root / "cpu,cpuacct").mkdir()
        (root / "cpu,cpuacct.procs").rename(root / "cpu,cpuacct/cgroup.procs")
        for name in ("cpu", "cpuacct"):
            (root / name).symlink_to("cpu,cpuacct")
    groups = find_cgroups(root)
    assert isinstance(groups, Version1)
    groups.limit("e", "b1", (5_000, 10_000), 2**30)
    assert (root / "cpu/ej-e/b1/cpu.cfs_quota_us").read_text() == "5000"
    assert (root / "cpu/ej-e/b1/cpu.cfs_period_us").read_text() == "10000"
    assert (root / "memory/ej-e/b1/memory.limit_in_bytes").read_text() == str(2**30)
    assert (groups.quota_cores("e", "b1"), groups.memory_bytes("e", "b1")) == (0.5, 2**30)
    assert len(groups.groups("e", "b1")) == (3 if mounted == "apart" else 2)
    (root / "memory/ej-e/b1/memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    assert groups.oom_kills("e", "b1") == 3
    groups.limit("e", "b1", None, None)
    assert (groups.quota_cores("e", "b1"), groups.memory_bytes("e", "b1")) == (None, None)


def test_no_control_groups(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"need the control groups cpu and memory under .* \(found none\); .* cluster=local"):
        find_cgroups(tmp_path)
    make_tree(tmp_path / "cg", 2)
    (tmp_path / "cg/cgroup.controllers").write_text("cpu pids\n")
    with pytest.raises(UserError, match=r"\(found cpu, pids\)"):
        find_cgroups(tmp_path / "cg")


def test_one_process_at_a_time_works_with_a_testbed(tmp_path: Path) -> None:
    with state_files.Lock("e", tmp_path):
        with (
            pytest.raises(UserError, match=r"testbed e is in use by process \d+ \(.*\); wait for its end, or end it"),
            state_files.Lock("e", tmp_path),
        ):
            pass
        with state_files.Lock("other", tmp_path):
            pass
    with state_files.Lock("e", tmp_path):
        pass


def test_the_state_names_what_the_agent_needs(tmp_path: Path) -> None:
    make_tree(tmp_path / "cg", 2)
    testbed, groups = make({}, {}), find_cgroups(tmp_path / "cg")
    state_files.write_state(testbed, groups, tmp_path / "state")
    assert state_files.read_state("e", tmp_path / "state") == testbed
    assert state_files.all_up(tmp_path / "state") == [testbed]
    found = json.loads((tmp_path / "state/e/state.json").read_text())["boards"]["10.77.0.2"]
    procs = str(tmp_path / "cg/ej-e/b2/cgroup.procs")
    assert found == {"name": "b2", "namespace": "/run/netns/ej-e.b2", "groups": [procs]}
    assert state_files.agent_command("e", tmp_path / "state") == f"/bin/sh {tmp_path}/state/e/agent"
    state_files.remove_state("e", tmp_path / "state")
    assert state_files.read_state("e", tmp_path / "state") is None
