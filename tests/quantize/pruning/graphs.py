"""Random networks with what ties channels together: residual Adds, Concats, Splits, depthwise convolutions, gates."""

from __future__ import annotations

import numpy as np
import onnx
from hypothesis import strategies as st

from tests.quantize.models import Net

SIDE = 6


class Grower:
    """A network in the making, with the tensors so far and their channels; every choice is drawn."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.net = Net(draw(st.integers(0, 1000)))
        self.tensors = [self.conv("x", 3, draw(st.integers(2, 6)))]

    def conv(self, x: str, inputs: int, outputs: int) -> tuple[str, int]:
        return self.net.conv(x, inputs, outputs, self.draw(st.sampled_from((1, 3)))), outputs

    def pick(self) -> tuple[str, int]:
        return self.draw(st.sampled_from(self.tensors))

    def grow(self) -> None:
        name = self.draw(
            st.sampled_from(("conv", "act", "add", "concat", "split", "deep", "gate", "norm", "pool", "move"))
        )
        self.tensors.append(getattr(self, f"_{name}")(*self.pick()))

    def _conv(self, x: str, size: int) -> tuple[str, int]:
        return self.conv(x, size, self.draw(st.integers(2, 6)))

    def _act(self, x: str, size: int) -> tuple[str, int]:
        return self.net.op(self.draw(st.sampled_from(("Relu", "Sigmoid", "HardSwish"))), x), size

    def _add(self, x: str, size: int) -> tuple[str, int]:
        other, width = self.pick()
        return self.net.op(self.draw(st.sampled_from(("Add", "Mul"))), self.conv(other, width, size)[0], x), size

    def _concat(self, x: str, size: int) -> tuple[str, int]:
        other, width = self.pick()
        return self.net.op("Concat", x, other, axis=1), size + width

    def _split(self, x: str, size: int) -> tuple[str, int]:
        if size < 2:
            return x, size
        sizes = self.net.constant(np.array([1, size - 1], np.int64))
        self.net.nodes.append(
            onnx.helper.make_node("Split", [x, sizes], [f"{x}a", f"{x}b"], name=f"s{len(self.net.nodes)}", axis=1)
        )
        twice = [n for n in self.net.nodes if n.op_type == "Split" and n.input[0] == x]
        if len(twice) > 1:
            self.net.nodes.pop()
        return f"{x}b", size - 1

    def _deep(self, x: str, size: int) -> tuple[str, int]:
        times = self.draw(st.integers(1, 2))
        return self.net.conv(x, size, size * times, 3, group=size), size * times

    def _gate(self, x: str, size: int) -> tuple[str, int]:
        small = self.net.op("Relu", self.net.conv(self.net.op("GlobalAveragePool", x), size, 2))
        return self.net.op("Mul", x, self.net.op("Sigmoid", self.net.conv(small, 2, size))), size

    def _norm(self, x: str, size: int) -> tuple[str, int]:
        scale = self.net.constant(self.net.rng.random((size, 1, 1)).astype(np.float32) + 0.5)
        shift = self.net.constant(self.net.rng.standard_normal((1, size, 1, 1)).astype(np.float32))
        return self.net.op("Add", self.net.op("Mul", scale, x), shift), size

    def _pool(self, x: str, size: int) -> tuple[str, int]:
        return self.net.op("MaxPool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1]), size

    def _move(self, x: str, size: int) -> tuple[str, int]:
        last = self.net.op("Relu", self.net.op("Transpose", x, perm=[0, 2, 3, 1]))
        return self.net.op("Transpose", last, perm=[0, 3, 1, 2]), size


@st.composite
def networks(draw: st.DrawFn) -> onnx.ModelProto:
    """A network of up to eight operations and a classifier of five classes behind Flatten or a pool."""
    grower = Grower(draw)
    for _ in range(draw(st.integers(1, 8))):
        grower.grow()
    (x, size), net = grower.tensors[-1], grower.net
    if draw(st.booleans()):
        x = net.op("GlobalAveragePool", x)
    else:
        size *= SIDE * SIDE
    flat = net.op("Flatten", x)
    logits = net.op("Gemm", flat, net.weight(5, size), net.constant(np.zeros(5, np.float32)), transB=1)
    return net.model(logits, [1, 3, SIDE, SIDE], [1, 5])
