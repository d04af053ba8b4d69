"""Board classes and links: every file is sound, every number has its source, every mistake ends in one line."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.cluster.board_class import SETTINGS, BoardClass
from bench.cluster.board_files import load_board
from bench.cluster.board_power import BoardPower, PowerModel, named_by
from bench.cluster.board_table import table, training_table
from bench.cluster.network_links import load_link
from bench.common.user_error import UserError
from tests.project import ROOT

BOARDS, LINKS = ROOT / "conf/board", ROOT / "conf/link"
NAMES, LINK_NAMES = (sorted(path.stem for path in folder.glob("*.yaml")) for folder in (BOARDS, LINKS))
PAGE = "measured: https://example.org/board"
RATE: dict[str, Any] = {
    "device": "cpu", "precision": "fp32", "power_mode": "full", "value": 2.0e10, "source": PAGE, "low": 1.0e10, "high": 3.0e10,
}  # fmt: skip
BOARD: dict[str, Any] = {
    "name": "mine",
    "description": "a board",
    "cores": {"value": 4, "source": PAGE},
    "memory_bytes": {"value": 2**32, "source": PAGE},
    "flop_s": {"value": 4.8e10, "device": "cpu", "source": PAGE},
    "power": {"idle_W": {"value": 2.0, "source": PAGE}, "busy_W": {"value": 5, "source": PAGE, "device": "cpu"}},
    "train_flop_s": [RATE],
    "power_modes": {
        "full": {"nvpmodel": 0, "jetson_clocks": False},
        "low": {
            "governor": "powersave",
            "max_frequency_Hz": 1.5e9,
            "rapl_limit_W": 10.0,
            "speed": {"value": 0.5, "source": PAGE},
            "power": {"idle_W": {"value": 1.5, "source": PAGE}, "busy_W": {"value": 3.0, "source": PAGE, "device": "cpu"}},
        },
        "odd": {"nvpmodel": 2},
    },
    "default_mode": "full",
}
CLOCK = {"frequency_Hz": 1.0e9, "value": 3.0, "source": PAGE}
LINK: dict[str, Any] = {"name": "mine", "description": "a link", "rate_bit_s": {"value": 1e9, "source": PAGE}}


def numbers(found: Any) -> Iterator[dict[str, Any]]:
    if isinstance(found, dict):
        if "value" in found:
            yield found
        for part in found.values():
            yield from numbers(part)


def written(folder: Path, about: dict[str, Any], path: str = "", value: Any = None) -> Path:
    """``about`` as mine.yaml with one value changed (None: taken out) at a dotted path."""
    about = copy.deepcopy(about)
    *way, last = path.split(".")
    part = about
    for key in way:
        part = part[key]
    if value is None:
        part.pop(last, None)
    else:
        part[last] = value
    (folder / "mine.yaml").write_text(yaml.safe_dump(about))
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_every_board_is_sound(name: str) -> None:
    board = load_board(name, BOARDS)
    found = list(numbers(board.to_dict()))
    assert len(found) >= 2
    for number in found:
        assert number["value"] > 0
        assert "http" in number["source"], number
    for mode in board.power_modes:
        assert set(board.mode(mode).to_dict()) & set(SETTINGS)


def test_all_asked_for_boards_are_there() -> None:
    assert NAMES == [
        "jetson-agx-orin", "jetson-agx-xavier", "jetson-nano", "jetson-orin-nano", "jetson-orin-nx", "jetson-tx2",
        "jetson-xavier-nx", "raspberry-pi-4", "raspberry-pi-5", "x86-mini-pc",
    ]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("jetson")])
def test_a_jetson_mode_is_an_nvpmodel_id_of_its_own(name: str) -> None:
    ids = [mode.nvpmodel for mode in load_board(name, BOARDS).power_modes.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", LINK_NAMES)
def test_every_link_is_sound(name: str) -> None:
    found = list(numbers(asdict(load_link(name, LINKS))))
    assert found
    assert all("http" in number["source"] for number in found)


def test_links_are_ordered_by_their_rates() -> None:
    rates = {name: load_link(name, LINKS).rate_bit_s.value for name in LINK_NAMES}
    assert sorted(rates, key=rates.__getitem__) == ["wifi-4", "ethernet-100m", "wifi-5", "wifi-6", "ethernet-1g"]


def modelled(board: BoardClass, **of_point: Any) -> PowerModel:
    return replace(board, **of_point).power_model()


def test_power_of_a_mode_is_never_another_ones(tmp_path: Path) -> None:
    board = load_board("mine", written(tmp_path, BOARD))
    default, low = modelled(board), modelled(board, power_mode="low")
    assert modelled(board, power_mode="full") == default
    assert (default.idle_W, default.cpu_W, low.idle_W, low.cpu_W) == (2.0, 3.0, 1.5, 1.5)
    with pytest.raises(UserError, match=r"mine in power mode odd has no power\.idle_W and no power\.busy_W to model"):
        modelled(board, power_mode="odd")
    with pytest.raises(UserError, match="unknown power mode lowe of board mine; known are full, low, odd; did you mean low"):
        modelled(board, power_mode="lowe")


def test_watts_of_another_device_are_refused() -> None:
    """An AGX Orin drew 77 W with its GPU at work: no watts of a point that computes on its CPU, which has some of its own."""
    orin = load_board("jetson-agx-orin", BOARDS)
    cpu, gpu = modelled(orin, device="cpu"), modelled(orin, device="gpu")
    assert (cpu.idle_W, cpu.cpu_W, cpu.gpu_W) == (18.2, 15.2, 0.0)
    assert (gpu.cpu_W, gpu.gpu_W) == (15.2, pytest.approx(59.0))
    nano = load_board("jetson-nano", BOARDS)
    with pytest.raises(UserError, match=r"jetson-nano: its busy 4.53 W were read with the GPU at work, and this point .* CPU"):
        modelled(nano, device="cpu")
    assert "the CPU's own share not known" in modelled(nano, device="gpu").basis
    with pytest.raises(UserError, match=r"27\.6 W were read with CPU and GPU at work, and this point computes on the CPU"):
        modelled(load_board("jetson-orin-nx", BOARDS), device="cpu")
    with pytest.raises(UserError, match=r"9\.7 W were read with the CPU at work, and this point computes on the GPU"):
        modelled(load_board("raspberry-pi-5", BOARDS), device="gpu")


@pytest.mark.parametrize("name", NAMES)
def test_published_watts_are_uncertain_by_thirty_per_cent_at_least(name: str) -> None:
    board, known = load_board(name, BOARDS), 0
    for device in ("cpu", "gpu"):
        with contextlib.suppress(UserError):
            assert modelled(board, device=device).relative_u >= 0.3
            known += 1
    assert known or board.power == BoardPower()


def test_the_model_never_changes_the_name_of_a_point_but_a_fit_does() -> None:
    """Coefficients that descriptions learn later leave old studies finished; those of a fit were asked for."""
    orin = load_board("jetson-agx-orin", BOARDS)
    plain, of_point = orin.to_dict(), replace(orin, device="cpu", power_mode="15W").to_dict()
    named = named_by(plain)
    assert named == named_by(of_point)
    assert set(named["power"]) == set(named["power_modes"]["15W"]["power"]) == {"idle_W", "busy_W"}
    assert "device" not in named["power"]["busy_W"]
    fitted = named_by({**plain, "power": {**plain["power"], "model": "fit.json"}})
    assert fitted["power"] == plain["power"]


def test_a_board_without_modes_or_watts(tmp_path: Path) -> None:
    plain = {key: value for key, value in BOARD.items() if key not in ("power_modes", "default_mode", "train_flop_s")}
    board = load_board("mine", written(tmp_path, {**plain, "power": {}}))
    with pytest.raises(UserError, match=r"board mine has no power\.idle_W"):
        board.power_model()
    with pytest.raises(UserError, match="unknown power mode full of board mine; it has no power modes"):
        board.mode("full")


WRONG: list[tuple[str, Any, str]] = [
    ("idle_w", 3, "board mine has the unknown key idle_w"),
    ("core", BOARD["cores"], "unknown key core; keys are name, .*; did you mean cores?"),
    ("cores", None, "board mine has no cores; add it"),
    ("name", "other", "must be a mapping with name: mine, found 'other'"),
    ("description", "", "description must be a line of text, found ''"),
    ("cores", 4, "cores needs a value and its source, found 4"),
    ("memory_bytes", {"value": 4}, "memory_bytes needs a value and its source, found"),
    ("memory_bytes", {"value": 4, "source": " "}, "memory_bytes needs a source beside its value, found ' '"),
    ("memory_bytes", {"value": 4, "source": PAGE, "unit": "B"}, "memory_bytes has the unknown key unit"),
    ("cores.value", 0, "cores must be positive, found 0"),
    ("cores.value", True, "cores must be a number, found True"),
    ("flop_s.value", "4.8e10", r"flop_s must be a number, found '4.8e10' \(YAML wants a dot and a sign: 1.0e\+9\)"),
    ("flop_s.device", None, "flop_s has no device"),
    ("flop_s.device", "tpu", "flop_s.device must be cpu or gpu, found 'tpu'"),
    ("power", 5, "power must be a mapping with idle_W, busy_W, cpu_W, exponent, .*found 5"),
    ("power.busy_W.device", None, "power.busy_W has no device"),
    ("power.busy_W.device", "tpu", "busy_W.device must say what was at work when it was read: cpu, gpu, cpu.gpu; found 'tpu'"),
    ("power.cpu_W_at", 3, "power.cpu_W_at must be a list of frequency_Hz, value and source, found 3"),
    ("power.cpu_W_at", [CLOCK, CLOCK], "power.cpu_W_at must go from the lowest clock to the highest, each once"),
    ("power.model", "fit.json", "power.model: .*fit.json cannot be read .*; make it with python -m bench.calibrate model"),
    ("power.idle", 5, "power has the unknown key idle; .*; did you mean idle_W?"),
    ("power.idle_W.value", -1, "power.idle_W must be positive, found -1"),
    ("power.busy_W.value", 1.5, "power.busy_W = 1.5 is below idle_W = 2.0; were they swapped?"),
    ("default_mode", "ful", "default_mode ful is none of full, low, odd; did you mean full?"),
    ("default_mode", None, "default_mode None is none of full, low, odd"),
    ("default_mode", "low", "low is the default_mode, so its watts are the board's power"),
    ("power_modes", None, "default_mode is full, but there are no power_modes"),
    ("power_modes", ["full"], "power_modes must be a mapping from a name to what is set, found"),
    ("power_modes.odd", {"speed": BOARD["cores"]}, "power_modes.odd sets nothing; give it one of nvpmodel, jetson_clocks"),
    ("power_modes.odd", {}, "power_modes.odd sets nothing"),
    ("power_modes.odd.nvp_model", 3, "power_modes.odd has the unknown key nvp_model; .*; did you mean nvpmodel?"),
    ("power_modes.odd.nvpmodel", "15W", "nvpmodel must be the id of a mode, a whole number, found '15W'"),
    ("power_modes.full.jetson_clocks", "no", "jetson_clocks must be true or false, found 'no'"),
    ("power_modes.low.governor", 3, "governor must be a line of text, found 3"),
    ("power_modes.low.rapl_limit_W", -5, "rapl_limit_W must be positive, found -5"),
    ("power_modes.low.speed", 0.5, "power_modes.low.speed needs a value and its source, found 0.5"),
    ("power_modes.low.power.busy_W.value", 1, "power_modes.low.power.busy_W = 1 is below idle_W = 1.5"),
    ("train_flop_s", 2.0e10, "train_flop_s must be a list of rates, each with device, precision, power_mode, value"),
    ("train_flop_s", [RATE, RATE], r"train_flop_s\[1\] is the second one for cpu, fp32, full; keep the better one"),
    ("train_flop_s", [{**RATE, "device": "tpu"}], r"train_flop_s\[0\].device must be one of cpu, gpu, found 'tpu'"),
    ("train_flop_s", [{**RATE, "precision": "int8"}], "precision must be one of fp32, fp16, bf16, found 'int8'"),
    ("train_flop_s", [{**RATE, "power_mode": "ful"}], "power_mode 'ful' is no power mode of the board; use full, low, odd"),
    ("train_flop_s", [{**RATE, "source": " "}], "needs a source beside its value"),
    ("train_flop_s", [{**RATE, "high": 1.5e10}], "value=20000000000.0 must lie from low=10000000000.0 to high=15000000000.0"),
    ("train_flop_s", [{key: RATE[key] for key in RATE if key != "low"}], r"train_flop_s\[0\] has no low"),
    ("train_flop_s", [{**RATE, "busy_W": 5}], "busy_W needs a value and its source, found 5"),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG)
def test_a_wrong_board_ends_in_one_line(tmp_path: Path, path: str, value: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        load_board("mine", written(tmp_path, BOARD, path, value))
    assert "\n" not in str(error.value)
    assert "board mine" in str(error.value)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("rate_bits", 3, "link mine has the unknown key rate_bits; .*; did you mean rate_bit_s?"),
        ("rate_bit_s", None, "link mine has no rate_bit_s"),
        ("rate_bit_s.value", 0, "rate_bit_s must be positive, found 0"),
        ("latency_s", 0.001, "latency_s needs a value and its source, found 0.001"),
        ("loss", {"value": -0.1, "source": PAGE}, "loss must be at least zero, found -0.1"),
        ("loss", {"value": 2, "source": PAGE}, "loss must be the share of packets that is lost, below 1, found 2"),
    ],
)
def test_a_wrong_link_ends_in_one_line(tmp_path: Path, path: str, value: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        load_link("mine", written(tmp_path, LINK, path, value))
    assert "\n" not in str(error.value)


def test_unknown_names_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unknown board jetson-orin-nanno; .*; did you mean jetson-orin-nano?"):
        load_board("jetson-orin-nanno", BOARDS)
    with pytest.raises(UserError, match=r"unknown link wifi5; known are ethernet-100m, .*; did you mean wifi-5?"):
        load_link("wifi5", LINKS)
    (tmp_path / "mine.yaml").write_text("name: [\n")
    with pytest.raises(UserError, match=r"board mine: .* is not YAML") as error:
        load_board("mine", tmp_path)
    assert "\n" not in str(error.value)


def test_a_loss_of_zero_is_said_with_its_source(tmp_path: Path) -> None:
    link = load_link("mine", written(tmp_path, LINK, "loss", {"value": 0, "source": PAGE}))
    assert link.loss is not None
    assert link.loss.value == 0


def test_the_documentation_holds_the_table() -> None:
    rows = table(BOARDS)
    assert all(f"| {name} |" in rows for name in NAMES)
    page = (ROOT / "docs/reference/boards.md").read_text()
    assert rows in page
    assert training_table(BOARDS) in page


@pytest.mark.parametrize("name", NAMES)
def test_a_class_is_written_as_its_file_says_it(name: str) -> None:
    """A point's configuration carries it, and the point's hash is of that: no key more, none less, numbers as they stand."""
    described = yaml.safe_load((BOARDS / f"{name}.yaml").read_text())
    board = load_board(name, BOARDS)
    assert board.to_dict() == described
    assert json.dumps(board.to_dict(), sort_keys=True) == json.dumps(described, sort_keys=True)
    assert BoardClass.from_dict(board.to_dict()) == board
    for mode in board.power_modes:
        with contextlib.suppress(UserError):  # a mode without a speed cannot be emulated
            emulated = board.in_mode(mode)
            assert BoardClass.from_dict(emulated.to_dict()) == emulated


def test_what_a_board_achieves_in_training(tmp_path: Path) -> None:
    """The stated rate of the mode; without one that of the default mode times the mode's speed, and its source says so."""
    board = load_board("mine", written(tmp_path, BOARD))
    assert board.training_rate(None, "fp32") == board.training_rate("cpu", "fp32", "full") == board.train_flop_s[0]
    low = board.training_rate("cpu", "fp32", "low")
    assert (low.value, low.low, low.high, low.busy_W) == (1.0e10, 0.5e10, 1.5e10, None)
    assert low.source == f"0.5 (speed of power mode low: {PAGE}) times: {PAGE}"
    with pytest.raises(
        UserError, match=r"board mine has no train_flop_s for cpu fp32 in power mode odd \(it has cpu fp32 full\)"
    ):
        board.training_rate("cpu", "fp32", "odd")
    with pytest.raises(UserError, match="board mine has no train_flop_s for gpu fp32"):
        board.training_rate("gpu", "fp32")


def test_a_board_that_trains_on_two_devices_must_say_which(tmp_path: Path) -> None:
    board = load_board("mine", written(tmp_path, BOARD, "train_flop_s", [RATE, {**RATE, "device": "gpu", "value": 2.5e10}]))
    with pytest.raises(UserError, match="board mine trains on its cpu and on its gpu; say which one") as error:
        board.training_rate(None, "fp32")
    assert "\n" not in str(error.value)
    assert board.training_rate("gpu", "fp32").value == 2.5e10
