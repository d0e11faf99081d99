"""Convolutions, pools and normalisations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeort.converters import coreml
from tests.converters.coreml.support import Graph, check


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("min_os", ["15.0", "17.0"])
def test_convolutions(min_os: str, rng: np.random.Generator, tmp_path: Path):
    graph = Graph({"x": normal(rng, 2, 4, 9, 7), "line": normal(rng, 1, 3, 11), "cube": normal(rng, 1, 2, 5, 6, 4)})
    w, b = normal(rng, 6, 4, 3, 3), normal(rng, 6)
    graph.add("Conv", "x", w)
    graph.add("Conv", "x", w, b, pads=[1, 0, 2, 1], strides=[2, 1])
    graph.add("Conv", "x", w, b, dilations=[2, 2], pads=[2, 2, 2, 2])
    for mode in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        graph.add("Conv", "x", w, b, auto_pad=mode, strides=[2, 2])
    graph.add("Conv", "x", normal(rng, 4, 1, 3, 3), normal(rng, 4), group=4, pads=[1, 1, 1, 1])
    graph.add("Conv", "x", normal(rng, 6, 2, 1, 1), b, group=2)
    graph.add("Conv", "line", normal(rng, 4, 3, 5), normal(rng, 4), pads=[2, 2], strides=[2])
    graph.add("Conv", "cube", normal(rng, 3, 2, 2, 3, 2), normal(rng, 3), pads=[1, 0, 0, 0, 1, 1])
    check(graph, tmp_path, coreml.Options(precision="float32", min_os=min_os))


def test_transposed_convolutions(rng: np.random.Generator, tmp_path: Path):
    graph = Graph({"x": normal(rng, 2, 4, 5, 6), "line": normal(rng, 1, 3, 7)})
    w, b = normal(rng, 4, 3, 3, 3), normal(rng, 3)
    graph.add("ConvTranspose", "x", w)
    graph.add("ConvTranspose", "x", w, b, strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])
    graph.add("ConvTranspose", "x", w, b, strides=[3, 2], output_padding=[2, 1])  # beyond the pads: zeros, then bias
    graph.add("ConvTranspose", "x", w, b, strides=[2, 2], output_shape=[10, 12])
    graph.add("ConvTranspose", "x", w, b, strides=[2, 2], auto_pad="SAME_UPPER")
    graph.add("ConvTranspose", "x", w, b, dilations=[2, 1], pads=[0, 1, 2, 0])
    graph.add("ConvTranspose", "x", normal(rng, 4, 2, 2, 2), group=2, strides=[2, 2])
    graph.add("ConvTranspose", "line", normal(rng, 3, 2, 4), normal(rng, 2), strides=[2], pads=[1, 1])
    check(graph, tmp_path)


def test_pools(rng: np.random.Generator, tmp_path: Path):
    graph = Graph({"x": normal(rng, 2, 3, 9, 8), "line": normal(rng, 1, 3, 11), "cube": normal(rng, 1, 2, 5, 6, 4)})
    for op in ("MaxPool", "AveragePool"):
        graph.add(op, "x", kernel_shape=[3, 2])
        graph.add(op, "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 1])
        graph.add(op, "x", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")
        graph.add(op, "x", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
        graph.add(op, "x", kernel_shape=[2, 2], strides=[3, 3], pads=[1, 0, 1, 0], ceil_mode=1)
        graph.add(op, "line", kernel_shape=[4], strides=[3], pads=[1, 2])
        graph.add(op, "cube", kernel_shape=[2, 2, 2])
        graph.add(f"Global{op.removesuffix('Pool')}Pool", "x")
    graph.add("AveragePool", "x", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
    check(graph, tmp_path)


@pytest.mark.parametrize("min_os", ["15.0", "17.0"])
def test_normalisations(min_os: str, rng: np.random.Generator, tmp_path: Path):
    graph = Graph({"x": normal(rng, 2, 6, 5, 4) * 3 + 1, "row": normal(rng, 3, 6), "scale": normal(rng, 4)}, opset=23)
    six, four = [[normal(rng, size) for _ in range(3)] for size in (6, 4)]
    variance = np.abs(normal(rng, 6)) + 0.5
    for value in ("x", "row"):
        graph.add("BatchNormalization", value, *six, variance, epsilon=1e-3)
    graph.add("InstanceNormalization", "x", *six[:2], epsilon=1e-3)
    graph.add("LayerNormalization", "x", *four[:2])
    graph.add("LayerNormalization", "x", normal(rng, 5, 4), axis=2, epsilon=1e-3)
    graph.add("LayerNormalization", "x", "scale")
    graph.add("RMSNormalization", "x", four[0])
    graph.add("GroupNormalization", "x", *six[:2], num_groups=3)
    graph.add("LRN", "x", size=3, alpha=0.1, beta=0.6, bias=1.5)
    graph.add("LpNormalization", "x", axis=1)
    graph.add("LpNormalization", "x", axis=-1, p=1)
    check(graph, tmp_path, coreml.Options(precision="float32", min_os=min_os))


def test_group_normalisation_by_group(rng: np.random.Generator, tmp_path: Path):
    graph = Graph({"x": normal(rng, 2, 6, 5, 4)}, opset=18)
    graph.add("GroupNormalization", "x", normal(rng, 3), normal(rng, 3), num_groups=3)
    check(graph, tmp_path)
