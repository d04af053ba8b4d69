"""What a record says of neighbours on one machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.record.dilation_checks import neighbours
from bench.record.dilation_record import DilationRecord
from tests.analysis.statistics.test_dilation_doubt import DILATION


@pytest.mark.parametrize(
    ("disturbance", "status"), [(0.0, "passed"), (0.03, "passed"), (0.031, "warned"), (1.4, "warned"), (-0.04, "warned")]
)
def test_more_than_three_per_cent_is_said(disturbance: float, status: str) -> None:
    (check,) = neighbours(replace(DilationRecord.from_dict(DILATION), disturbance=disturbance))
    assert check.status == status
    assert f"{100 * disturbance:.1f} % faster alone" in check.detail


def test_nothing_is_said_of_what_was_not_measured() -> None:
    assert neighbours(None) == []
    assert neighbours(replace(DilationRecord.from_dict(DILATION), disturbance=None)) == []
