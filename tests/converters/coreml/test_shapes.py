"""Shapes, moves, pads, reductions, indices, with fixed and with free dimensions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper

from edgeort.converters import coreml
from tests.converters.coreml.support import FLOAT32, Graph, check, cleaned, evaluate, reference

I64 = np.int64


def test_reductions(rng: np.random.Generator, tmp_path: Path):
    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    graph = Graph({"x": x, "p": np.abs(x) + 0.1, "i": rng.integers(-9, 9, (3, 4))})
    for op in ("Mean", "Sum", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSumExp"):
        graph.add(f"Reduce{op}", "x", np.array([1, -1]), keepdims=0)
        graph.add(f"Reduce{op}", "x", np.array([1]))
        graph.add(f"Reduce{op}", "x")
    graph.add("ReduceLogSum", "p", np.array([0]))
    graph.add("ReduceMean", "x", noop_with_empty_axes=1)
    for op in ("ReduceSum", "ReduceMax"):
        graph.add(op, "i", np.array([0]))
    for op in ("ArgMax", "ArgMin"):
        graph.add(op, "x", axis=1)
        graph.add(op, "x", axis=-1, keepdims=0)
    graph.add("TopK", "x", np.array([2]), outputs=2, axis=1)
    graph.add("TopK", "x", np.array([3]), outputs=2, largest=0)
    graph.add("CumSum", "x", np.array(1))
    graph.add("CumSum", "x", np.array(2), exclusive=1, reverse=1)
    check(graph, tmp_path)


def test_shape_changes(rng: np.random.Generator, tmp_path: Path):
    x = rng.standard_normal((2, 3, 4, 6)).astype(np.float32)
    graph = Graph({"x": x, "one": x[:, :1, :1], "b": x > 0})
    for target in ([4, -1], [0, 0, -1], [2, 0, 24], [-1]):
        graph.add("Reshape", "x", np.array(target))
    for axis in (0, 1, 2, 4, -1):
        graph.add("Flatten", "x", axis=axis)
    graph.add("Squeeze", "one")
    graph.add("Squeeze", "one", np.array([-3]))
    flat = graph.add("ReduceSum", "x", np.array([0]), keepdims=0)
    graph.add("Unsqueeze", flat, np.array([0, -1]))
    for value in ("one", "b"):
        graph.add("Expand", value, np.array([2, 2, 3, 4, 6] if value == "b" else [1, 3, 4, 1]))
        graph.add("Tile", value, np.array([1, 2, 1, 3]))
    graph.add("Transpose", "x")
    graph.add("Transpose", "b", perm=[0, 2, 3, 1])
    graph.add("Concat", "x", "x", np.ones((2, 3, 4, 1), np.float32), axis=-1)
    graph.add("Split", "x", np.array([1, 2]), outputs=2, axis=1)
    graph.add("Split", "x", outputs=2, axis=-1, num_outputs=2)
    y = graph.add("Concat", "x", "x", axis=1)
    graph.add("DepthToSpace", graph.add("Concat", y, y, axis=1), blocksize=2)
    graph.add("DepthToSpace", graph.add("Concat", y, y, axis=1), blocksize=2, mode="CRD")
    graph.add("SpaceToDepth", "x", blocksize=2)
    for upper in (0, 1):
        for k in (0, 1, -2):
            graph.add("Trilu", "x", np.array(k), upper=upper)
    check(graph, tmp_path)


def test_slices_and_pads(rng: np.random.Generator, tmp_path: Path):
    x = rng.standard_normal((3, 4, 6, 5)).astype(np.float32)
    graph = Graph({"x": x, "i": np.arange(12).reshape(3, 4)})
    end = np.iinfo(I64).max
    for starts, ends, axes, steps in (
        ([1], [3], [2], [1]), ([-2], [end], [1], [1]), ([0, 1], [end, -1], [0, 3], [2, 1]), ([-1], [-end], [2], [-1]),
        ([4], [1], [3], [-2]), ([-100], [100], [1], [1]),
    ):  # fmt: skip
        graph.add("Slice", "x", *(np.array(part) for part in (starts, ends, axes, steps)))
    graph.add("Slice", "i", np.array([1, 0]), np.array([3, 2]))
    plane, all_axes = [0, 0, 1, 2, 0, 0, 2, 1], [1, 1, 0, 2, 0, 2, 1, 0]
    for pads in (plane, all_axes):
        for mode in ("constant", "reflect", "edge", "wrap"):
            graph.add("Pad", "x", np.array(pads), mode=mode)
    graph.add("Pad", "x", np.array([0, -1, 1, 0, 0, 0, -2, 0]), np.float32(1.5))
    graph.add("Pad", "x", np.array([1, 2]), np.float32(-1), np.array([-2]))
    graph.add("Pad", "i", np.array([1, 0, 0, 1]), np.int64(7))
    check(graph, tmp_path)


@pytest.mark.parametrize("min_os", ["15.0", "17.0"])
def test_indices(min_os: str, rng: np.random.Generator, tmp_path: Path):
    x = rng.standard_normal((3, 4, 5)).astype(np.float32)
    feeds = {
        "x": x,
        "b": x > 0,
        "i": np.array([2, 0, 1]),
        "e": rng.integers(0, 4, (3, 2, 5)),
        "n": np.array([[0, 1], [2, 3]]),
    }
    graph = Graph(feeds)
    graph.add("Gather", "x", "i")
    graph.add("Gather", "x", np.array([[1, -1], [0, -2]]), axis=1)
    graph.add("Gather", "x", np.array(1), axis=2)
    graph.add("Gather", "b", "i")
    graph.add("GatherElements", "x", "e", axis=1)
    graph.add("GatherElements", "x", np.array([[[1, 0, 2, 1, 1]]]), axis=0)
    graph.add("GatherND", "x", "n")
    if min_os != "15.0":
        graph.add("GatherND", "x", np.array([[[1]], [[0]], [[3]]]), batch_dims=1)
    updates = rng.standard_normal((3, 2, 5)).astype(np.float32)
    where = np.tile(np.array([[3, 0], [1, 2], [0, 1]])[:, :, None], (1, 1, 5))
    for reduction in ("none", "add"):
        graph.add("ScatterElements", "x", where, updates, axis=1, reduction=reduction)
        graph.add("ScatterND", "x", np.array([[0, 1], [2, 0]]), updates[0], reduction=reduction)
    graph.add("OneHot", "i", np.array(4), np.float32([-1, 2]))
    graph.add("OneHot", "i", np.array(3), np.array([0, 1]), axis=0)
    graph.add("NonZero", "b")
    graph.add("ReverseSequence", "x", np.array([3, 1, 2, 2]))
    check(graph, tmp_path, coreml.Options(precision="float32", min_os=min_os))


def test_what_follows_free_dimensions(rng: np.random.Generator, tmp_path: Path):
    x = rng.standard_normal((2, 5, 4)).astype(np.float32)
    graph = Graph({"x": x}, free=["x"])
    size = graph.add("Shape", "x")
    graph.add("Shape", "x", start=1, end=2)
    graph.add("Size", "x")
    batch = graph.add("Gather", size, np.array([0]))
    length = graph.add("Gather", size, np.array(1))
    graph.add("Reshape", "x", graph.add("Concat", batch, np.array([-1]), axis=0))
    graph.add("Reshape", "x", np.array([0, 2, 2, -1]))
    graph.add("Flatten", "x")
    steps = graph.add("Range", np.int64(0), length, np.int64(1))
    graph.add(
        "Expand", graph.add("Unsqueeze", steps, np.array([0])), graph.add("Slice", size, np.array([0]), np.array([2]))
    )
    graph.add("ConstantOfShape", size, value=numpy_helper.from_array(np.float32([1.5])))
    graph.add("Slice", "x", np.array([1]), graph.add("Unsqueeze", length, np.array([0])), np.array([1]))
    graph.add("Slice", "x", np.array([-1]), np.array([-np.iinfo(I64).max]), np.array([1]), np.array([-1]))
    graph.add("Div", graph.add("Mul", length, np.int64(3)), np.int64(2))
    graph.add("Where", graph.add("Greater", "x", np.float32(0)), "x", np.float32(-2))
    graph.add("Split", "x", outputs=2, axis=2, num_outputs=2)
    graph.add("Tile", "x", np.array([1, 2, 1]))
    graph.add("Softmax", "x", axis=1)
    graph.add("MatMul", "x", graph.add("Transpose", "x", perm=[0, 2, 1]))
    folder, proto = tmp_path, graph.proto()
    check(graph, folder, shapes=["x=1-4,2-9,4"])
    package = coreml.emit(cleaned(proto, folder, ["x=1-4,2-9,4"]), FLOAT32)
    assert package.inputs[0].shape == ("1-4", "2-9", 4)
    other = {"x": rng.standard_normal((3, 8, 4)).astype(np.float32)}
    found, want = evaluate(package, other, folder), reference(proto, other)
    for name, array in want.items():
        np.testing.assert_allclose(found[name], array.reshape(array.shape or (1,)), rtol=1e-5, atol=1e-5, err_msg=name)
