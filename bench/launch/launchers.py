"""Which program starts the ranks of a cluster, and which variables go to them by name alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from bench.common.user_error import UserError
from bench.config.point_cluster_config import PointCluster
from bench.launch.mpirun import Launcher, find_mpirun, launcher_for
from bench.launch.srun import Srun, find_srun


def find_launcher(cluster: PointCluster) -> str:
    """Look for the program that starts the ranks.

    Args:
        cluster: ``launcher`` and ``mpirun`` are read.

    Returns:
        Its path.

    Raises:
        UserError: It is missing.
    """
    if cluster.launcher == "srun":
        return find_srun()
    return find_mpirun(cluster.mpirun)


def launcher_of(cluster: PointCluster) -> Launcher:
    """The launcher of a cluster on this machine. Nothing is started but ``mpirun --version``.

    Args:
        cluster: ``launcher`` and ``mpirun`` are read.

    Returns:
        The launcher, with the path of its program.

    Raises:
        UserError: The program is missing or of an unknown dialect.
    """
    program = find_launcher(cluster)
    return Srun(program) if cluster.launcher == "srun" else launcher_for(program)


def forwarded(cluster: PointCluster, energy: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> list[str]:
    """Names of variables that go to all ranks without their values being written.

    They are those of ``cluster.forward``, the passwords and tokens of meters (``password_env``, ``token_env``) that are set
    here, and a transport of Open MPI (``OMPI_MCA_btl``) that is set here, which a word on mpirun's line would overrule.

    Args:
        cluster: Its ``forward`` has the names that were asked for.
        energy: The energy block of the configuration; its ``meters`` may have a ``password_env`` or ``token_env`` each.
        environ: The environment variables of this process.

    Returns:
        The names, sorted.

    Raises:
        UserError: A variable was asked for and is not set.
    """
    asked = list(cluster.forward)
    for name in asked:
        if name not in environ:
            raise UserError(f"cluster.forward names {name}, which is not set here; export {name}, or leave it out")
    meters = energy.get("meters", {})
    secrets = ("password_env", "token_env")
    named = [str(meter[key]) for meter in meters.values() for key in secrets if meter.get(key)]
    # A password may also be set on the one host that reads the meter: not having it here is no error.
    return sorted({*asked, *(name for name in (*named, "OMPI_MCA_btl") if name in environ)})
