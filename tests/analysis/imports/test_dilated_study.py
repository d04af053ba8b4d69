"""A meter's log beside records of dilated boards: their seconds are not the meter's."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.common.user_error import UserError
from tests.analysis.imports.logged_studies import BOTH, constant, point, run, write_csv, write_study
from tests.analysis.statistics.test_dilation_doubt import DILATION


def test_dilated_boards_have_no_meter(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", [{**point(), "dilation": DILATION}])
    log = write_csv(tmp_path / "log.csv", {"a": constant, "b": constant})
    with pytest.raises(UserError, match="its boards are emulated and their time dilated, so no meter") as error:
        run(log, study, tmp_path / "new", *BOTH)
    assert "\n" not in str(error.value)
