"""Running a campaign: resume, failures, limits, further repeats, Ctrl-C and full disks."""

from __future__ import annotations

import errno
import json
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean

from bench.campaign.adaptive_repeats import next_repeats, spread
from bench.campaign.campaign_settings import Settings
from bench.campaign.dilated_point import on_its_boards
from bench.campaign.duration_estimate import least_s, own_s
from bench.campaign.host_locks import Locks
from bench.campaign.live_bar import duration
from bench.campaign.next_point import NextPoint
from bench.campaign.point_history import History, headline, of_point, read_history, result_of
from bench.campaign.point_launch import launch, let_go
from bench.campaign.point_order import Config, expand, further, unique
from bench.campaign.progress_lines import Progress, names, show_log, summary
from bench.common.exit_codes import FAILED, INTERRUPTED, OK
from bench.common.median_interval import SMALLEST_N
from bench.common.user_error import UserError
from bench.config.point_config import PointIdle
from bench.emulation.lease import Lease
from bench.launch.supervised_process import sweep
from bench.record.record import MeasuredRecord, Record
from bench.record.study_folder import check_study, open_study

GOOD = ("ok", "oom")
FAILURES = ("failed", "timeout")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
FULL_IN_LOG = ("[Errno 28]", "No space left on device", "Disk quota exceeded", "[Errno 27]")


def run(points: Sequence[Config], repeats: Sequence[int], results: Path, seed: int, settings: Settings | None = None) -> int:
    """Run what is not finished.

    Args:
        points: Resolved points; the same configuration twice counts once.
        repeats: The number of repeats of each of ``points``.
        results: The folder of all studies.
        seed: Decides the order of points.
        settings: Those of the campaign; null: defaults.

    Returns:
        0 when every point is ok or shown to need more memory, 1 otherwise, 130 after Ctrl-C.

    Raises:
        UserError: For a study that cannot be continued, hosts that are in use, and a disk that takes no record.
    """
    return carry_out(Campaign(points, repeats, results, seed, settings or Settings()))


def carry_out(campaign: Campaign) -> int:
    """Run a campaign on its hosts, which are its own until it ends.

    Args:
        campaign: With the points that are known before the first one runs.

    Returns:
        The exit code, as of ``run``.

    Raises:
        UserError: As ``run``.
    """
    might_run = campaign.might_run()
    folders = {(point.study, point.experiment) for point in (*campaign.points.values(), *might_run)}
    for study, experiment in folders:
        check_study(campaign.results / study, experiment)
    with Lease([point.cluster for point in might_run]) as lease, Locks(might_run):
        with writing(campaign):
            for study, experiment in folders:
                planned = [point.point for point in campaign.base if point.study == study]
                open_study(campaign.results / study, study, experiment, planned)
        for point in campaign.base:
            _end_leftovers(point)
        try:
            return campaign.run(lease)
        finally:
            campaign.progress.close()
            campaign.next_point.drop()


class Campaign:
    """The state of a campaign: what is known of each point, what was tried, and why it stopped."""

    def __init__(self, points: Sequence[Config], repeats: Sequence[int], results: Path, seed: int, settings: Settings) -> None:
        self.settings, self.results, self.seed = settings, results, seed
        self.points = {code: point for code, (point, _) in unique(points, repeats).items()}
        self.counts = {code: count for code, (_, count) in unique(points, repeats).items()}
        self.base = expand(points, repeats, results, seed)
        adaptive = settings.max_repeats if settings.ci_target is not None else 0
        self.history: History = read_history(self.points.values(), max([adaptive, *self.counts.values()]), results)
        self.progress = Progress(len(self.base))
        self.statuses: list[str] = []
        self.not_run: list[str] = []
        self.tried: set[tuple[str, int]] = set()
        self.took_s: dict[str, list[float]] = {}
        self.stopped: str | None = None
        self.idle_record: Path | None = None
        self.next_point = NextPoint(self.base, settings.start_ahead)
        self.begun = time.monotonic()

    def might_run(self) -> list[Config]:
        """What needs its hosts: unfinished points, and those that may need further repeats."""
        unfinished = [point for point in self.base if not self._finished(point)]
        more = next_repeats(self.counts, self.history, self.tried, self.settings)
        return unfinished + [self.points[code] for code in more]

    def run(self, lease: Lease) -> int:
        """Run all points in their order.

        Args:
            lease: Brings emulated boards up before a point needs them.

        Returns:
            The exit code.

        Raises:
            UserError: The disk takes no record.
        """
        few = [count for count in self.counts.values() if count < SMALLEST_N]
        if self.settings.ci_target is not None and few:
            print(
                f"repeats={min(few)} give no 95 % interval, which needs {SMALLEST_N}: each point runs at least {SMALLEST_N} "
                f"and at most {self.settings.max_repeats} times for campaign.ci_target={self.settings.ci_target}",
                flush=True,
            )
        try:
            for number, point in enumerate(self.sequence(), 1):
                if self._finished(point):
                    known = self.history[point.hash, point.repeat]
                    self.progress.ended(number, point, f"finished before: {known.text}", None)
                    self.statuses.append(known.status)
                    continue
                self.stopped = self.stopped or self._out_of_time(point)
                if self.stopped:
                    self.not_run.append(point.point)
                elif self._one(number, point, lease) == "interrupted":
                    return self._end(INTERRUPTED)
        except KeyboardInterrupt:  # between two points, or a second one
            return self._end(INTERRUPTED)
        good = all(status in GOOD for status in self.statuses) and not self.not_run and not self.stopped
        return self._end(OK if good else FAILED)

    def sequence(self) -> Iterator[Config]:
        """The repeats that were asked for, then blocks of those whose target is not reached; decided as records come in."""
        yield from self.base
        block = 0
        while not self.stopped:
            more = next_repeats(self.counts, self.history, self.tried, self.settings)
            if not more:
                return
            points = further(self.points, more, self.results, self.seed, block, self.progress.total)
            self.progress.total += len(points)
            block += 1
            yield from points

    def _one(self, number: int, point: Config, lease: Lease) -> str:
        """Run one point and take in its record; how it ended."""
        folder = point.folder
        self.progress.begins(number, point)
        started = time.monotonic()
        self.tried.add((point.hash, point.repeat))
        try:
            ready = on_its_boards(point, lease)
            with writing(self, point.point):
                record = self._launched(self._with_idle(ready))
        except KeyboardInterrupt:  # the second, while launch() was ending the job for the first
            with _unhurried():
                _kill(folder)
            raise
        seconds = time.monotonic() - started
        result = result_of(record)
        self.history[point.hash, point.repeat] = result
        self.took_s.setdefault(point.hash, []).append(seconds)
        self.statuses.append(result.status)
        if isinstance(record, MeasuredRecord) and result.status == "ok" and record.energy.idle.seconds:
            self.idle_record = folder / "result.json"
        self.progress.ended(number, point, headline(record) + self._spread(point), seconds)
        show_log(record, folder)
        if result.status in FAILURES:
            if any(word in line for line in record.log_tail or () for word in FULL_IN_LOG):
                raise self._full(point.point, "No space left on device")
            if self.settings.fail_fast:
                self.stopped = f"campaign.fail_fast, after {point.point}"
        return result.status

    def _launched(self, point: Config) -> Record:
        held = self.next_point.take(point) if self.next_point.wanted else None
        if held is None:
            return launch(point)
        return let_go(held, point, lambda: self.next_point.start_after(point, self._due))

    def _due(self, point: Config) -> bool:
        return not self._finished(point) and (point.hash, point.repeat) not in self.tried

    def _with_idle(self, point: Config) -> Config:
        """The point with the record whose idle power it may reuse: the newest of this campaign that measured its own."""
        age_s = self.settings.idle_max_age_s
        if age_s is None or self.idle_record is None:
            return point
        return replace(point, idle_from=PointIdle(str(self.idle_record.absolute()), age_s))

    def _finished(self, point: Config) -> bool:
        known = self.history.get((point.hash, point.repeat))
        return known is not None and known.finished

    def _spread(self, point: Config) -> str:
        if self.settings.ci_target is None:
            return ""
        return f"  {spread(list(of_point(self.history, point.hash).values()), self.settings.target)}"

    def _out_of_time(self, point: Config) -> str | None:
        """Why the point is not begun: by the mean of its own repeats, else of all that ran, it would not end in time.

        Where nothing has run yet, its settings say what it takes at least. Nothing shorter is tried instead: then late
        blocks would have only the quick points.
        """
        limit = self.settings.time_limit_s
        if limit is None:
            return None
        ran = self.took_s.get(point.hash) or []
        expected = mean(ran) if ran else own_s(point, self.history)
        if expected is None:
            expected = mean(self.progress.ran_s) if self.progress.ran_s else least_s(point)
        left = limit - (time.monotonic() - self.begun)
        if expected <= left:
            return None
        return f"campaign.time_limit_s={limit:g}: {duration(max(left, 0))} were left, {point.point} takes {duration(expected)}"

    def _end(self, code: int) -> int:
        """Print what was not run, what did not reach its target, and the summary."""
        self.progress.close()
        if self.not_run:
            print(f"not run ({self.stopped}): {names(self.not_run)}. The same command goes on from here")
        if self.settings.ci_target is not None:
            for code_of, point in self.points.items():
                precision = spread(list(of_point(self.history, code_of).values()), self.settings.target)
                if not precision.reached(self.settings.ci_target):
                    name = point.point.replace("-r0-", "-")
                    print(f"target of ±{100 * self.settings.ci_target:g} % not reached: {name}  {precision}")
        for line in self.closing_lines():
            print(line)
        where = sorted({str(self.results / point.study) for point in self.points.values()})
        print(summary(self.statuses, self.progress.total, where), flush=True)
        return code

    def closing_lines(self) -> list[str]:
        """What there is to say of all points together, before the summary."""
        return []

    def _full(self, name: str | None, why: str) -> UserError:
        """A disk that takes no record; ``name`` is the point that has none."""
        done = sum(map(self._finished, self.base))
        lost = f", so {name} has no record" if name else ""
        return UserError(
            f"{self.results} cannot be written ({why}){lost}; {done} of {self.progress.total} points are finished and stay so: "
            "make room and start the same command again"
        )


@contextmanager
def writing(campaign: Campaign, name: str | None = None) -> Iterator[None]:
    """Turn what a full or failing disk says into one line.

    Args:
        campaign: Says how many points are finished.
        name: The point that is being written; null: the study's own files.

    Yields:
        Nothing; inside, files of the study are written.

    Raises:
        UserError: The disk takes no more.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise campaign._full(name, error.strerror or str(error)) from None


def _end_leftovers(point: Config) -> None:
    """End what a campaign that was killed has left running of a point: it would be measured with the next ones."""
    folder = point.folder
    if not (folder / "result.json").exists():
        _kill(folder)


def _kill(folder: Path) -> None:
    """Kill all processes of the run in ``folder``, its mpirun too."""
    try:
        run_id = json.loads((folder / "config.json").read_text())["run_id"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # it was never started
    sweep(str(run_id))


@contextmanager
def _unhurried() -> Iterator[None]:
    """A third Ctrl-C does not stop the killing half-way."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
