"""PyTorch modules and exported programs become ONNX models that give PyTorch's answers, or nothing is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("torch", reason="converts PyTorch modules")
pytest.importorskip("onnxscript", reason="PyTorch exports through it")

import torch

import edgeort
from edgeort import converters
from edgeort.converters import pytorch
from edgeort.errors import CheckError, InputError, ModelError
from tests.cli.support import call


class Features(torch.nn.Module):
    """Pictures [n, 3, h, w], and a scale or none, to {"logits": [n, 5], "features": [n, 8]}."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.dropout = torch.nn.Dropout(0.9)  # an identity only in evaluation mode
        self.linear = torch.nn.Linear(8, 5)

    def forward(self, image: torch.Tensor, scale: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        features = self.dropout(self.conv(image).relu()).mean((2, 3))
        features = features if scale is None else features * scale
        return {"logits": self.linear(features), "features": features}


IMAGE = torch.linspace(-1, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8)
FILE = """
import torch

ready = torch.nn.Linear(4, 3)
number = 3

def make():
    return torch.nn.Linear(4, 3)

def with_ids():
    return torch.nn.Embedding(50, 6), (torch.randint(0, 50, (2, 7)),)

class Branch(torch.nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    path = tmp_path / "net.py"
    path.write_text(FILE)
    return str(path)


def dims(value: onnx.ValueInfoProto) -> list[int | str]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def test_module_with_free_dimensions(tmp_path: Path):
    out = tmp_path / "m.onnx"
    module = Features()
    found = converters.from_pytorch(module, (IMAGE,), out, shapes={"image": ("n", 3, "h", "?")})
    assert [size["image"] for size in found.checked] == [[2, 3, 8, 8], [3, 3, 9, 9]]
    graph = onnx.load(out).graph
    assert dims(graph.input[0])[:3] == ["n", 3, "h"]
    assert [value.name for value in graph.output] == ["logits", "features"]
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, 11, 5)).astype(np.float32)
    (logits,) = edgeort.InferenceSession(out).run(["logits"], {"image": image})
    with torch.no_grad():
        np.testing.assert_allclose(logits, module(torch.from_numpy(image))["logits"].numpy(), rtol=1e-5, atol=1e-6)


def test_inputs_by_name(tmp_path: Path):
    inputs = {"image": IMAGE.numpy(), "scale": np.full(1, 3, np.float32)}
    found = converters.from_pytorch(Features(), inputs, tmp_path / "m.onnx")
    assert found.checked == ({"image": [2, 3, 8, 8], "scale": [1]},)


def test_inputs_that_are_one_tensor_stay_two(tmp_path: Path):
    class Sum(torch.nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a * 2 + b

    path, both = tmp_path / "m.onnx", torch.ones(2, 3)
    converters.from_pytorch(Sum(), {"a": both, "b": both}, path)
    a, b = np.full((2, 3), 5, np.float32), np.full((2, 3), 7, np.float32)
    np.testing.assert_array_equal(edgeort.InferenceSession(path).run(None, {"a": a, "b": b})[0], a * 2 + b)


def test_exported_program(tmp_path: Path):
    n = torch.export.Dim("n")
    program = torch.export.export(Features().eval(), (IMAGE,), dynamic_shapes={"image": {0: n}})
    torch.export.save(program, tmp_path / "m.pt2")
    found = converters.convert(tmp_path / "m.pt2", tmp_path / "m.onnx")
    assert [size["image"][0] for size in found.checked] == [2, 3]


@pytest.mark.parametrize("name", ["ready", "make"])
def test_file_and_name(net: str, tmp_path: Path, name: str):
    result = call("convert", f"{net}:{name}", "-o", tmp_path / "m.onnx", "--shape", "input=nx4")
    assert result.exit_code == 0
    assert "input [3, 4]" in result.stdout
    assert dims(onnx.load(tmp_path / "m.onnx").graph.input[0]) == ["n", 4]


def test_integer_inputs_stay_valid_at_another_size(net: str, tmp_path: Path):
    found = converters.convert(f"{net}:with_ids", tmp_path / "m.onnx", shapes={"input": ("n", "t")})
    assert [size["input"] for size in found.checked] == [[2, 7], [3, 8]]


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("{net}:make", (), "comes without inputs"),
        ("{net}:make", ("--shape", "x=1x4"), "no input 'x'; it has 'input'"),
        ("{net}:with_ids", ("--shape", "input=4x7"), "its example is [2, 7]"),
        ("{net}:number", (), "makes a int"),
        ("{net}:missing", (), "has no 'missing'"),
        ("{net}:Branch", ("--shape", "x=3"), "cannot export it"),
        ("missing.py:make", (), "no such file"),
        ("no.such.module:make", (), "no such module"),
        ("missing.pt2", (), "no such file"),
        ("weights.pt", (), "does not say what is computed"),
    ],
)
def test_bad_sources(net: str, tmp_path: Path, source: str, options: tuple[str, ...], message: str):
    result = call("convert", source.format(net=net), "-o", tmp_path / "m.onnx", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "m.onnx").exists()


def test_a_broken_archive(tmp_path: Path):
    (tmp_path / "m.pt2").write_bytes(b"PK\3\4 nothing")
    with pytest.raises(ModelError, match="cannot load it"):
        converters.convert(tmp_path / "m.pt2", tmp_path / "m.onnx")


def test_shapes_of_an_exported_program_are_fixed(tmp_path: Path):
    with pytest.raises(InputError, match="are fixed"):
        converters.convert("m.pt2", tmp_path / "m.onnx", shapes={"x": (1,)})


def test_a_wrong_translation_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    load = pytorch.from_module

    def wrong(module, inputs, shapes):
        source = load(module, inputs, shapes)
        return type(source)(
            source.framework, source.model, source.example, lambda feeds: [a * 1.01 for a in source.answer(feeds)]
        )

    monkeypatch.setattr(pytorch, "from_module", wrong)
    (tmp_path / "m.onnx").write_bytes(b"before")
    with pytest.raises(CheckError, match="'logits' is not PyTorch"):
        converters.from_pytorch(Features(), (IMAGE,), tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").read_bytes() == b"before"
