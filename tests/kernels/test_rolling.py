"""Results that lie over what they are made from: the bits of the layers, with less memory."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from edgeort.errors import EdgeortError
from tests.kernels.support import LEVELS, engine, model_of, parse, run_everywhere, same_bits
from tests.reference import library

RNG = np.random.default_rng(17)


def random(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


@dataclass
class Layer:
    """A depthwise convolution, or a pool; ReLU follows."""

    kernel: int
    stride: int = 1
    pad: int | None = None  # kernel // 2 when None
    dilation: int = 1
    pool: str = ""


# Input channels first, and layers; each layer's tensors are large enough to be laid over one another.
CHAINS: dict[str, tuple[tuple[int, ...], tuple[Layer, ...]]] = {
    "small images, by channels": ((1, 100, 14, 13), (Layer(3), Layer(5), Layer(3))),
    "small images, several": ((3, 33, 13, 15), (Layer(5), Layer(3), Layer(5))),
    "small images of stride 2": ((1, 230, 14, 15), (Layer(3, 2), Layer(3))),
    "small images without padding": ((1, 100, 15, 15), (Layer(3), Layer(3, pad=0), Layer(5, pad=0))),
    "few channels": ((2, 5, 29, 31), (Layer(3), Layer(5))),
    "by lines": ((1, 20, 41, 39), (Layer(3), Layer(5), Layer(3))),
    "by lines, several images": ((3, 8, 25, 41), (Layer(5), Layer(3), Layer(3))),
    "by lines, stride 2": ((2, 40, 31, 29), (Layer(5, 2), Layer(3))),
    "by lines, stride 3 and a kernel of 2": ((1, 33, 40, 37), (Layer(2, 3, pad=1), Layer(3))),
    "dilated": ((1, 24, 40, 37), (Layer(3, pad=3, dilation=3), Layer(5, 1, pad=4, dilation=2))),
    "larger than the input": ((1, 16, 33, 31), (Layer(3, pad=4), Layer(3, pad=5))),
    "without padding": ((1, 16, 47, 31), (Layer(7, pad=0), Layer(5, pad=0))),
    "pools": (
        (2, 24, 33, 35),
        (Layer(3, pool="MaxPool"), Layer(3, 2, pool="AveragePool"), Layer(2, pad=0, pool="MaxPool")),
    ),
}


def build(shape: tuple[int, ...], layers: tuple[Layer, ...]) -> tuple[onnx.ModelProto, np.ndarray, np.ndarray]:
    """The chain as a model behind a ReLU, its input, and its output by the reference."""
    x, channels, reference = random(*shape), shape[1], library()
    value = np.maximum(np.ascontiguousarray(x.transpose(0, 2, 3, 1)), 0)
    nodes, constants = [helper.make_node("Relu", ["x"], ["y0"])], {}
    for i, layer in enumerate(layers):
        pad = layer.kernel // 2 if layer.pad is None else layer.pad
        attributes = {"strides": [layer.stride] * 2, "pads": [pad] * 4}
        if layer.pool:
            size = (layer.kernel, layer.kernel)
            nodes.append(helper.make_node(layer.pool, [f"y{i}"], [f"c{i}"], kernel_shape=size, **attributes))
            maximum = layer.pool == "MaxPool"
            value = reference.pool2d(value, size, strides=(layer.stride,) * 2, pads=(pad,) * 4, maximum=maximum)
        else:
            w, b = random(channels, 1, layer.kernel, layer.kernel), random(channels)
            constants |= {f"w{i}": w, f"b{i}": b}
            dilations = (layer.dilation,) * 2
            more = {"group": channels, "dilations": dilations}
            nodes.append(helper.make_node("Conv", [f"y{i}", f"w{i}", f"b{i}"], [f"c{i}"], **attributes, **more))
            strides = (layer.stride,) * 2
            value = reference.conv2d(
                value, w, b, strides=strides, pads=(pad,) * 4, dilations=dilations, groups=channels
            )
        nodes.append(helper.make_node("Relu", [f"c{i}"], [f"y{i + 1}"]))
        value = np.maximum(value, 0)
    expected = np.ascontiguousarray(value.transpose(0, 3, 1, 2))
    return model_of(nodes, {"x": x}, constants), x, expected


@pytest.mark.parametrize("name", CHAINS)
def test_the_bits_are_those_of_the_layers(name: str, tmp_path: Path) -> None:
    model, x, expected = build(*CHAINS[name])
    for isa in LEVELS:
        ours = engine(model, tmp_path, isa=isa)
        for _ in range(2):
            assert same_bits(ours.run([x])[0], expected)
    assert same_bits(run_everywhere(model, [x], tmp_path)[0], expected)


@pytest.mark.parametrize(
    ("name", "threads", "most"),
    [
        ("small images, by channels", 1, 2.3),
        ("small images, by channels", 4, 2.6),
        ("by lines", 1, 2.3),
        ("pools", 1, 2.3),
    ],
)
def test_a_result_takes_little_beside_what_it_is_made_from(
    name: str, threads: int, most: float, tmp_path: Path
) -> None:
    """The input, channels last, holds all; and once more, as it comes from the first layout or goes to it."""
    model, x, expected = build(*CHAINS[name])
    # On x86-64 channels are copied for a limit alone.
    ours = engine(model, tmp_path, threads=threads, ram_limit=int(most * x.nbytes))
    assert same_bits(ours.run([x])[0], expected)
    assert ours.stats.arena_bytes < most * x.nbytes


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="elsewhere they are copied without a limit")
@pytest.mark.parametrize("name", [name for name in CHAINS if name.startswith("small images")])
def test_copied_channels_give_the_bits_of_the_layers_in_less_memory(name: str, tmp_path: Path) -> None:
    """Of two threads: one goes through all lines of a tensor in its place, also without a limit."""
    model, x, expected = build(*CHAINS[name])
    for isa in LEVELS:
        free = engine(model, tmp_path, threads=2, isa=isa)
        free.run([x])
        limit = free.stats.arena_bytes - 64
        ours = engine(model, tmp_path, threads=2, isa=isa, ram_limit=limit)
        for _ in range(2):
            assert same_bits(ours.run([x])[0], expected)
        assert ours.stats.arena_bytes <= limit


def test_what_is_read_again_stays(tmp_path: Path) -> None:
    """A residual around a depthwise layer, and the sum of two layers of one tensor."""
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Conv", ["r", "w"], ["a"], group=24, pads=[1] * 4),
        helper.make_node("MaxPool", ["r"], ["b"], kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Add", ["a", "b"], ["s"]),
        helper.make_node("Conv", ["s", "w"], ["d"], group=24, pads=[1] * 4),
        helper.make_node("Add", ["d", "r"], ["y"]),
    ]
    x, w, reference, zeros = random(1, 24, 40, 31), random(24, 1, 3, 3), library(), np.zeros(24, np.float32)
    model = model_of(nodes, {"x": x}, {"w": w})
    r = np.maximum(np.ascontiguousarray(x.transpose(0, 2, 3, 1)), 0)
    conv = {"pads": (1,) * 4, "groups": 24}
    pooled = reference.pool2d(r, (3, 3), strides=(1, 1), pads=(1,) * 4, maximum=True)
    s = reference.conv2d(r, w, zeros, **conv) + pooled
    expected = reference.conv2d(s, w, zeros, **conv) + r
    got = run_everywhere(model, [x], tmp_path)[0]
    assert same_bits(got, np.ascontiguousarray(expected.transpose(0, 3, 1, 2)))


def test_an_image_of_very_many_lines_is_refused_soon(tmp_path: Path) -> None:
    """Not after a look at each line of what no memory holds."""
    pools = " ".join(f"y{i + 1} = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (y{i})" for i in range(3))
    model = parse(
        f"g (float[1,8,1,1] x) => (float y) {{ y0 = Expand (x, shape) {pools} y = ReduceMax <keepdims = 0> (y3) }}",
        {"shape": np.array([1, 8, 2**31 - 1, 1], np.int64)},
    )
    ours = engine(model, tmp_path, ram_limit=1 << 20)
    begun = time.process_time()
    with pytest.raises(EdgeortError):
        ours.run([random(1, 8, 1, 1)])
    assert time.process_time() - begun < 5
