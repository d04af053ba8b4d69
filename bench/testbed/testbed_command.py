"""The command line of emulated boards: ``python -m bench.testbed up|down|status cluster=emulated4``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.table import Table

from bench.campaign.dilated_point import on_its_boards
from bench.common.exit_codes import BAD_INPUT
from bench.common.program_names import as_called
from bench.common.user_error import UserError
from bench.config.dilation_config import PointDilation
from bench.config.host_config import Host
from bench.config.point_cluster_config import PointCluster
from bench.config.testbed_config import Testbed
from bench.emulation import lifecycle
from bench.emulation.dilated_testbed import in_machine_time
from bench.emulation.kernel_network import check_machine, check_root
from bench.emulation.state_files import STATE, Lock, agent_command, all_up, read_state
from bench.launch.mpirun import between_hosts, emulated
from bench.point import hydra_compose, resolved_point
from bench.point.composition_errors import one_line
from bench.point.whole_cluster import whole_cluster
from strategies.common.plan_error import PlanError
from strategies.common.registry import did_you_mean

HELP = """usage: python -m bench.testbed up|down|status [cluster=NAME] [cluster.KEY=VALUE ...]

  up      bring the boards of a cluster up, or those that are up to these rates and limits
  down    remove them and everything that runs on them; without cluster= all that are up
  status  boards with what the kernel says of them; without cluster= of all that are up

Needs root. A campaign on an emulated cluster does both by itself: python -m bench strategy=data cluster=emulated4 ranks=4

Examples:
  python -m bench.testbed up cluster=emulated4
  python -m bench.testbed up cluster=emulated4 cluster.link_rate_bit_s=1.0e+8
  python -m bench.testbed down
"""
MIB = 2**20
LONGEST_LINE = 140


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 2 for what the user can mend."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0 if arguments else BAD_INPUT
    verb, *overrides = arguments
    verbs = {"up": up, "down": down, "status": status}
    try:
        if verb not in verbs:
            raise UserError(f"unknown command {verb}; use up, down or status{did_you_mean(verb, verbs)}")
        verbs[verb](overrides)
    except (UserError, PlanError, HydraException, OmegaConfBaseException) as error:
        print(f"error: {as_called(one_line(error))}", file=sys.stderr)
        return BAD_INPUT
    return 0


def composed(overrides: Sequence[str]) -> dict[str, Any]:
    """The ``cluster`` block under overrides, as a point has it.

    Args:
        overrides: Words of the command line, KEY=VALUE each.

    Returns:
        The block as plain values, with its hosts.
    """
    return resolved_point.cluster_of(hydra_compose.composed(overrides))[0]


def testbed_of(overrides: Sequence[str]) -> tuple[Testbed, list[Host]]:
    """The testbed that the words of a command line describe.

    Args:
        overrides: KEY=VALUE each.

    Returns:
        The testbed and its hosts.

    Raises:
        UserError: The cluster has real boards, or cannot be used.
    """
    cluster = composed(overrides)
    if "emulated" not in cluster:
        raise UserError(
            f"cluster {cluster['name']} has real boards; choose one with emulated boards, such as cluster=emulated4"
        )
    return Testbed.from_dict(cluster["emulated"]), [Host(**host) for host in cluster["hosts"]]


def up(overrides: Sequence[str]) -> None:
    """Bring the boards up, or to these rates and limits.

    Args:
        overrides: KEY=VALUE each; they choose the cluster.

    Raises:
        UserError: The cluster has no emulated boards, this machine cannot emulate them, or the testbed is in use.
    """
    testbed, hosts = testbed_of(overrides)
    check_machine(testbed)
    with Lock(testbed.name):
        boards = ByHand()
        dilation = None
        if testbed.dilation is not None:
            point = on_its_boards(whole_cluster(hydra_compose.composed(overrides)), boards)
            dilation = point.dilation
        else:
            boards.up(testbed)
        print(
            f"{testbed.name}: {len(testbed.boards)} boards {'are up' if boards.made else 'were up; rates and limits are set'}"
        )
        show(in_machine_time(testbed, dilation))
        if dilation is not None:
            print(in_words(dilation))
    network = ["--prtemca", "prte_if_include", testbed.network, "--mca", "btl_tcp_if_include", testbed.network]
    line = ["mpirun", "--host", ",".join(f"{host.address}:{host.slots}" for host in hosts), "--bind-to", "none", *network]
    flags = between_hosts(hosts) + emulated(agent_command(testbed.name), hosts)
    print(f"by hand: {shlex.join([*line, *flags])} COMMAND")


class ByHand:
    """Boards that stay up. ``made`` tells whether they had to be made."""

    made = False

    def ready(self, cluster: PointCluster, dilation: PointDilation | None = None) -> None:
        """Bring the boards up, or to these rates and shares.

        Args:
            cluster: An emulated cluster, whose lock is held.
            dilation: The dilation of its time; None: none.
        """
        assert cluster.emulated is not None
        self.up(in_machine_time(cluster.emulated, dilation))

    def up(self, testbed: Testbed) -> None:
        """Bring a testbed up.

        Args:
            testbed: The boards as this machine must make them.
        """
        self.made = lifecycle.up(testbed) or self.made


def in_words(dilation: PointDilation) -> str:
    """A dilation in lines for the terminal.

    Args:
        dilation: That of boards that are up.

    Returns:
        The factor with its range, and what each board achieved.
    """
    lines = [
        f"dilation {dilation.factor:.4g} ({dilation.low:.3g} to {dilation.high:.3g}): {dilation.source}; messages take "
        f"{1e3 * dilation.latency_s:.3g} ms ({dilation.latency_source})"
    ]
    for speed in dilation.speeds:
        alone = (
            ""
            if speed.alone_flop_s is None
            else f", {speed.alone_flop_s / speed.together_flop_s - 1:+.1%} with the others asleep"
        )
        lines.append(f"  {speed.board}: {speed.together_flop_s / 1e9:.3g} Gflop/s on {speed.quota_cores:.3g} cores{alone}")
    return "\n".join(lines)


def down(overrides: Sequence[str]) -> None:
    """Take down one testbed, or all that are left over.

    Args:
        overrides: KEY=VALUE each; empty: all testbeds.

    Raises:
        UserError: A testbed is in use, after the others are down; or the user is not root.
    """
    names = [testbed_of(overrides)[0].name] if overrides else lifecycle.leftovers()
    if not names:
        print("no testbed is up")
    in_use = []
    for name in names:
        check_root(name)
        try:
            with Lock(name):
                print(f"{name}: {'taken down' if lifecycle.down(name) else 'was not up'}")
        except UserError as error:
            in_use.append(error)
    if in_use:
        raise in_use[0]


def status(overrides: Sequence[str]) -> None:
    """Show what is up, as the kernel says.

    Args:
        overrides: KEY=VALUE each; empty: all testbeds.
    """
    if overrides:
        name = testbed_of(overrides)[0].name
        testbeds = [testbed for testbed in [read_state(name, STATE)] if testbed is not None]
    else:
        testbeds = all_up(STATE)
    if not testbeds:
        print(f"{name} is not up" if overrides else "no testbed is up")
    for testbed in testbeds:
        show(testbed)


def show(testbed: Testbed) -> None:
    """The boards as the kernel has them now.

    Args:
        testbed: One that is up.
    """
    table = Table(title=f"{testbed.name} on {testbed.network}", title_justify="left")
    for name in ("board", "class", "address", "link"):
        table.add_column(name)
    for name in ("rate, Mbit/s", "quota, cores", "memory, MiB", "processes"):
        table.add_column(name, justify="right")
    for row in lifecycle.status(testbed):
        rate = "not limited" if row.rate_bit_s is None else f"{row.rate_bit_s / 1e6:g}"
        if testbed.factor is not None and row.rate_bit_s is not None:
            rate = f"{row.rate_bit_s / 1e6:.4g} (x {testbed.factor:.4g})"
        quota = "all" if row.quota_cores is None else f"{row.quota_cores:.3f}"
        memory = "not limited" if row.memory_bytes is None else f"{row.memory_bytes / MIB:.0f}"
        table.add_row(row.board, row.kind, row.address, row.link, rate, quota, memory, str(row.processes))
    Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else LONGEST_LINE).print(table)
