"""The record's ``environment``: code, machines and ranks, and the command that started the point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from bench.record.block import Block, Entry, OpenBlock
from bench.record.host_state_record import HostStateRecord


@dataclass(frozen=True, kw_only=True)
class ControlRecord(Block):
    """One control of a host that was set."""

    control: Annotated[str, Entry("name of the control")]
    value: Annotated[int | float | str | bool, Entry("value that was set")]
    before: Annotated[Any, Entry("value before")]


@dataclass(frozen=True, kw_only=True)
class PowerModeRecord(Block):
    """The power mode that was set on a host."""

    power_mode: Annotated[str | None, Entry("name of the mode; null: none was asked for")]
    emulated: Annotated[bool, Entry("whether the board is emulated")]
    set: Annotated[Sequence[ControlRecord], Entry("controls that were set")]
    recovered: Annotated[str | None, Entry("state of an earlier, killed run that was restored first; null: none")]
    restored: Annotated[bool | None, Entry("whether everything is as it was before; null: not known")]
    problem: Annotated[str | None, Entry("what could not be restored; null: nothing")]


@dataclass(frozen=True, kw_only=True)
class HostRecord(OpenBlock):
    """One machine."""

    boot_id: Annotated[str | None, Entry("identity of the machine until its next boot", or_null=True)] = None
    machine: Annotated[str | None, Entry("architecture of the processor")] = None
    kernel: Annotated[str | None, Entry("release of the kernel")] = None
    cpu: Annotated[str | None, Entry("model of the processor or board", or_null=True)] = None
    cores: Annotated[int | None, Entry("logical cores", "1", or_null=True)] = None
    memory_bytes: Annotated[int | None, Entry("memory", "B", or_null=True)] = None
    governor: Annotated[str | None, Entry("frequency governor of the first core", or_null=True)] = None
    frequency_Hz: Annotated[float | None, Entry("frequency of the first core at the start", "Hz", or_null=True)] = None
    temperature_C: Annotated[float | None, Entry("hottest zone at the start", "C", or_null=True)] = None
    throttled: Annotated[bool | None, Entry("whether something slowed it down at the start", or_null=True)] = None
    load_1min: Annotated[float | None, Entry("load average of the last minute at the start", "1", or_null=True)] = None
    code_hash: Annotated[str | None, Entry("hash of the code that its ranks ran")] = None
    busy_before: Annotated[
        float | None,
        Entry("share of its cores that was busy before the start", "1", minimum=0, maximum=1, or_null=True),
    ] = None
    host: Annotated[str, Entry("name in the inventory")]
    board: Annotated[str | None, Entry("board class; null: the launch host")]
    before: Annotated[HostStateRecord | None, Entry("state before the first idle phase")] = None
    after: Annotated[HostStateRecord | None, Entry("state after the last idle phase")] = None
    mode: Annotated[PowerModeRecord | None, Entry("power mode that was set; null: none", or_null=True)] = None


@dataclass(frozen=True, kw_only=True)
class RankRecord(OpenBlock):
    """One MPI rank."""

    rank: Annotated[int | None, Entry("the rank")] = None
    host: Annotated[str | None, Entry("its host, by the name in the inventory")] = None
    processor: Annotated[str | None, Entry("its host, by the name that MPI tells")] = None
    pid: Annotated[int | None, Entry("process id")] = None
    affinity: Annotated[Sequence[int] | None, Entry("cores that it may use")] = None
    threads: Annotated[int | None, Entry("computing threads", "1")] = None


@dataclass(frozen=True, kw_only=True)
class GitRecord(OpenBlock):
    """The project's commit."""

    commit: Annotated[str | None, Entry("commit; null: no git repository", or_null=True)] = None
    dirty: Annotated[bool | None, Entry("whether files differed from it; null: not known", or_null=True)] = None


@dataclass(frozen=True, kw_only=True)
class MpiRecord(OpenBlock):
    """The MPI library."""

    library: Annotated[str | None, Entry("name and version")] = None
    thread_level: Annotated[int | None, Entry("level of thread support that MPI gave")] = None


@dataclass(frozen=True, kw_only=True)
class EnvironmentRecord(OpenBlock):
    """Code, machines and ranks, and the command that started the point."""

    git: Annotated[GitRecord | None, Entry("commit of the project")] = None
    python: Annotated[str | None, Entry("version of Python")] = None
    packages: Annotated[Mapping[str, str] | None, Entry("versions of the packages that matter")] = None
    mpi: Annotated[MpiRecord | None, Entry("the MPI library; missing: the point did not finish")] = None
    hosts: Annotated[Sequence[HostRecord] | None, Entry("the machines")] = None
    ranks: Annotated[Sequence[RankRecord] | None, Entry("the ranks; missing: the point did not finish")] = None
    command: Annotated[str | None, Entry("the mpirun command; null: started by hand", or_null=True)] = None
    overrides: Annotated[Sequence[str] | None, Entry("words of the command line; null: not known", or_null=True)] = None
    started: Annotated[str | None, Entry("second 0 of the common axis in civil time, UTC, ISO 8601")] = None
    finished: Annotated[str | None, Entry("end in civil time, UTC, ISO 8601")] = None
    published: Annotated[Mapping[str, Any] | None, Entry("what was replaced in a published copy; missing: none")] = None
