"""T3: every strategy on every mesh computes what one process computes, and moves exactly the planned bytes."""

from __future__ import annotations

import pytest
from cases import MODELS, Case, cases, reference, train, worst_error
from mpi4py import MPI

# fp64 rounding of these models is about 1e-14; a wrong reduction shows at 1e-3 and more (see test_faults.py).
TOLERANCE = 1e-9


def pairs() -> list[tuple[Case, str]]:
    """Every case with every model; one with a single key/value head only where heads are dealt out."""
    found = [(case, family) for case in cases(MPI.COMM_WORLD.Get_size()) for family in MODELS]
    return [(case, family) for case, family in found if family != "multi-query" or case.mesh.tensor * case.mesh.sequence > 1]


@pytest.mark.parametrize(("case", "family"), pairs(), ids=str)
def test_equals_one_process(case: Case, family: str, comm: MPI.Comm) -> None:
    spec = MODELS[family]
    expected = reference(spec)
    within = comm if case.mesh.size > 1 else MPI.COMM_SELF
    found = train(case, spec, within)
    assert found.losses == pytest.approx(expected.losses, rel=TOLERANCE)
    assert found.measured == found.predicted
    if within.Get_rank():
        return
    assert len(expected.gradients) == len(expected.weights) > 30
    learnt = [name for name in expected.gradients if not name.endswith("attn.k.bias")]
    assert min(float(expected.gradients[name].norm()) for name in learnt) > 1e-6
    assert worst_error(found.gradients, expected.gradients) < (TOLERANCE, "")
    assert worst_error(found.weights, expected.weights) < (TOLERANCE, "")
