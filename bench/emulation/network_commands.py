"""Which names and commands a testbed takes. Pure: lists of words for ``ip`` and ``tc``.

    this machine        namespace ej-NAME (the switches)        namespaces ej-NAME.BOARD

    ej-HASH ----------- launch + sw0 + p0 ===================== eth0  first board
                               |     + p1 ===================== eth0  second board
                               + u1b
                                  ||
                               + u1a
                               | sw1 + p2 ===================== eth0  third board

    ---- a cable    ==== a cable with a tbf at both ends

The switches live in a namespace of their own, so no firewall of this machine meddles with what the boards say to each
other, and nothing but one interface is added to this machine's network. All names follow from the cluster's name: what
a crash has left is found and removed by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from bench.config.testbed_config import Board, Link, Testbed
from bench.emulation import PREFIX

Command = list[str]
# What may pass at once after a pause, as time at the link's rate: it arrives sooner than its bits could. The kernel hands
# packets of up to 64 KiB to a fast link, and cutting them costs more processor time than four boards on two cores have: with
# less than such a packet, 838 Mbit/s came down to a fifth. A slower link cuts them in its stride.
BURST_S = 0.56e-3
FAST_BIT_S = 2.5e8
WHOLE_PACKET_BYTES = 70_000
LEAST_BURST_BYTES = 4096
QUEUE_S = 50e-3
PERIOD_US = 10_000  # of the CPU quota: long periods stop a board for long, below 5 ms a quota gives less than it says
LEAST_QUOTA_US = 1_000  # the kernel's
PACKET_BYTES = 1500


@dataclass(frozen=True)
class Shaper:
    """One end of a link: what leaves ``device`` of ``namespace`` is held to the link.

    ``factor`` dilates the queue: it holds as many bytes as in the boards' time.
    """

    namespace: str
    device: str
    link: Link
    factor: float = 1.0


def switch_namespace(name: str) -> str:
    """The network namespace of a testbed's switches.

    Args:
        name: The testbed's name.

    Returns:
        The namespace's name.
    """
    return f"{PREFIX}{name}"


def namespace(name: str, board: str) -> str:
    """The network namespace of a board.

    Args:
        name: The testbed's name.
        board: The board's name.

    Returns:
        The namespace's name.
    """
    return f"{PREFIX}{name}.{board}"


def launch_device(name: str) -> str:
    """This machine's interface among the boards.

    Args:
        name: The testbed's name.

    Returns:
        The interface's name, a hash, for names of interfaces have at most 15 characters.
    """
    return PREFIX + hashlib.sha256(name.encode()).hexdigest()[:8]


def belongs(name: str, space: str) -> bool:
    """Whether a namespace is of a testbed, also one that an older inventory had.

    Args:
        name: The testbed's name.
        space: The namespace's name.

    Returns:
        True for that of the switches and for those of boards.
    """
    return space == switch_namespace(name) or space.startswith(switch_namespace(name) + ".")


def namespaces(testbed: Testbed) -> list[str]:
    """All namespaces of a testbed.

    Args:
        testbed: The boards.

    Returns:
        The names: that of the switches, then that of each board.
    """
    return [switch_namespace(testbed.name), *(namespace(testbed.name, board.name) for board in testbed.boards)]


def create(testbed: Testbed) -> list[Command]:
    """Make namespaces, switches and unshaped links, where none of them is there yet.

    Args:
        testbed: The boards and their links.

    Returns:
        The commands in their order.
    """
    middle, length = switch_namespace(testbed.name), testbed.network.split("/")[1]
    commands = [["ip", "netns", "add", name] for name in namespaces(testbed)]
    for index, _ in enumerate(testbed.switches):
        commands += _up(middle, f"sw{index}", ["type", "bridge", "stp_state", "0", "mcast_snooping", "0"])
    for index in range(1, len(testbed.switches)):
        commands.append(_veth(f"u{index}a", middle, f"u{index}b", middle))
        commands += [_plug(middle, f"u{index}a", f"sw{index}"), _plug(middle, f"u{index}b", "sw0")]
    for index, board in enumerate(testbed.boards):
        space, switch = namespace(testbed.name, board.name), testbed.switches.index(board.switch)
        commands.append(_veth("eth0", space, f"p{index}", middle))
        commands.append(["ip", "-n", space, "link", "set", "lo", "up"])
        commands += _address(["-n", space], "eth0", f"{board.address}/{length}")
        commands.append(_plug(middle, f"p{index}", f"sw{switch}"))
    launch = launch_device(testbed.name)
    commands.append(["ip", "link", "add", launch, "type", "veth", "peer", "name", "launch", "netns", middle])
    commands.append(_plug(middle, "launch", "sw0"))
    commands += _address([], launch, f"{testbed.launch_address}/{length}")
    return commands


def _up(space: str, device: str, kind: Sequence[str]) -> list[Command]:
    quiet = ["ip", "-n", space, "link", "set", device, "addrgenmode", "none", "up"]  # no IPv6 chatter on the link
    return [["ip", "-n", space, "link", "add", device, *kind], quiet]


def _veth(device: str, space: str, peer: str, peers_space: str) -> Command:
    return ["ip", "link", "add", device, "netns", space, "type", "veth", "peer", "name", peer, "netns", peers_space]


def _plug(space: str, device: str, bridge: str) -> Command:
    return ["ip", "-n", space, "link", "set", device, "master", bridge, "addrgenmode", "none", "up"]


def _address(where: Sequence[str], device: str, address: str) -> list[Command]:
    return [
        ["ip", *where, "link", "set", device, "addrgenmode", "none", "up"],
        ["ip", *where, "addr", "add", address, "dev", device],
    ]


def ports(testbed: Testbed) -> set[str]:
    """The interfaces that are plugged into the switches.

    Args:
        testbed: The boards and their links.

    Returns:
        Their names in the namespace of the switches.
    """
    uplinks = {f"u{index}{end}" for index in range(1, len(testbed.switches)) for end in "ab"}
    return {"launch", *(f"p{index}" for index in range(len(testbed.boards))), *uplinks}


def shapers(testbed: Testbed) -> list[Shaper]:
    """Both ends of every link; the launch host's is not shaped, for it is not a board.

    Args:
        testbed: The boards and their links.

    Returns:
        Two ends for each board, then two for each uplink.
    """
    middle, both_ends, factor = switch_namespace(testbed.name), [], testbed.factor or 1.0
    for index, board in enumerate(testbed.boards):
        space = namespace(testbed.name, board.name)
        both_ends += [Shaper(space, "eth0", board.link, factor), Shaper(middle, f"p{index}", board.link, factor)]
    if testbed.uplink is not None:
        for index in range(1, len(testbed.switches)):
            both_ends += [Shaper(middle, f"u{index}{end}", testbed.uplink, factor) for end in "ab"]
    return both_ends


def shape(shaper: Shaper) -> list[Command]:
    """Hold one end to its link, whatever it was held to before: the rate by tbf, and in it a queue that may delay and lose.

    Args:
        shaper: The end of the link.

    Returns:
        The commands in their order.
    """
    link, queue_s = shaper.link, QUEUE_S * shaper.factor
    tc, where = ["tc", "-n", shaper.namespace, "qdisc", "replace"], ["dev", shaper.device]
    burst = burst_bytes(link.rate_bit_s)
    rate = ["rate", f"{link.rate_bit_s:.0f}bit", "burst", f"{burst}b", "latency", f"{queue_s * 1e3:.0f}ms"]
    queued = link.rate_bit_s / 8 * (queue_s + (link.delay_s or 0))
    queue = ["bfifo", "limit", f"{queued + burst:.0f}b"]
    if link.delay_s or link.loss:
        delay = ["delay", f"{link.delay_s * 1e6:.0f}us"] if link.delay_s else []
        loss = ["loss", f"{100 * link.loss:g}%"] if link.loss else []
        # Its own limit of 1000 packets would lose what is only delayed.
        queue = ["netem", "limit", str(max(1000, round(queued / PACKET_BYTES))), *delay, *loss]
    return [[*tc, *where, "root", "handle", "1:", "tbf", *rate], [*tc, *where, "parent", "1:1", "handle", "10:", *queue]]


def burst_bytes(rate_bit_s: float) -> int:
    """The burst of a shaper.

    Args:
        rate_bit_s: The rate of the link in bit/s.

    Returns:
        How many bytes may pass at once after a pause.
    """
    least = WHOLE_PACKET_BYTES if rate_bit_s > FAST_BIT_S else LEAST_BURST_BYTES
    return max(least, round(rate_bit_s / 8 * BURST_S))


def needs_netem(testbed: Testbed) -> Link | None:
    """Look for a link that only a kernel with netem can emulate.

    Args:
        testbed: The boards and their links.

    Returns:
        The first link with a delay or loss; None where there is none.
    """
    links = [board.link for board in testbed.boards] + ([testbed.uplink] if testbed.uplink else [])
    return next((link for link in links if link.delay_s or link.loss), None)


def quota_us(board: Board) -> tuple[int, int] | None:
    """The kernel's bandwidth control for a board.

    Args:
        board: The board with its quota in cores.

    Returns:
        Quota and period in microseconds; None: no limit.
    """
    if board.quota_cores is None:
        return None
    period = max(PERIOD_US, round(LEAST_QUOTA_US / board.quota_cores))
    return max(LEAST_QUOTA_US, round(board.quota_cores * period)), period
