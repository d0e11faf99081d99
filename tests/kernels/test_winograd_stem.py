"""WinogradStemConv against the direct sum, against its reference bit for bit, and in row streams."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

from edgeort.lowering import layout, winograd_stem
from tests.kernels.support import engine, run_both, run_everywhere, same_bits
from tests.reference import library

RNG = np.random.default_rng(0)
Pads = tuple[int, int, int, int]
# Every number of outputs in the last tile; one run of tiles and several; channels that fill no vector, and no panel.
CASES: list[tuple[tuple[int, int], Pads, int]] = [
    ((56, 64), (3, 3, 3, 3), 64),
    ((41, 43), (3, 3, 3, 3), 33),
    ((33, 290), (0, 0, 1, 1), 16),
    ((61, 56), (2, 3, 3, 2), 5),
    ((37, 55), (3, 3, 9, 12), 40),
    ((21, 600), (9, 6, 2, 40), 24),
]


def random(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def model(x: np.ndarray, w: np.ndarray, b: np.ndarray, pads: Pads, *behind: onnx.NodeProto) -> onnx.ModelProto:
    """The layer makes c, what is behind it y."""
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], strides=[2, 2], pads=pads), *behind]
    constants = [onnx.numpy_helper.from_array(array, name) for name, array in (("w", w), ("b", b))]
    inputs = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, x.shape)]
    outputs = [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def terms(w: np.ndarray) -> np.ndarray:
    """[o, TERMS] as a plan has them."""
    panels = winograd_stem.pack(w).reshape(-1, winograd_stem.TERMS, layout.PANEL)
    return panels.transpose(0, 2, 1).reshape(-1, winograd_stem.TERMS)[: len(w)]


IDENTITY = helper.make_node("Identity", ["c"], ["y"])


@pytest.mark.parametrize(("size", "pads", "channels"), CASES)
def test_bits_of_the_reference_and_a_bounded_error(
    size: tuple[int, int], pads: Pads, channels: int, tmp_path: Path
) -> None:
    x, w, b = random(2, 3, *size), random(channels, 3, 7, 7) / 12, random(channels)
    proto = model(x, w, b, pads, IDENTITY)
    assert [n.op for n in engine(proto, tmp_path).nodes].count("WinogradStemConv") == 1
    got = run_everywhere(proto, [x], tmp_path)[0]
    pixels = x.transpose(0, 2, 3, 1)
    want = library().winograd_stem(pixels, terms(w), b, pads=pads)
    assert same_bits(got, np.ascontiguousarray(want.transpose(0, 3, 1, 2)))
    padded = np.pad(pixels, ((0, 0), (pads[0], pads[2]), (pads[1], pads[3]), (0, 0))).astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7), axis=(1, 2))[:, ::2, ::2]
    exact = np.einsum("nyxcij,ocij->noyx", windows, w.astype(np.float64), optimize=True) + b[:, None, None]
    error, scale = np.abs(got - exact), np.abs(exact).max()
    assert error.max() < 5e-6 * scale
    assert np.sqrt((error**2).mean()) < 5e-7 * scale


@pytest.mark.parametrize(
    "behind",
    [
        [helper.make_node("Relu", ["c"], ["y"])],
        [helper.make_node("Sigmoid", ["c"], ["s"]), helper.make_node("Mul", ["c", "s"], ["y"])],
        [helper.make_node("HardSwish", ["c"], ["y"])],
    ],
    ids=["relu", "silu", "hard swish"],
)
@pytest.mark.parametrize(("size", "pads", "channels"), CASES[:2])
def test_epilogues(
    size: tuple[int, int], pads: Pads, channels: int, behind: list[onnx.NodeProto], tmp_path: Path
) -> None:
    x, w, b = random(2, 3, *size), random(channels, 3, 7, 7) / 12, random(channels)
    run_both(model(x, w, b, pads, *behind), [x], tmp_path, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(97, 131), (224, 224), (67, 300)])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (2, 1), (5, 3)])
def test_in_a_stream(size: tuple[int, int], kernel: int, stride: int, tmp_path: Path) -> None:
    """Strips of four lines into a ring, from which a pool reads windows that begin anywhere in one."""
    x, w, b = random(1, 3, *size), random(24, 3, 7, 7) / 12, random(24)
    pool = helper.make_node(
        "MaxPool", ["d"], ["y"], kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4
    )
    proto = model(x, w, b, (3, 3, 3, 3), helper.make_node("Relu", ["c"], ["d"]), pool)
    ours = engine(proto, tmp_path)
    ours.run([x])
    assert [(n.op, n.skipped) for n in ours.nodes][:2] == [("WinogradStemConv", True), ("MaxPool", False)]
    got = run_everywhere(proto, [x], tmp_path)[0]
    lines = np.maximum(library().winograd_stem(x.transpose(0, 2, 3, 1), terms(w), b), 0)
    pads = ((0, 0), *[(kernel // 2, kernel // 2)] * 2, (0, 0))
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(lines, pads, constant_values=-np.inf), (kernel, kernel), axis=(1, 2)
    )
    want = windows[:, ::stride, ::stride].max(axis=(-2, -1)).transpose(0, 3, 1, 2)
    assert np.array_equal(got, want)


def test_sizes_that_only_a_run_knows(tmp_path: Path) -> None:
    x, w, b = random(1, 3, 40, 50), random(20, 3, 7, 7) / 12, random(20)
    proto = model(x, w, b, (3, 3, 3, 3), IDENTITY)
    for axis, name in ((0, "n"), (2, "h"), (3, "w")):
        proto.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    engines = [engine(proto, tmp_path, threads=threads) for threads in (1, 2)]
    assert "WinogradStemConv" in [n.op for n in engines[0].nodes]
    for shape in ((3, 3, 40, 51), (1, 3, 1, 2), (0, 3, 30, 30), (1, 3, 2, 530)):
        x = random(*shape)
        want = library().winograd_stem(x.transpose(0, 2, 3, 1), terms(w), b).transpose(0, 3, 1, 2)
        for ours in engines:
            assert same_bits(ours.run([x])[0], np.ascontiguousarray(want))


def test_it_is_not_chosen_where_it_does_not_pay() -> None:
    def pays(weight: tuple[int, ...], *size: int | str) -> bool:
        shape = ir.Shape([1, *size, weight[0]])
        return winograd_stem.pays(np.empty(weight), ir.Value(name="y", shape=shape))

    assert pays((64, 3, 7, 7), 112, 112) and pays((1, 3, 7, 7), 112, 112) and pays((64, 3, 7, 7), "h", "w")
    assert not pays((64, 3, 7, 7), 8, 8) and not pays((64, 3, 7, 7), 1, 300)
    assert not pays((64, 3, 3, 3), 112, 112)


def test_terms_of_a_tap_are_those_of_its_points() -> None:
    """A single tap of 1 at the outermost corner: the highest powers of the points by the factors, 1 at infinity."""
    w = np.zeros((1, 3, 7, 7), np.float32)
    w[0, 1, 6, 6] = 1
    found = terms(w)[0]
    assert found[-3:].tolist() == [0, 1, 0]  # both at infinity
    point = winograd_stem.POINTS[2]
    factor = np.prod([point - other for other in winograd_stem.POINTS if other != point])
    line, place = 2 * (6 * 12 + 6), 2 * 12
    expected = np.float32((point**3 / factor) ** 2)
    assert found[line + place + 1] == expected and not found[line + place + 3 : line + place + 12].any()
