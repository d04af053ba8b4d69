"""The speed of a cluster's hosts and links, as ``python -m bench.planner profile`` measured it: a JSON file."""

from __future__ import annotations

import bisect
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from bench.common.user_error import UserError
from bench.config.config_json import to_json
from bench.config.point_config import PointConfig
from bench.config.testbed_config import Board
from strategies.plan.traffic import wire_bytes

SCHEMA = "edgejoule.profile/1"
PARTS = ("embed", "block", "head")
Part = Literal["embed", "block", "head"]
PROFILE_COMMAND = "python -m bench.planner profile"


@dataclass(frozen=True)
class Curve:
    """Seconds of a forward and of a backward of ``part``, cut for 1/``tensor`` of its heads and columns, by samples."""

    part: Part
    tensor: int
    samples: tuple[int, ...]
    forward_s: tuple[float, ...]
    backward_s: tuple[float, ...]

    def at(self, samples: float, forward: bool) -> float:
        """Linear between what was measured, in proportion below it, on along the last two above it.

        Args:
            samples: How many samples, also parts of one.
            forward: Whether of the forward, else of the backward.

        Returns:
            Seconds.
        """
        seconds = self.forward_s if forward else self.backward_s
        if samples < self.samples[0] or len(self.samples) == 1:
            return seconds[0] * samples / self.samples[0]
        if samples > self.samples[-1]:
            (a, b), (s, t) = self.samples[-2:], seconds[-2:]
            return max(t, t + (samples - b) * (t - s) / (b - a))
        return between(samples, self.samples, seconds)


@dataclass(frozen=True)
class HostProfile:
    """One host as one of its ranks finds it while all others work too.

    ``cores`` are those that the board has (an emulated one: its quota), ``busy_cores`` what a rank uses while it computes (on a
    GPU: its slot's part of all), and ``waiting_cores`` while it waits, by ``comm.wait``; ``optimizer_s`` is of one element, by
    optimizer. ``watts`` are those of the board's class, idle_W and busy_W with its model's exponent, empty where it has none.
    ``memory_bytes`` is None where it is not known; ``baseline_bytes`` of it are a rank's before it holds a model.
    """

    host: str
    board: str
    slots: int
    threads: int
    cores: float
    busy_cores: float
    waiting_cores: Mapping[str, float]
    optimizer_s: Mapping[str, float]
    curves: tuple[Curve, ...]
    watts: Mapping[str, float]
    memory_bytes: int | None
    baseline_bytes: int

    @cached_property
    def _by_part(self) -> dict[str, list[Curve]]:
        """The curves of each part, from the smallest share of its heads to all."""
        return {part: sorted((c for c in self.curves if c.part == part), key=lambda c: -c.tensor) for part in PARTS}

    def seconds(self, part: Part, samples: float, share: float, forward: bool) -> float:
        """Seconds of one part of the model.

        Linear between the shares that were measured; below the smallest in proportion to it.

        Args:
            part: ``embed``, ``block`` or ``head``.
            samples: How many samples; parts of one count as such.
            share: Share of the part's heads and columns, above 0 and at most 1.
            forward: Whether of the forward, else of the backward.

        Returns:
            Seconds.
        """
        curves = self._by_part[part]
        if share <= 1 / curves[0].tensor:
            return curves[0].at(samples, forward) * share * curves[0].tensor
        return between(share, [1 / c.tensor for c in curves], [c.at(samples, forward) for c in curves])


@dataclass(frozen=True)
class LinkProfile:
    """Between two hosts (or two ranks of one): seconds one way, bits per second in each direction, one message at a time."""

    one: str
    other: str
    latency_s: float
    there_bit_s: float
    back_bit_s: float


@dataclass(frozen=True)
class Profile:
    """A measured cluster; ``about`` says what was profiled (``subject``) and by which code.

    ``all_reduce`` has (bytes, seconds) over all ranks, by ``comm.all_reduce``; ``ranks`` is how many those were.
    """

    about: Mapping[str, Any]
    hosts: tuple[HostProfile, ...]
    links: tuple[LinkProfile, ...]
    ranks: int
    all_reduce: Mapping[str, Sequence[tuple[int, float]]]

    def host(self, label: str) -> HostProfile:
        """One host's profile.

        Args:
            label: The host's name.

        Returns:
            What was measured on it.
        """
        return self._hosts[label]

    @cached_property
    def _hosts(self) -> dict[str, HostProfile]:
        return {host.host: host for host in self.hosts}

    @cached_property
    def _links(self) -> dict[tuple[str, str], tuple[float, float]]:
        """Latency (s) and rate (byte/s) from one host to another; the slower of several pairs of the same hosts."""
        by_pair: dict[tuple[str, str], tuple[float, float]] = {}
        for link in self.links:
            for pair, rate in (((link.one, link.other), link.there_bit_s), ((link.other, link.one), link.back_bit_s)):
                old = by_pair.get(pair, (0.0, float("inf")))
                by_pair[pair] = max(old[0], link.latency_s), min(old[1], rate / 8)
        return by_pair

    def link(self, one: str, other: str) -> tuple[float, float]:
        """The link from one host to another.

        Args:
            one: Name of the sender.
            other: Name of the receiver; the same host for two of its ranks.

        Returns:
            Latency, s, and rate, byte/s.

        Raises:
            UserError: It was not measured.
        """
        if (one, other) not in self._links:
            between = f"between the ranks of {one}" if one == other else f"from {one} to {other}"
            raise UserError(f"the profile has no link {between}; measure it: {PROFILE_COMMAND}")
        return self._links[one, other]

    def ring(self, labels: Sequence[str]) -> tuple[float, float]:
        """The slowest properties of the links of a ring.

        Args:
            labels: The hosts along the ring, one for each rank.

        Returns:
            The largest latency, s, and the smallest rate, byte/s.

        Raises:
            UserError: A link was not measured.
        """
        hops = [self.link(one, other) for one, other in zip(labels, [*labels[1:], labels[0]], strict=True)]
        return max(latency for latency, _ in hops), min(rate for _, rate in hops)

    def factor(self, algorithm: str, payload_bytes: float) -> float:
        """How much longer an all-reduce over all ranks took than ``all_reduce_s`` says.

        Args:
            algorithm: As ``comm.all_reduce`` names it.
            payload_bytes: Size of the reduced data.

        Returns:
            The factor, between the nearest sizes; 1 where the algorithm was not measured.
        """
        if algorithm not in self._factors:
            return 1.0
        return between(math.log(max(payload_bytes, 1.0)), *self._factors[algorithm])

    @cached_property
    def _factors(self) -> dict[str, tuple[list[float], list[float]]]:
        """By algorithm: logarithms of the bytes, and the factor at each."""
        if not self.all_reduce:
            return {}
        latency_s, rate = self.ring([host.host for host in self.hosts for _ in range(host.slots)][: self.ranks])
        return {
            name: (
                [math.log(size) for size, _ in table],
                [took_s / all_reduce_s(name, size, self.ranks, latency_s, rate) for size, took_s in table],
            )
            for name, table in self.all_reduce.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """The profile as its file has it."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Profile:
        """The profile that ``to_dict`` wrote.

        Args:
            values: The file's JSON object.

        Returns:
            The profile.

        Raises:
            KeyError: A key is missing.
            TypeError: A value has another type, or a host or link has an unknown key.
            ValueError: A list has another length.
        """
        hosts = [
            HostProfile(
                **{
                    **host,
                    "curves": tuple(
                        Curve(c["part"], c["tensor"], *(tuple(c[key]) for key in ("samples", "forward_s", "backward_s")))
                        for c in host["curves"]
                    ),
                }
            )
            for host in values["hosts"]
        ]
        return cls(
            values["about"],
            tuple(hosts),
            tuple(LinkProfile(**link) for link in values["links"]),
            values["ranks"],
            {name: [(int(size), float(took_s)) for size, took_s in table] for name, table in values["all_reduce"].items()},
        )


def between(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """Linear interpolation; beyond the ends the value there.

    Args:
        x: Where.
        xs: Places of the points, rising.
        ys: Their values, as many.

    Returns:
        The value at ``x``.
    """
    if x <= xs[0]:
        return ys[0]
    if x >= xs[-1]:
        return ys[-1]
    right = bisect.bisect_right(xs, x)
    share = (x - xs[right - 1]) / (xs[right] - xs[right - 1])
    return ys[right - 1] + share * (ys[right] - ys[right - 1])


def all_reduce_s(algorithm: str, payload_bytes: float, ranks: int, latency_s: float, rate_byte_s: float) -> float:
    """Seconds of an all-reduce by the formulas of ``strategies/comm/all_reduce_algorithms.py``.

    Args:
        algorithm: ``ring`` or ``recursive_doubling``; any other, such as ``mpi``, whose choice is not known, is as the faster.
        payload_bytes: Size of the reduced data.
        ranks: How many take part.
        latency_s: Time of an empty message, s.
        rate_byte_s: Rate of the slowest link, byte/s.

    Returns:
        Seconds.
    """
    ring = 2 * (ranks - 1) * latency_s + wire_bytes("all_reduce", payload_bytes, ranks) / rate_byte_s
    doubling = (ranks - 1).bit_length() * (latency_s + payload_bytes / rate_byte_s)
    return {"ring": ring, "recursive_doubling": doubling}.get(algorithm, min(ring, doubling))


def subject(point: PointConfig) -> dict[str, Any]:
    """The properties that a profile of a point's cluster speaks of: with another one it says nothing of the point.

    Args:
        point: The point.

    Returns:
        Cluster, model, length, number format, device, threads, links and power mode, as JSON.
    """
    return {
        "cluster": point.cluster.name,
        "model": point.model.spec.to_dict(),
        "seq": point.train.seq,
        "dtype": point.train.dtype,
        "device": point.device,
        "threads": point.threads,
        "links": {name: asdict(board.link) for name, board in emulated_boards(point).items()},
        "power_mode": to_json(point.board.power_mode),
    }


def emulated_boards(point: PointConfig) -> dict[str, Board]:
    """The emulated boards of a point's cluster.

    Args:
        point: The point.

    Returns:
        The boards by name; empty where the hosts are real.
    """
    testbed = point.cluster.emulated
    return {} if testbed is None else {board.name: board for board in testbed.boards}


def own_path(point: PointConfig) -> Path:
    """The file of a point's profile under ``planner.profile=auto``.

    Args:
        point: The point.

    Returns:
        ``profiles/CLUSTER-MODEL-TASK-SEQ.json``, relative to the working folder.
    """
    names = (point.cluster.name, point.model.name, point.task.name, point.train.seq)
    return Path("profiles") / f"{'-'.join(map(str, names))}.json"


def load(path: Path, point: PointConfig) -> Profile:
    """Read a profile that must speak of a point.

    Args:
        path: The profile's file.
        point: The point that is to be predicted.

    Returns:
        The profile, checked.

    Raises:
        UserError: The file is unreadable or no profile, or it has another subject or other hosts; one line.
    """
    try:
        values = json.loads(path.read_text())
    except OSError as error:
        raise UserError(
            f"planner.profile={path} cannot be read ({error.strerror or error}); make one: {PROFILE_COMMAND}"
        ) from None
    except ValueError:
        values = None
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        schema = values.get("schema", "no schema") if isinstance(values, dict) else "not JSON"
        raise UserError(f"planner.profile={path} is no {SCHEMA} ({schema}); make one: {PROFILE_COMMAND}")
    try:
        profile = Profile.from_dict(values)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"planner.profile={path} is incomplete ({type(error).__name__}: {error}); make it again: {PROFILE_COMMAND}"
        ) from None
    check(profile, point, path)
    return profile


def check(profile: Profile, point: PointConfig, path: Path) -> None:
    """Check that a profile speaks of a point.

    Args:
        profile: The profile.
        point: The point that is to be predicted.
        path: The profile's file, for messages.

    Raises:
        UserError: It has another subject or other hosts.
    """
    expected = subject(point)
    for key, value in expected.items():
        profiled = profile.about["subject"].get(key)
        if profiled != value:
            raise UserError(
                f"planner.profile={path} is of {key}={short(profiled)}, and the point has {short(value)}; make one for "
                f"it: {PROFILE_COMMAND}"
            )
    known = {host.host: (host.board, host.slots) for host in profile.hosts}
    for host in point.cluster.hosts:
        if known.get(host.label) != (host.board, host.slots):
            if host.label not in known:
                raise UserError(f"planner.profile={path} has no host {host.label}; make one for it: {PROFILE_COMMAND}")
            board, slots = known[host.label]
            raise UserError(
                f"planner.profile={path} has {host.label} as {board} with {slots} slots, and the point as {host.board} with "
                f"{host.slots}; make one for it: {PROFILE_COMMAND}"
            )


def short(value: Any) -> str:
    """A value of the subject as a message can show it.

    Args:
        value: Any JSON value; of an object with a ``name`` that counts.

    Returns:
        At most 80 characters.
    """
    name = value.get("name") if isinstance(value, dict) else None
    text = str(name or value)
    return text if len(text) <= 80 else text[:77] + "..."
