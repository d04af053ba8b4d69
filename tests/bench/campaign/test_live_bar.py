"""The bar is on a terminal alone; in a pipe there are plain lines, and none is lost on either."""

from __future__ import annotations

import io

from bench.campaign.progress_lines import Progress
from tests.points import make_point


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(out: io.StringIO) -> str:
    progress = Progress(2, out)
    for number, seconds in ((1, 12.0), (2, 11.0)):
        point = make_point(point=f"data-r{number}")
        progress.begins(number, point)
        progress.ended(number, point, "ok  40 samples/s  0.6 J/sample", seconds)
    progress.close()
    return out.getvalue()


def test_a_pipe_gets_plain_lines() -> None:
    lines = shown(io.StringIO()).splitlines()
    assert lines == [
        "[  1/2] data-r1  ok  40 samples/s  0.6 J/sample  left about 12 s",
        "[  2/2] data-r2  ok  40 samples/s  0.6 J/sample",
    ]


def test_a_terminal_gets_the_bar_and_the_lines() -> None:
    text = shown(Terminal())
    assert "[  1/2] data-r1  ok  40 samples/s  0.6 J/sample  left about 12 s\n" in text
    assert "[  2/2] data-r2  ok" in text
    assert "\x1b[" in text
    assert text.endswith("\n")  # the bar is taken away
