"""Winograd layers in row streams: the bits of the layers one after the other, also where results lie over operands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from edgeort.engine import Engine
from tests.kernels.support import LEVELS, engine, model_of, run_everywhere, same_bits
from tests.reference import library

RNG = np.random.default_rng(11)


@dataclass
class Layer:
    """A convolution, ReLU behind it; what it adds before that is the output of layer `adds`, or -1: the input."""

    channels: int
    kernel: int = 3
    stride: int = 1
    depthwise: bool = False
    adds: int | None = None
    pad: int | None = None  # kernel // 2 when None


PAIR = (Layer(32), Layer(32, adds=-1))
CHAINS: dict[str, tuple[tuple[int, ...], tuple[Layer, ...]]] = {
    "a residual block": ((1, 32, 61, 57), PAIR),
    "two of them, and images": ((2, 32, 47, 50), (Layer(32), *PAIR, Layer(32), Layer(32, adds=2))),
    "channels that fill no vector": ((1, 33, 49, 50), (Layer(33), Layer(33, adds=-1))),
    "three in a row": ((1, 16, 90, 44), (Layer(24), Layer(40), Layer(16))),
    "wide between": ((2, 16, 62, 50), (Layer(64), Layer(64), Layer(16))),
    "the last with stride 2": ((1, 24, 66, 63), (Layer(32), Layer(48, stride=2))),
    "between products": ((1, 64, 56, 55), (Layer(32, 1), Layer(32), Layer(64, 1, adds=-1))),
    "more padding than kernel": ((1, 24, 50, 44), (Layer(32, pad=5), Layer(16, pad=0))),
    "before a depthwise layer": ((1, 32, 53, 58), (Layer(32), Layer(32, 5, depthwise=True), Layer(8, 1))),
    "adds early what it reads": ((1, 32, 48, 49), (Layer(32, adds=-1), Layer(32, adds=-1))),
}


def random(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def build(shape: tuple[int, ...], layers: tuple[Layer, ...]) -> tuple[onnx.ModelProto, np.ndarray, np.ndarray]:
    """The chain as a model behind a ReLU, its input, and its output by the reference."""
    x = random(*shape)
    value = np.maximum(np.ascontiguousarray(x.transpose(0, 2, 3, 1)), 0)
    nodes, constants, made = [helper.make_node("Relu", ["x"], ["y-1"])], {}, {-1: value}
    for i, layer in enumerate(layers):
        c_in, groups = value.shape[3], layer.channels if layer.depthwise else 1
        w = random(layer.channels, c_in // groups, layer.kernel, layer.kernel) / (layer.kernel * 4)
        b, pad, strides = (
            random(layer.channels),
            layer.kernel // 2 if layer.pad is None else layer.pad,
            (layer.stride,) * 2,
        )
        pads = (pad,) * 4
        constants |= {f"w{i}": w, f"b{i}": b}
        attributes = {"group": groups, "strides": strides, "pads": pads}
        nodes.append(helper.make_node("Conv", [f"y{i - 1}", f"w{i}", f"b{i}"], [f"c{i}"], **attributes))
        if layer.kernel == 3 and not layer.depthwise:
            value = library().winograd2d(value, w, b, pad=pad, stride=layer.stride)
        else:
            value = library().conv2d(value, w, b, strides=strides, pads=pads, groups=groups)
        if layer.adds is not None:
            nodes.append(helper.make_node("Add", [f"c{i}", f"y{layer.adds}"], [f"s{i}"]))
            value = value + made[layer.adds]
        nodes.append(helper.make_node("Relu", [nodes[-1].output[0]], [f"y{i}"]))
        value = made[i] = np.maximum(value, 0)
    expected = np.ascontiguousarray(value.transpose(0, 3, 1, 2))
    return model_of(nodes, {"x": x}, constants), x, expected


def streaming(
    model: onnx.ModelProto, x: np.ndarray, folder: Path, *, threads: int = 1, isa: str | None = None
) -> Engine:
    """An engine with less memory than whole tensors take, which are faster on x86-64."""
    free = engine(model, folder, threads=threads, isa=isa)
    free.run([x])
    return engine(model, folder, threads=threads, isa=isa, ram_limit=free.stats.arena_bytes - 64)


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize("name", CHAINS)
def test_the_bits_are_those_of_the_layers(name: str, isa: str, tmp_path: Path) -> None:
    model, x, expected = build(*CHAINS[name])
    ours = streaming(model, x, tmp_path, isa=isa)
    for _ in range(2):
        assert same_bits(ours.run([x])[0], expected)
    assert any(node.skipped for node in ours.nodes if node.op == "WinogradConv")
    assert same_bits(run_everywhere(model, [x], tmp_path)[0], expected)


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_threads_share_whole_strips(threads: int, tmp_path: Path) -> None:
    model, x, expected = build(*CHAINS["wide between"])
    ours = streaming(model, x, tmp_path, threads=threads)
    for _ in range(4):  # where parts are cut depends on who is faster
        assert same_bits(ours.run([x])[0], expected)
    assert any(node.skipped for node in ours.nodes if node.op == "WinogradConv")


def test_the_result_lies_over_the_input_that_one_thread_has_read(tmp_path: Path) -> None:
    layers = (Layer(32), *PAIR, Layer(32), Layer(32, adds=2), Layer(32), Layer(32, adds=4))
    model, x, expected = build((1, 32, 96, 96), layers)
    ours = streaming(model, x, tmp_path)
    assert same_bits(ours.run([x])[0], expected)
    # The input, channels last, holds all results; then there is the last one in the other layout.
    assert ours.stats.arena_bytes < 2.1 * x.nbytes
