"""Convolutions of one channel or a few a group, bit for bit against the plain reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from tests.kernels.support import engine, model_of, run_everywhere, same_bits
from tests.reference import library

RNG = np.random.default_rng(5)


def random(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 3, 15, 16, 17, 33, 64])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2), (7, 1), (1, 1)])
def test_depthwise_has_the_bits_of_the_reference(channels: int, kernel: int, stride: int, tmp_path: Path) -> None:
    x, w, b = random(1, channels, 11, 13), random(channels, 1, kernel, kernel), random(channels)
    pad = kernel // 2
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], group=channels, strides=[stride] * 2, pads=[pad] * 4)
    got = run_everywhere(model_of([node], {"x": x}, {"w": w, "b": b}), [x], tmp_path)[0]
    want = library().conv2d(x.transpose(0, 2, 3, 1), w, b, strides=(stride, stride), pads=(pad,) * 4, groups=channels)
    assert same_bits(got, np.ascontiguousarray(want.transpose(0, 3, 1, 2)))


@pytest.mark.parametrize("shape", [(1, 16, 7, 7), (1, 17, 8, 3), (1, 100, 7, 6), (2, 39, 4, 5), (3, 1040, 2, 9)])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_few_lines_have_the_bits_of_the_reference(
    shape: tuple[int, ...], kernel: int, stride: int, tmp_path: Path
) -> None:
    """Threads share them by channels; of columns of a wider tensor, into columns of another."""
    channels, pad = shape[1], kernel // 2
    x, w, b = random(shape[0], channels + 24, *shape[2:]), random(channels, 1, kernel, kernel), random(channels)
    nodes = [
        helper.make_node("Split", ["x", "sizes"], ["other", "image"], axis=1),
        helper.make_node("Conv", ["image", "w", "b"], ["c"], group=channels, strides=[stride] * 2, pads=[pad] * 4),
        helper.make_node("Conv", ["other", "v"], ["d"], strides=[stride] * 2),
        helper.make_node("Concat", ["d", "c"], ["y"], axis=1),
    ]
    constants = {"w": w, "b": b, "sizes": np.array([24, channels], np.int64), "v": np.zeros((3, 24, 1, 1), np.float32)}
    model = model_of(nodes, {"x": x}, constants)
    conv: dict[str, Any] = {"strides": (stride, stride), "pads": (pad,) * 4, "groups": channels}
    want = library().conv2d(np.ascontiguousarray(x[:, 24:].transpose(0, 2, 3, 1)), w, b, **conv).transpose(0, 3, 1, 2)
    assert same_bits(run_everywhere(model, [x], tmp_path)[0][:, 3:].copy(), np.ascontiguousarray(want))
    seven = engine(model, tmp_path, threads=7)
    assert same_bits(seven.run([x])[0][:, 3:].copy(), np.ascontiguousarray(want))


@pytest.mark.parametrize("channels", [3, 16, 21])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "width"),
    [
        ((7, 7), 1, 1, 17),
        ((13, 13), 1, 1, 6),  # every output has taps outside
        ((1, 9), 1, 1, 24),
        ((3, 3), 1, 2, 9),
        ((4, 2), 3, 1, 26),
        ((3, 1), 2, 4, 8),
        ((7, 7), 1, 1, 1),
    ],
)
def test_depthwise_of_any_kernel_has_the_bits_of_the_reference(
    channels: int, kernel: tuple[int, int], stride: int, dilation: int, width: int, tmp_path: Path
) -> None:
    x, w, b = random(2, channels, 9, width), random(channels, 1, *kernel), random(channels)
    pads = tuple((k - 1) * dilation // 2 for k in kernel)
    geometry: dict[str, Any] = {"strides": (stride, stride), "dilations": (dilation, dilation), "pads": (*pads, *pads)}
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], group=channels, **geometry)
    got = run_everywhere(model_of([node], {"x": x}, {"w": w, "b": b}), [x], tmp_path)[0]
    want = library().conv2d(x.transpose(0, 2, 3, 1), w, b, groups=channels, **geometry)
    assert same_bits(got, np.ascontiguousarray(want.transpose(0, 3, 1, 2)))


@pytest.mark.parametrize(
    ("per_group", "channels"), [(2, 6), (2, 34), (4, 4), (4, 20), (4, 64), (8, 16), (8, 24), (8, 40)]
)
@pytest.mark.parametrize(
    ("kernel", "stride", "width"), [((3, 3), 1, 13), ((3, 3), 2, 9), ((1, 5), 1, 4), ((1, 1), 2, 7)]
)
def test_few_channels_a_group_have_the_bits_of_the_reference(
    per_group: int, channels: int, kernel: tuple[int, int], stride: int, width: int, tmp_path: Path
) -> None:
    x, w, b = random(2, channels, 6, width), random(channels, per_group, *kernel), random(channels)
    pads = tuple(k // 2 for k in kernel)
    geometry: dict[str, Any] = {"strides": (stride, stride), "pads": (*pads, *pads)}
    groups = channels // per_group
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], group=groups, **geometry),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    proto = model_of(nodes, {"x": x}, {"w": w, "b": b})
    got = run_everywhere(proto, [x], tmp_path)[0]
    want = library().conv2d(x.transpose(0, 2, 3, 1), w, b, groups=groups, **geometry)
    assert same_bits(got, np.ascontiguousarray(np.maximum(want, 0).transpose(0, 3, 1, 2)))
    assert ("GroupedConv" in {node.op for node in engine(proto, tmp_path).nodes}) == (groups > 1)


def test_a_hard_swish_behind_depthwise(tmp_path: Path) -> None:
    x, w, b = random(1, 40, 12, 11) * 4, random(40, 1, 5, 5), random(40)
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], group=40, pads=[2] * 4),
        helper.make_node("HardSwish", ["c"], ["y"]),
    ]
    got = run_everywhere(model_of(nodes, {"x": x}, {"w": w, "b": b}), [x], tmp_path)[0]
    want = library().unary("hard_swish", library().conv2d(x.transpose(0, 2, 3, 1), w, b, pads=(2,) * 4, groups=40))
    assert same_bits(got, np.ascontiguousarray(want.transpose(0, 3, 1, 2)))


def test_threads_have_no_copies_that_are_larger_than_a_small_image(tmp_path: Path) -> None:
    """Channels are copied so that the result lies over them, which is to save memory."""
    x, w = random(1, 16, 8, 8), random(16, 1, 3, 3)
    pairs = ("x", "c"), ("c", "y")
    nodes = [helper.make_node("Conv", [a, "w"], [b], group=16, pads=[1] * 4) for a, b in pairs]
    arena = {}
    for threads in (1, 8):
        opened = engine(model_of(nodes, {"x": x}, {"w": w}), tmp_path, threads=threads)
        opened.run([x])
        arena[threads] = opened.stats.arena_bytes
    assert arena[8] < arena[1] + x.nbytes
