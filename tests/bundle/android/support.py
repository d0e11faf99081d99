"""Bundles and packages for Android, and what the bundle's own plan answers."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import edgeort
from edgeort.bundle import android, open_bundle
from edgeort.bundle.packages import Wishes, write_package
from edgeort.session import InferenceSession
from tests.models import mlp

VALUES = np.arange(1, 9, dtype=np.float32)[None]


def need(*programs: str) -> None:
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")


def build(folder: Path, model: onnx.ModelProto | None = None) -> Path:
    """A bundle of a model that is called m."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model or mlp(), folder / "m.onnx")
    edgeort.build(folder / "m.onnx", "android-arm64", folder / "b")
    return folder / "b"


def make(bundle: Path, to: Path, *abis: str) -> Path:
    """Its package."""
    with open_bundle(bundle) as opened:
        return write_package(to, "android", opened, android.package(opened, Wishes(abis)))


def answer(bundle: Path, **inputs: np.ndarray) -> str:
    """What the bundle's plan gives here, as the programs of these tests print it: the bits of the first output."""
    found = InferenceSession(bundle).run(None, inputs)[0]
    return " ".join(map(str, found.astype(np.float32).reshape(-1).view(np.int32).tolist()))


def picture_model() -> onnx.ModelProto:
    """picture uint8 [h, w, 3] -> float32 [h, w, 3], times 0.5."""
    shape = ["h", "w", 3]
    half = helper.make_tensor("half", TensorProto.FLOAT, [], [0.5])
    nodes = [
        helper.make_node("Cast", ["picture"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x", "half"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("picture", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [half],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def string_model() -> onnx.ModelProto:
    """x string [n, 3] -> the same, `kept`, and with a mark behind each, `joined`."""
    mark = helper.make_tensor("mark", TensorProto.STRING, [], ["!"])
    nodes = [
        helper.make_node("Identity", ["x"], ["kept"]),
        helper.make_node("StringConcat", ["x", "mark"], ["joined"]),
    ]
    x, kept, joined = (
        helper.make_tensor_value_info(name, TensorProto.STRING, ["n", 3]) for name in ("x", "kept", "joined")
    )
    graph = helper.make_graph(nodes, "g", [x], [kept, joined], [mark])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
