"""The third count of bytes: what the plan says must be what the kernel sends, not only what our ledger writes down."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests import mpirun

pytestmark = pytest.mark.machine

# Headers of TCP and MPI, acknowledgements, barriers: measured 0.1 to 0.8 %.
TOLERANCE = 0.02
# A network of their own, where nobody else's packets are counted (root only).
APART = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
OVER_TCP = {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "tcp,self", "OMPI_MCA_btl_tcp_if_include": "lo"}


def apart() -> tuple[str, ...]:
    """``APART`` where that is allowed, else nothing: then a busy loopback interface can fail the test."""
    try:
        possible = subprocess.run([*APART, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        possible = False
    return APART if possible else ()


@pytest.mark.skipif(not Path("/proc/net/dev").exists(), reason="this kernel does not count the bytes of its interfaces")
@pytest.mark.parametrize("ranks", [2, 3])
def test_kernel_counts_what_the_plan_predicts(ranks: int) -> None:
    """Over TCP on loopback, for every operation that the strategies use; three ranks make parts uneven."""
    done = mpirun.run(ranks, "tests.mpi.kernel_bytes", prefix=apart(), **OVER_TCP)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("[")))
    assert len(found) >= 9
    for case in found:
        assert case["counted"] == pytest.approx(case["predicted"], rel=TOLERANCE), case
