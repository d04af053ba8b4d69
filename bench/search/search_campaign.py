"""A campaign whose next point follows from those before it (``docs/how-to/search.md``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.campaign.campaign_loop import Campaign, writing
from bench.campaign.campaign_settings import Settings
from bench.campaign.point_history import of_point, read_history
from bench.campaign.point_order import Config, further
from bench.common.user_error import UserError
from bench.point.resolved_point import named
from bench.record.record_file import load_record
from bench.record.study_folder import SEARCH_FILE, open_study
from bench.search.choice_log import ChoiceLog, LoggedChoice, LoggedKey, LoggedRepeat, read_choices
from bench.search.next_choice import Choice, next_choice
from bench.search.objectives import UNITS, of_repeats
from bench.search.optuna_sampler import Told
from bench.search.pareto_front import Objectives, front, medians, near_front
from bench.search.search_space import Candidate, Space

MOST_REFUSED = 200
"""Combinations in a row that cannot run; then the search ends, for it would compose for ever."""
NOT_RETRIED = ("failed", "timeout", "invalid")
BEFORE = "ran before this search"


@dataclass(frozen=True)
class Combination:
    """What some words make: a resolved point, or null with the reason why it cannot run."""

    point: Config | None
    why: str = ""


Compose = Callable[[Sequence[str]], Combination]


class SearchCampaign(Campaign):
    """The state of a search: which combinations were asked for, and what their points came to.

    ``machines`` are points that need, together, every host that the search may use. ``compose`` makes a point of words.
    """

    def __init__(
        self,
        space: Space,
        compose: Compose,
        machines: Sequence[Config],
        start: Sequence[Choice],
        results: Path,
        seed: int,
        settings: Settings,
        repeats: int,
    ) -> None:
        super().__init__([], [], results, seed, settings)
        self.space, self.compose, self.machines, self.start = space, compose, list(machines), start
        self.budget, self.repeats = settings.search.budget or 0, repeats
        self.code_of: dict[Candidate, str | None] = {}
        self.left_out = 0
        self.log = self._earlier_log()
        self.history = read_history(self.points.values(), repeats, results)
        self.base = self._known()
        self.progress.total = max(len(self.base), min(self.budget, space.size or self.budget))

    @property
    def folder(self) -> Path:
        """That of the study."""
        return self.results / self.machines[0].study

    def might_run(self) -> list[Config]:
        """The hosts' points, unless all that was asked for is there."""
        done = len(self.points) >= self.budget and all(map(self._finished, self.base))
        return [] if done and not self._more()[0] else self.machines

    def sequence(self) -> Iterator[Config]:
        """Points of earlier starts, then one choice after the other, then repeats of what may be on the front."""
        if self.left_out:
            print(f"{self.left_out} combinations of {self.folder / SEARCH_FILE} are none of these keys' values: not counted")
        self.log.write(self.folder)
        yield from self.base
        refused = 0
        while not self.stopped and len(self.points) < self.budget and refused < MOST_REFUSED:
            choice = next_choice(self.space, self.start, self.told(), self.log.sampler, len(self.log.objectives), self.seed)
            if choice is None:
                break
            point = self._take(choice)
            refused = refused + 1 if self.code_of[choice.candidate] is None else 0
            if point is not None:
                yield point
                self._check_kinds()
        if not self.points and not self.stopped:
            why = next((one.refused for one in self.log.choices if one.refused), "no combination is left")
            raise UserError(f"campaign.search finds no combination that can run; the first cannot because {why}")
        yield from self._further_repeats()

    def told(self) -> list[Told]:
        """What is known of each combination, in the order in which they were asked for."""
        points = self.objectives()
        return [Told(one, medians(points[code]) if code in points else None) for one, code in self.code_of.items()]

    def objectives(self) -> dict[str, list[Objectives]]:
        """By hash the objectives of all repeats that are ok, of those configurations that have any."""
        each = {code: of_repeats(of_point(self.history, code).values(), self.log.objectives) for code in self.points}
        return {code: repeats for code, repeats in each.items() if repeats}

    def closing_lines(self) -> list[str]:
        """The front, and what was not tried. Writes both into the choice log."""
        points = self.objectives()
        best = front({code: medians(repeats) for code, repeats in points.items()})
        ran = sum(bool(of_point(self.history, code)) for code in self.points)
        self.log = replace(self.log, front=[self.points[code].point for code in best], tried=ran)
        with writing(self):
            self.log.write(self.folder)
        return [self._verdict(len(best), ran, ran - len(points)), *(f"  {self._shown(code, points[code])}" for code in best)]

    def _verdict(self, best: int, ran: int, without: int) -> str:
        """How much of the space the front is from."""
        refused = sum(code is None for code in self.code_of.values())
        parts = [f"front: {best} of {ran} configurations that ran"]
        parts += [f"{without} without a valid result"] if without else []
        parts += [f"{refused} combinations cannot run"] if refused else []
        parts += [] if self.space.size is None else [f"{self.space.size - len(self.code_of)} not tried"]
        return f"{', '.join(parts)} (campaign.search.budget={self.budget})"

    def _shown(self, code: str, repeats: Sequence[Objectives]) -> str:
        """A point of the front in one line: its objectives, how often it ran, and its words."""
        kinds = {one.kind for one in of_point(self.history, code).values() if one.status == "ok"} - {"none"}
        modelled = {"sample_J": f" ({', '.join(sorted(kinds))})"}
        values = [
            f"{value:.4g} {UNITS[name]}{modelled.get(name, '')}"
            for value, name in zip(medians(repeats), self.log.objectives, strict=True)
        ]
        candidate = next(one for one, known in self.code_of.items() if known == code)
        words = [f"{key}={text}" for key, text in self.space.values(candidate).items()]
        return f"{'  '.join(values)}  n={len(repeats)}  {' '.join(words)}"

    def _check_kinds(self) -> None:
        """Raise UserError where some joules are measured and others modelled: no front has both."""
        kinds = {result.kind: code for (code, _), result in self.history.items() if result.status == "ok"}
        if len(kinds) > 1 and "sample_J" in self.log.objectives:
            each = " and ".join(f"{kind} ({self.points[code].point})" for kind, code in sorted(kinds.items()))
            raise UserError(f"joules are {each}; a front over both compares nothing: give energy=modelled, or other keys")

    # what was before

    def _earlier_log(self) -> ChoiceLog:
        """The log of this start, with the choices of earlier ones that are of this space, and other points that ran."""
        search = self.settings.search
        choices, repeats = read_choices(self.folder)
        log = ChoiceLog(
            sampler=search.sampler,
            budget=self.budget,
            seed=self.seed,
            objectives=list(search.objectives),
            keys=[LoggedKey(one.keys, one.levels, one.low, one.high, one.log) for one in self.space.dimensions],
            combinations=self.space.size,
            repeats=tuple(repeats),
        )
        for one in choices:
            candidate = self.space.candidate_of([f"{key}={text}" for key, text in one.values.items()])
            logged = None if candidate is None else self._logged(Choice(candidate, one.why), one.hash)
            self.left_out += logged is None
            log = log.chosen(logged) if logged else log
        for candidate, code in self._recorded():
            if candidate not in self.code_of:
                logged = self._logged(Choice(candidate, BEFORE), code)
                log = log.chosen(logged) if logged else log
        return log

    def _recorded(self) -> list[tuple[Candidate, str]]:
        """Combinations of this space that records of the study say they were made from, with the hashes of their points."""
        candidates = []
        for path in sorted(self.folder.glob("*-r0-*/result.json")):
            try:
                record = load_record(path)
            except UserError:
                continue
            candidate = self.space.candidate_of(record.environment.overrides or ())
            candidates += [] if candidate is None else [(candidate, record.point.hash)]
        return candidates

    def _logged(self, choice: Choice, expected: str | None = None) -> LoggedChoice | None:
        """Take a combination in: compose its point, and say what becomes of it.

        Null where it makes another point than the one that was ``expected``: what is the same for all has changed since.
        """
        made = self.compose(self.space.words(choice.candidate))
        values = self.space.values(choice.candidate)
        if expected is not None and (made.point is None or made.point.hash != expected):
            return None
        if made.point is None:
            self.code_of[choice.candidate] = None
            return LoggedChoice(values, choice.why, refused=made.why)
        point = named(made.point, self.results, 0)
        self.code_of[choice.candidate] = point.hash
        self.points.setdefault(point.hash, point)
        self.counts.setdefault(point.hash, 1)
        return LoggedChoice(values, choice.why, point.point, point.hash)

    def _known(self) -> list[Config]:
        """The first repeats of configurations of earlier starts, but for those that failed and are not tried again."""
        points: list[Config] = []
        for code, point in self.points.items():
            result = self.history.get((code, 0))
            if result is not None and result.status in NOT_RETRIED and not self.settings.search.retry_failed:
                print(f"{point.point} {result.text}: not tried again without campaign.search.retry_failed=true")
                self.statuses.append(result.status)
                continue
            points.append(replace(point, order=len(points)))
        return points

    # what comes next

    def _take(self, choice: Choice) -> Config | None:
        """Write a choice down; its point, or null where it cannot run or is the same point as another one's."""
        before = set(self.points)
        logged = self._logged(choice)
        assert logged is not None
        code = logged.hash
        if code in before:
            logged = replace(logged, why=f"{logged.why}; the same point as another combination")
        self.log = self.log.chosen(logged)
        with writing(self):
            self.log.write(self.folder)
            if code is None or code in before:
                return None
            point = replace(self.points[code], order=len(before))
            self.points[code] = point
            open_study(self.folder, point.study, point.experiment, [point.point])
        self.history |= read_history([point], self.repeats, self.results)
        return point

    def _more(self) -> tuple[dict[str, int], Mapping[str, str]]:
        """By hash the next repeat of what may be on the front, and why it may be."""
        near = near_front(self.objectives())
        following = {}
        for code in near:
            results = of_point(self.history, code)
            finished = {repeat for repeat, result in results.items() if result.finished}
            left = [one for one in range(1, self.repeats) if one not in finished and (code, one) not in self.tried]
            if left:
                following[code] = left[0]
        return following, near

    def _further_repeats(self) -> Iterator[Config]:
        """Blocks of repeats, each of what may still be on the front."""
        block = 0
        while not self.stopped:
            more, near = self._more()
            if not more:
                return
            points = further(self.points, more, self.results, self.seed, block, self.progress.total)
            self.progress.total += len(points)
            block += 1
            noted = tuple(LoggedRepeat(point.point, self._in_names(near[point.hash])) for point in points)
            self.log = replace(self.log, repeats=(*self.log.repeats, *noted))
            with writing(self):
                self.log.write(self.folder)
                open_study(self.folder, points[0].study, points[0].experiment, [point.point for point in points])
            yield from points

    def _in_names(self, why: str) -> str:
        code = why.split(" ", 1)[0]
        return why.replace(code, self.points[code].point, 1) if code in self.points else why
