"""Small models with what the quantiser looks for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.models import model

SIDE = 12


class Net:
    """Nodes and weights of a network in the making; methods return the name of what they add."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def op(self, op_type: str, *inputs: str, **attributes: object) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, list(inputs), [name], name=f"n{len(self.nodes)}", **attributes))
        return name

    def weight(self, *shape: int) -> str:
        return self.constant((self.rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32))

    def conv(self, x: str, inputs: int, outputs: int, kernel: int = 1, group: int = 1, stride: int = 1) -> str:
        weight = self.weight(outputs, inputs // group, kernel, kernel)
        bias = self.constant(self.rng.standard_normal(outputs).astype(np.float32) / 2)
        pads, strides = [kernel // 2] * 4, [stride, stride]
        return self.op("Conv", x, weight, bias, pads=pads, strides=strides, group=group)

    def relu6(self, x: str) -> str:
        return self.op("Clip", x, self.constant(np.float32(0)), self.constant(np.float32(6)))

    def model(
        self, result: str, shape: Sequence[int | str], out: Sequence[int | str], opset: int = 17
    ) -> onnx.ModelProto:
        self.nodes.append(helper.make_node("Identity", [result], ["y"]))
        return model(self.nodes, [("x", shape)], [("y", out)], self.constants, opset)


def mobile(batch: int | str = 1, opset: int = 17, width: int = 16) -> onnx.ModelProto:
    """A stem, an inverted residual block with its Add, a pool and a classifier of 10 classes on [batch, 3, 12, 12]."""
    net = Net()
    stem = net.relu6(net.conv("x", 3, width, 3, stride=2))
    wide = net.relu6(net.conv(stem, width, 2 * width))
    deep = net.relu6(net.conv(wide, 2 * width, 2 * width, 3, group=2 * width))
    added = net.op("Add", net.conv(deep, 2 * width, width), stem)
    last = net.op("Relu", net.conv(added, width, 4 * width))
    flat = net.op("Flatten", net.op("GlobalAveragePool", last))
    bias = net.constant(net.rng.standard_normal(10).astype(np.float32))
    logits = net.op("Gemm", flat, net.weight(10, 4 * width), bias, transB=1)
    return net.model(logits, [batch, 3, SIDE, SIDE], [batch, 10], opset)


def pictures(count: int, seed: int = 1) -> np.ndarray:
    """Smooth inputs of `mobile`, float32 [count, 3, 12, 12], with a mean that is not zero."""
    rng = np.random.default_rng(seed)
    coarse = rng.standard_normal((count, 3, 4, 4)).astype(np.float32)
    return np.repeat(np.repeat(coarse, 3, axis=2), 3, axis=3) + np.float32(0.3)


def samples(count: int, seed: int = 1) -> list[dict[str, np.ndarray]]:
    """The same one by one."""
    return [{"x": picture[np.newaxis]} for picture in pictures(count, seed)]


def save(path: Path, proto: onnx.ModelProto) -> Path:
    onnx.save(proto, path)
    return path
