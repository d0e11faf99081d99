"""Products, resizes and recurrent networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeort.converters import coreml
from tests.converters.coreml.support import FLOAT32, Graph, check, cleaned


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def test_products(rng: np.random.Generator, tmp_path: Path):
    feeds = {"a": normal(rng, 2, 3, 4, 5), "b": normal(rng, 2, 1, 5, 6), "m": normal(rng, 4, 5), "v": normal(rng, 5)}
    graph = Graph(feeds)
    graph.add("MatMul", "a", "b")
    graph.add("MatMul", "a", normal(rng, 5, 7))
    graph.add("MatMul", "m", normal(rng, 5, 7))
    graph.add("MatMul", normal(rng, 3, 4), "m")
    graph.add("MatMul", "m", "v")
    graph.add("MatMul", "v", normal(rng, 5, 2))
    graph.add("Gemm", "m", normal(rng, 7, 5), normal(rng, 7), transB=1)
    graph.add("Gemm", "m", normal(rng, 5, 7), normal(rng, 1, 7), beta=0.5)
    graph.add("Gemm", "m", normal(rng, 4, 7), normal(rng, 5, 7), alpha=0.3, beta=2.0, transA=1)
    graph.add("Gemm", "m", normal(rng, 5, 7), normal(rng, 4, 1))
    graph.add("Gemm", "m", "m", transB=1)
    check(graph, tmp_path)


EINSUMS = (
    ("abcd,abed->abce", (2, 3, 4, 5), (2, 3, 6, 5)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    ("ij,kj->ik", (3, 4), (5, 4)),
    ("bhwc,hkc->bhwk", (2, 3, 4, 5), (3, 6, 5)), ("ij->ji", (3, 4), None), ("ijk->i", (3, 4, 2), None),
    ("i,j->ij", (3,), (4,)), ("ij,ij->", (3, 4), (3, 4)), ("bctkj,kn->bctnj", (2, 3, 4, 5, 2), (5, 6)),
    ("ij,jk", (3, 4), (4, 2)),
)  # fmt: skip


def test_einsum(rng: np.random.Generator, tmp_path: Path):
    feeds, calls = {}, []
    for index, (equation, *shapes) in enumerate(EINSUMS):
        names = [f"x{index}_{place}" for place, shape in enumerate(shapes) if shape is not None]
        feeds |= {name: normal(rng, *shape) for name, shape in zip(names, shapes, strict=False) if shape is not None}
        calls.append((equation, names))
    graph = Graph(feeds)
    for equation, names in calls:
        graph.add("Einsum", *names, equation=equation)
    check(graph, tmp_path)


@pytest.mark.parametrize("min_os", ["15.0", "17.0"])
def test_resize(min_os: str, rng: np.random.Generator, tmp_path: Path):
    graph = Graph({"x": normal(rng, 1, 2, 5, 6)}, opset=19)
    none = np.zeros(0, np.float32)
    modes = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric")
    for transform in modes:
        for scales in ([1, 1, 2, 2], [1, 1, 1.6, 0.7]):
            for mode in ("nearest", "linear", "cubic"):
                graph.add("Resize", "x", none, np.float32(scales), mode=mode, coordinate_transformation_mode=transform)
        graph.add(
            "Resize", "x", none, none, np.array([1, 2, 10, 9]), mode="linear", coordinate_transformation_mode=transform
        )
    for rounding in ("floor", "ceil", "round_prefer_ceil"):
        graph.add(
            "Resize", "x", none, np.float32([1, 1, 3, 3]), nearest_mode=rounding,
            coordinate_transformation_mode="asymmetric",
        )  # fmt: skip
    graph.add("Resize", "x", none, np.float32([2, 2]), axes=[2, 3])
    graph.add("Resize", "x", none, np.float32([1, 2, 1, 1]), mode="linear")
    graph.add("Resize", "x", none, np.float32([1, 1, 2, 2]), mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1)
    check(graph, tmp_path, coreml.Options(precision="float32", min_os=min_os), tolerance=1e-5)


def test_resize_of_free_sizes(rng: np.random.Generator, tmp_path: Path):
    graph = Graph({"x": normal(rng, 1, 2, 5, 6)}, free=["x"])
    none = np.zeros(0, np.float32)
    for mode, transform in (("nearest", "asymmetric"), ("nearest", "half_pixel"), ("linear", "half_pixel")):
        rounding = {"nearest_mode": "floor"} if transform == "asymmetric" else {}
        graph.add(
            "Resize",
            "x",
            none,
            np.float32([1, 1, 2, 2]),
            mode=mode,
            coordinate_transformation_mode=transform,
            **rounding,
        )
    check(graph, tmp_path, shapes=["x=1,2,4-8,4-8"])


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
def test_recurrent_networks(op: str, rng: np.random.Generator, tmp_path: Path):
    gates, hidden, size, steps, batch = {"LSTM": 4, "GRU": 3, "RNN": 1}[op], 4, 3, 3, 2
    x = normal(rng, steps, batch, size)
    graph = Graph({"x": x, "h1": normal(rng, 1, batch, hidden), "h2": normal(rng, 2, batch, hidden)})
    for direction, count in (("forward", 1), ("reverse", 1), ("bidirectional", 2)):
        if op == "RNN" and count == 2:
            continue
        w = normal(rng, count, gates * hidden, size)
        r = normal(rng, count, gates * hidden, hidden)
        b = normal(rng, count, 2 * gates * hidden)
        outputs = 3 if op == "LSTM" else 2
        common = {"outputs": outputs, "direction": direction, "hidden_size": hidden}
        graph.add(op, "x", w, r, **common)
        state = [f"h{count}"] * (outputs - 1)
        if op == "LSTM":
            peepholes = normal(rng, count, 3 * hidden)
            graph.add(op, "x", w, r, b, None, *state, peepholes, **common)
        elif op == "GRU":
            for linear in (0, 1):
                graph.add(op, "x", w, r, b, None, *state, linear_before_reset=linear, **common)
            graph.add(op, "x", w, r, linear_before_reset=1, **common)
        else:
            graph.add(op, "x", w, r, b, None, *state, activations=["Relu"], **common)
    check(graph, tmp_path)


def test_refused(rng: np.random.Generator, tmp_path: Path):
    """Each with its reason, also those that stand behind another one."""
    feeds = {"x": normal(rng, 6, 2, 3), "image": normal(rng, 1, 1, 8, 8), "lengths": np.array([3, 6])}
    graph = Graph(feeds)
    w, r = normal(rng, 1, 16, 3), normal(rng, 1, 16, 4)
    graph.add("LSTM", "x", w, r, outputs=1, hidden_size=4, clip=1.0)
    graph.add("MaxPool", "image", kernel_shape=[2, 2], dilations=[2, 2])
    graph.add("Einsum", "x", equation="...j->...j")
    behind = graph.add("Cast", "x", to=2)
    graph.add("Cast", behind, to=3)
    graph.add("Relu", graph.add("Round", graph.add("Bernoulli", "x")))
    graph.add("Unsqueeze", "x", np.array([0, 1, 2]))
    model = cleaned(graph.proto(), tmp_path)
    found = [(node.op_type, reason) for node, reason in coreml.refusals(model, FLOAT32)]
    reasons = dict(found)
    assert "clips" in reasons["LSTM"] and "dilated" in reasons["MaxPool"] and "ellipsis" in reasons["Einsum"]
    assert "rank 6" in reasons["Unsqueeze"]
    assert [reason for op, reason in found if op == "Cast"] == [
        "a cast to uint8 has no counterpart", "a cast to int8 has no counterpart"
    ]  # fmt: skip
    assert "Relu" not in reasons
