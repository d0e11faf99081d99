"""Small models for the tests of what stands around the kernels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgeort import device_profiles

_HOST = device_profiles.load("host")
# This machine with no provider to choose: what is built for it has the same bytes each time, whatever is installed.
HOST = dataclasses.replace(_HOST, runtime=dataclasses.replace(_HOST.runtime, providers=("cpu",)))
ON_HOST = ("--device", "host", "--provider", "cpu")  # the same on the command line


def mlp(batch: int | str = "N", features: int = 8, hidden: int = 37, seed: int = 0) -> onnx.ModelProto:
    """x [batch, features] -> Gemm, Relu, MatMul -> y [batch, 5], with random weights."""
    rng = np.random.default_rng(seed)
    weights = {"w": (features, hidden), "b": (hidden,), "w2": (hidden, 5)}
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], name="fc1"),
        helper.make_node("Relu", ["h"], ["r"], name="act"),
        helper.make_node("MatMul", ["r", "w2"], ["y"], name="fc2"),
    ]
    constants = [
        numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name) for name, shape in weights.items()
    ]
    return model(nodes, [("x", [batch, features])], [("y", [batch, 5])], constants)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[tuple[str, Sequence[int | str]]],
    outputs: Sequence[tuple[str, Sequence[int | str]]],
    constants: Sequence[onnx.TensorProto] = (),
    opset: int = 17,
) -> onnx.ModelProto:
    """A model of float32 inputs and outputs."""
    infos = [
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in values] for values in (inputs, outputs)
    ]
    graph = helper.make_graph(list(nodes), "g", *infos, list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def conv(folder: Path) -> Path:
    """x [N, 3, H, W] -> 3x3 convolution, Relu -> y."""
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.standard_normal((5, 3, 3, 3)).astype(np.float32), "w"),
        numpy_helper.from_array(rng.standard_normal(5).astype(np.float32), "b"),
    ]
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1] * 4), helper.make_node("Relu", ["c"], ["y"])]
    found = folder / "conv.onnx"
    onnx.save(model(nodes, [("x", ["N", 3, "H", "W"])], [("y", ["N", 5, "H", "W"])], weights), found)
    return found
