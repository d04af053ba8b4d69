"""The command line of SLURM's own launcher, srun. Pure but for looking for the program."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import ClassVar

from bench.common.user_error import UserError
from bench.config.host_config import Host
from bench.launch.mpirun import Job, Launcher, check_emulates, check_survives, seats

CPU_BIND = {"none": "none", "core": "cores", "socket": "sockets"}


def find_srun() -> str:
    """The path of srun. Raises UserError where it is missing."""
    path = shutil.which("srun")
    if path is None:
        raise UserError("cluster.launcher=srun, but srun is not on PATH; start on a node of the allocation, or use mpirun")
    return path


class Srun(Launcher):
    """srun in an allocation: each rank's host by name, so that ranks fill the hosts as mpirun would. MPI must know PMIx."""

    name: ClassVar[str] = "SLURM srun"

    def hostfile(self, hosts: Sequence[Host]) -> str:
        """A line for each slot."""
        return "".join(f"{host.address}\n" for host in hosts for _ in range(host.slots))

    def command(self, job: Job) -> list[str]:
        """One step of the allocation, with every rank's host."""
        if job.agent:
            check_emulates(self)
        check_survives(self, job)
        self._check(job)
        seated = [host.address for host, ranks in seats(job, round_robin=job.oversubscribe) for _ in range(ranks)]
        threads = {host.threads for host in job.hosts}
        width = threads.pop() if len(threads) == 1 else None
        return [
            *(self.program, "--mpi=pmix", f"--ntasks={job.ranks}", "--distribution=arbitrary"),
            *(f"--nodelist={','.join(seated)}", f"--cpu-bind={CPU_BIND[job.bind]}"),
            # Since SLURM 22.05 steps do not inherit it.
            *([f"--cpus-per-task={width}"] if width else []),
            *(["--overcommit"] if job.oversubscribe else []),
            "--kill-on-bad-exit=1",
            self._exports(job),
            *self.worker(job, job.hosts[0].python),
        ]

    @staticmethod
    def _check(job: Job) -> None:
        if len({(host.python, tuple(host.env.items())) for host in job.hosts}) > 1:
            raise UserError("hosts with different python or env need mpirun; use cluster.launcher=mpirun, or make them equal")
        users = [host for host in job.hosts if host.user]
        if users:
            raise UserError(f"user={users[0].user} of {users[0].label} is for ssh, which srun does not use; leave it out")

    @staticmethod
    def _exports(job: Job) -> str:
        """One word. ALL: what modules have set, and the values of what is forwarded, which stand on no command line."""
        values = {**job.environment, **job.hosts[0].env}
        if job.interface:
            values["OMPI_MCA_btl_tcp_if_include"] = job.interface
        for name, value in values.items():
            if "," in value:
                raise UserError(
                    f"{name}={value} has a comma, which srun's --export cannot carry; export it and use cluster.forward"
                )
        return ",".join(["--export=ALL", *(f"{name}={value}" for name, value in values.items())])
