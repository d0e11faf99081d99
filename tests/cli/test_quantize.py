"""`edgeort quantize`: what it prints, its JSON, its errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort.quantize.attempts import Attempts
from tests.cli.support import call
from tests.quantize.models import mobile, pictures, save
from tests.quantize.test_recurrent import stack


@pytest.fixture
def place(tmp_path: Path) -> Path:
    save(tmp_path / "m.onnx", mobile())
    np.save(tmp_path / "x.npy", pictures(10))
    return tmp_path


def test_it_prints_a_summary(place: Path):
    result = call("quantize", place / "m.onnx", "-o", place / "q.onnx", "--data", place / "x.npy")
    assert result.exit_code == 0
    for words in ("q.onnx", "6 layer(s) (6 static)", "10; ", "output y", "dB", "agreement"):
        assert words in result.stdout
    assert "by mse" in result.stdout or "by quartic" in result.stdout
    assert "memory:" in result.stderr
    assert "edgeort: refining: layer 1 of 6" in result.stderr
    onnx.checker.check_model(onnx.load(place / "q.onnx"))


def test_json_options_and_ranges(place: Path):
    arguments = [
        "quantize",
        place / "m.onnx",
        "-o",
        place / "q.onnx",
        "--no-gptq",
        "--no-bias-correction",
        "--no-compensation",
        "--json",
    ]
    first = call(*arguments, "--data", place / "x.npy", "--samples", 5, "--save-ranges", place / "r.json")
    found = json.loads(first.stdout)
    assert (found["samples"], found["layers"], found["differences"][0]["output"]) == (5, 6, "y")
    bytes_ = (place / "q.onnx").read_bytes()
    again = json.loads(call(*arguments, "--ranges", place / "r.json", "--exclude", "n0", "--json").stdout)
    assert "lacks" in again["error"] or "no quantised tensor" in again["error"]
    assert call(*arguments, "--ranges", place / "r.json").exit_code == 0
    assert (place / "q.onnx").read_bytes() == bytes_


@pytest.mark.parametrize("used", [False, True])
def test_it_says_whether_channels_have_scales(place: Path, monkeypatch: pytest.MonkeyPatch, used: bool):
    """`--for edgeort` asks for them, and they are left out where they bring nothing."""
    options = ("--for", "edgeort", "--data", place / "x.npy", "--no-gptq", "--no-compensation")
    monkeypatch.setattr(Attempts, "noise", lambda self, *_: 1.0 if self.own_runtime is used else 2.0)
    told = " ".join(call("quantize", place / "m.onnx", "-o", place / "q.onnx", *options).stdout.split())
    assert ("tensor(s) have their own scales: SQNR" in told) is used
    assert ("no scales of their own, which would leave more noise" in told) is not used


def test_a_quantised_model_is_left_alone(place: Path):
    call("quantize", place / "m.onnx", "-o", place / "q.onnx", "--data", place / "x.npy")
    result = call("quantize", place / "q.onnx", "-o", place / "again.onnx", "--data", place / "x.npy")
    assert result.exit_code == 0
    assert "quantised already" in result.stdout


def test_weights_alone_need_no_samples(place: Path):
    result = call("quantize", place / "m.onnx", "-o", place / "q.onnx", "--activations", "float")
    assert result.exit_code == 0
    assert "6 layer(s) (6 float)" in result.stdout
    kinds = {node.op_type for node in onnx.load(place / "q.onnx").graph.node}
    assert "DequantizeLinear" in kinds and "QuantizeLinear" not in kinds


@pytest.mark.parametrize(("weights", "words"), [("int4", "1 int4 weights"), ("float16", "float16 weights")])
def test_smaller_weights_need_no_samples(place: Path, weights: str, words: str):
    result = call("quantize", place / "m.onnx", "-o", place / "q.onnx", "--weights", weights)
    assert result.exit_code == 0 and words in result.stdout
    over = call(
        *("quantize", place / "m.onnx", "-o", place / "no.onnx", "--weights", weights),
        *("--data", place / "x.npy", "--min-sqnr", 300),
    )
    assert over.exit_code == 1 and "SQNR >= 300 dB" in over.stderr
    assert not (place / "no.onnx").exists()


def test_odd_samples_are_warned_about(place: Path):
    np.save(place / "x.npy", np.zeros((3, 3, 12, 12), np.float32))
    result = call("quantize", place / "m.onnx", "-o", place / "q.onnx", "--data", place / "x.npy")
    assert "warning: input 'x': 3 of 3 samples hold one number only" in result.stderr


def test_a_budget_prints_its_ledger_or_fails(place: Path):
    arguments = ["quantize", place / "m.onnx", "-o", place / "q.onnx", "--data", place / "x.npy"]
    free = json.loads(call(*arguments, "--json").stdout)["differences"][0]["sqnr_db"]
    result = call(*arguments, "--min-sqnr", free + 1, "--min-agreement", 0.5)
    assert result.exit_code == 0
    assert "the budget's ledger" in result.stdout
    assert "float16 weights " in result.stdout and "int8 " in result.stdout
    (place / "q.onnx").unlink()
    over = call(*arguments, "--min-sqnr", 300)
    assert over.exit_code == 1
    assert "SQNR >= 300 dB" in over.stderr
    assert not (place / "q.onnx").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "nothing to find ranges from"),
        (["--data", "nowhere"], "no such file"),
        (["--data", "x.npy", "--method", "best"], "no method"),
        (["--data", "x.npy", "--activations", "int4"], "--activations int4: unknown"),
        (["--data", "x.npy", "--for", "tvm"], "is no runtime"),
        (["--weights", "int3"], "one of int8, int4, float16"),
        (["--weights", "int4", "--block", "17"], "one of 16, 32, 64, 128, 256"),
        (["--data", "x.npy", "--block", "32"], "--weights int4"),
        (["--weights", "int4", "--activations", "static"], "not multiplied by static activations"),
        (["--weights", "float16", "--activations", "static"], "not multiplied by static activations"),
        (["--weights", "float16", "--save-ranges", "r.json"], "ranges are of int8 activations"),
        (["--weights", "float16", "--min-sqnr", "30"], "measured on samples"),
        (["--weights", "float16", "--exclude", "none"], "no node is called 'none'"),
        (["--data", "x.npy", "--preprocess", "scale=1/0"], "step 1, 'scale=1/0': '1/0' is no number"),
        (["--data", "x.npy", "--preprocess", "rgb; blue"], "step 2, 'blue': unknown"),
    ],
)
def test_bad_options(place: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], words: str):
    monkeypatch.chdir(place)
    result = call("quantize", "m.onnx", "-o", "q.onnx", *options)
    assert result.exit_code == 2
    assert words in result.stderr
    assert not Path("q.onnx").exists()


@pytest.mark.parametrize(
    ("command", "made"),
    [
        (["quantize", "--weights", "float16"], "m-quantised.onnx"),
        (["prune", "--data", "x.npy", "--ratio", "0.3"], "m-pruned.onnx"),
        (["prune", "--sparsity", "0.5"], "m-sparse.onnx"),
    ],
)
def test_the_float_model_is_not_overwritten(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], made: str
):
    for name in ("m.onnx", "x.npy"):
        (tmp_path / name).write_bytes((place / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    result = call(command[0], "m.onnx", "-o", "./m.onnx", *command[1:])
    assert result.exit_code == 2 and "is the model itself" in result.stderr and f"hint: -o {made}" in result.stderr
    assert Path("m.onnx").read_bytes() == (place / "m.onnx").read_bytes()


def test_a_model_of_recurrent_nodes(tmp_path: Path):
    onnx.save(stack(), tmp_path / "m.onnx")
    result = call("quantize", tmp_path / "m.onnx", "-o", tmp_path / "q.onnx", "--activations", "float")
    assert result.exit_code == 0 and "0 layer(s), weights of 2 recurrent node(s)" in result.stdout
