"""The doctor's verb ``push``: the commands, and what a stand-in rsync copies. No real rsync and no real host was tried."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from bench.common.paths import PROJECT
from bench.common.weight_files import PACKAGE
from bench.config.host_config import Host
from bench.doctor.__main__ import main
from bench.doctor.push_verb import CODE, bring, elsewhere, steps
from tests.bench.cluster.test_inventory import in_path, may_name_hosts
from tests.bench.doctor.test_cluster_verb import inventory

pytestmark = pytest.mark.machine

SSH = "ssh -o BatchMode=yes -o ConnectTimeout=5"
HOST = Host("10.0.0.2", name="b", user="pi")


def test_the_commands() -> None:
    todo = steps(HOST, Path("/p"), [Path("/w")], ["bench", "strategies"])
    assert [step.what for step in todo] == ["folders", "code", "the rest", "/w"]
    assert todo[0].command == [*SSH.split(), "pi@10.0.0.2", "mkdir -p /p /w"]
    code = todo[1].command
    assert code[:5] == ["rsync", "-a", "-e", SSH, "--delete"]
    assert code[-3:] == ["/p/bench", "/p/strategies", "pi@10.0.0.2:/p/"]
    rest = todo[2].command
    assert rest[:4] == ["rsync", "-a", "--copy-unsafe-links", "-e"]
    assert {"--exclude=/bench", "--exclude=/strategies"} <= set(rest)
    assert rest[-2:] == ["/p/", "pi@10.0.0.2:/p/"]
    for words in (code, rest):
        assert {"--exclude=/.git", "--exclude=/results", "--exclude=/.venv", "--exclude=__pycache__"} <= set(words)
    # Only what is code is mirrored: files of the host's own stay.
    assert "--delete" not in [*rest, *todo[3].command]
    assert todo[3].command[-2:] == ["/w/", "pi@10.0.0.2:/w/"]


def test_weights_outside_of_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights" / PACKAGE).mkdir(parents=True)
    (tmp_path / "weights" / PACKAGE / "model.safetensors").touch()
    monkeypatch.setenv("EDGEJOULE_WEIGHTS", str(tmp_path / "weights"))
    assert elsewhere(PACKAGE) == [tmp_path / "weights"]  # once, and not the folder inside of it too
    assert elsewhere(None) == [tmp_path / "weights"]
    (tmp_path / "own").mkdir()
    (tmp_path / "own/model.safetensors").touch()
    assert elsewhere(str(tmp_path / "own")) == [tmp_path / "weights", tmp_path / "own"]


def test_what_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code as it is here, other files besides those of the host's own, no results and no caches."""
    may_name_hosts()
    monkeypatch.setenv("PATH", in_path(tmp_path, "ssh", "rsync"))
    monkeypatch.setenv("RSYNC_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("REMOTE", str(tmp_path / "remote"))
    project = tmp_path / "project"
    for name in (
        "bench/a.py",
        "bench/__pycache__/a.pyc",
        "bench/results/r.py",
        "data/d.txt",
        "results/x/result.json",
        ".git/HEAD",
    ):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(name)
    there = tmp_path / "remote/board" / str(project).strip("/")
    for name in ("bench/gone.py", "notes.txt", "results/own.json"):
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).write_text(name)
    host = Host("board", user="pi")
    found = bring(host, steps(host, project, [], ["bench"]))
    assert (found.status, found.text) == ("PASS", f"board: has this code, its data and weights in {PROJECT}")
    assert sorted(str(path.relative_to(there)) for path in there.rglob("*") if path.is_file()) == [
        "bench/a.py", "bench/results/r.py", "data/d.txt", "notes.txt", "results/own.json",
    ]  # fmt: skip


def test_one_host_that_fails_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    may_name_hosts()
    monkeypatch.setenv("PATH", in_path(tmp_path, "ssh", "rsync"))
    monkeypatch.setenv("RSYNC_LOG", str(tmp_path / "log"))
    hosts = ("{address: localhost}", "{address: away}", "{address: full}", "{address: boardb, user: pi}")
    code = main(["push", *inventory(tmp_path, *hosts), "model.checkpoint=null"])
    told = capsys.readouterr().out
    assert code == 1
    assert f"PASS  boardb: has this code, its data and weights in {PROJECT}\n" in told
    assert "FAIL  away: folders did not arrive (exit code 255: ssh: connect to host away port 22: No route to host)" in told
    assert "FAIL  full: code did not arrive (exit code 1: rsync: write failed: No space left on device (28))" in told
    assert told.endswith("1 PASS, 2 FAIL\n")
    log = (tmp_path / "log").read_text().splitlines()
    assert len(log) == 3  # code to full; code and the rest to boardb; nothing to away, nothing to this machine
    assert log[1].endswith(" ".join(str(PROJECT / name) for name in CODE) + f" pi@boardb:{PROJECT}/")


def test_a_dry_run_needs_no_rsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*inventory(tmp_path, "{address: localhost}", "{address: boardb, user: pi}"), "model.checkpoint=null"]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["push", *words, "doctor.dry_run=true"]) == 0
    told = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in told] == ["ssh", "rsync", "rsync"]
    assert told[0][-1] == f"mkdir -p {PROJECT}"
    assert main(["push", *words]) == 2
    assert capsys.readouterr().err == (
        "error: rsync is not installed here; install it here and on all hosts: apt install rsync\n"
    )
    assert main(["push", *words, "doctor.dry_run=yes"]) == 2
    assert capsys.readouterr().err == "error: doctor.dry_run=yes must be true or false\n"


def test_nothing_to_push(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push"]) == 0
    assert capsys.readouterr().out == "all hosts of cluster local are this machine: nothing to push\n"
    assert main(["push", "cluster=emulated2"]) == 2
    assert "cluster emulated2 has emulated boards, which see the files of this machine" in capsys.readouterr().err
