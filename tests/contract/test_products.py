"""Every row of the matrix, convolution and depthwise kernels against the reference, at odd sizes and with tails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from tests.contract.engines import LANES, check, graph, levels, nchw, plan_of, rows, values
from tests.reference import library as reference

TILES = [(int(r), int(v) * LANES[level]) for level, r, v in rows("gemm", "TILE") if level in levels()]
HALVES = [(int(r), LANES[level] // 2) for level, r in rows("gemm", "HALF") if level in levels()]
DEPTHWISE = [tuple(map(int, row)) for row in rows("conv", "DEPTHWISE")]


@pytest.mark.parametrize(("tile_rows", "columns"), sorted({*TILES, *HALVES}))
@pytest.mark.parametrize("k", [1, 6, 131])
def test_every_tile(tile_rows: int, columns: int, k: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(tile_rows * columns + k)
    for n in sorted({columns - 1, columns, 2 * columns + 3}):
        w, b = values(rng, k, n), values(rng, n)
        nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y"])]
        model = graph(nodes, {"x": ["m", k]}, ["y"], {"w": w, "b": b})
        runs = []
        for m in sorted({1, tile_rows - 1, tile_rows, tile_rows + 1, 5 * tile_rows + 2} - {0}):
            x = values(rng, m, k)
            runs.append(([x], reference().gemm(x, w, b)))
        check(model, tmp_path, *runs)


@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (7, 5, 17), (33, 64, 100), (3, 300, 2)])
def test_products_of_two_inputs(m: int, k: int, n: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(m * k * n)
    a, b = values(rng, 3, m, k), values(rng, 3, k, n)
    want = np.stack([reference().gemm(x, y) for x, y in zip(a, b, strict=True)])
    nodes = [helper.make_node("MatMul", ["a", "b"], ["y"])]
    check(graph(nodes, {"a": ["batch", "m", "k"], "b": ["batch", "k", "n"]}, ["y"]), tmp_path, ([a, b], want))


@pytest.mark.parametrize("seed", range(24))
def test_convolutions(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    groups = int(rng.choice([1, 1, 1, 2, 4]))
    ci, co = groups * int(rng.integers(1, 20)), groups * int(rng.integers(1, 40))
    if seed < 4:
        groups, ci = 1, 3  # few channels: kernel rows are one tap, through a padded copy
    kernel, strides = (tuple(int(v) for v in rng.integers(1, top, 2)) for top in (6, 4))
    dilations = tuple(int(v) for v in rng.choice([1, 1, 2, 3], 2))
    pads = tuple(int(v) for v in rng.integers(0, 4, 4))
    w, b = values(rng, co, ci // groups, *kernel), values(rng, co)
    node = helper.make_node(
        "Conv",
        ["x", "w", "b"],
        ["y"],
        strides=strides,
        dilations=dilations,
        pads=pads,
        group=groups,
        kernel_shape=kernel,
    )
    model = graph([node], {"x": ["n", ci, "h", "w"]}, ["y"], {"w": w, "b": b})
    runs = []
    for batch, extra in ((1, (0, 0)), (2, (3, 10)), (1, (17, 9))):
        size = [dilations[i] * (kernel[i] - 1) + 1 + extra[i] for i in (0, 1)]
        x = values(rng, batch, *size, ci)
        want = reference().conv2d(x, w, b, strides=strides, dilations=dilations, pads=pads, groups=groups)  # type: ignore[arg-type]
        runs.append(([nchw(x)], nchw(want)))
    check(model, tmp_path, *runs)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("channels", [(32, 64), (67, 49)])
def test_winograd(channels: tuple[int, int], stride: int, tmp_path: Path) -> None:
    """Every number of outputs in the last tile, few and many tiles, and values that overflow."""
    ci, co = channels
    rng = np.random.default_rng(ci * stride)
    w, b = values(rng, co, ci, 3, 3), values(rng, co)
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], strides=[stride] * 2, pads=[1] * 4)
    model = graph([node], {"x": ["n", ci, "h", "w"]}, ["y"], {"w": w, "b": b})
    assert b"WinogradConv" in plan_of(model)
    runs = []
    for n, height, width in ((2, 1, 2), (1, 3, 13), (3, 4, 5), (1, 41, 62), (1, 14, 11)):
        x = values(rng, n, height * stride, width * stride, ci)
        for scale in (1, 2.0**120):
            large = x * np.float32(scale)
            runs.append(([nchw(large)], nchw(reference().winograd2d(large, w, b, pad=1, stride=stride))))
    check(model, tmp_path, *runs)


@pytest.mark.parametrize(("width", "stride", "pixels"), [*DEPTHWISE, (2, 1, 1), (7, 3, 1)])
@pytest.mark.parametrize("channels", [1, 8, 19, 48])
@pytest.mark.parametrize("left", [0, 1])  # columns fewer than half a kernel
def test_depthwise_rows(width: int, stride: int, pixels: int, channels: int, left: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(width * channels)
    w, b = values(rng, channels, 1, width, width), values(rng, channels)
    pads = (width // 2, width // 2 - left, width // 2, width // 2)
    attributes = {"strides": (stride, stride), "pads": pads}
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], group=channels, **attributes)
    model = graph([node], {"x": ["n", channels, "h", "w"]}, ["y"], {"w": w, "b": b})
    runs = []
    for size in (width, width + stride * (pixels - 1), width + stride * (2 * pixels + 1), 61, 131):
        x = values(rng, 1, 9, size, channels)
        want = reference().conv2d(x, w, b, strides=(stride, stride), pads=pads, groups=channels)
        runs.append(([nchw(x)], nchw(want)))
    check(model, tmp_path, *runs)


STEMS = [(int(p), int(v) * LANES[level]) for level, p, v in rows("conv", "STEM") if level in levels()]


@pytest.mark.parametrize("kernel", [3, 7])
@pytest.mark.parametrize(("pixels", "columns"), STEMS)
def test_stems(pixels: int, columns: int, kernel: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(pixels * columns)
    for channels in (columns - 1, columns, 2 * columns + 3):
        w, b = values(rng, channels, 3, kernel, kernel), values(rng, channels)
        sizes = {"strides": (2, 2), "pads": (kernel // 2,) * 4}
        node = helper.make_node("Conv", ["x", "w", "b"], ["y"], **sizes)
        runs = []
        for width in (1, 2 * pixels - 1, 2 * pixels, 6 * pixels + 5):
            x = values(rng, 2, 7, width, 3)
            runs.append(([nchw(x)], nchw(reference().conv2d(x, w, b, **sizes))))
        if kernel == 3:
            check(graph([node], {"x": ["n", 3, "h", "w"]}, ["y"], {"w": w, "b": b}), tmp_path, *runs)
            continue
        for run in runs[:-1]:  # 7x7 of free or larger sizes is a WinogradStemConv
            check(graph([node], {"x": [*run[0][0].shape]}, ["y"], {"w": w, "b": b}), tmp_path, run)


@pytest.mark.parametrize("seed", range(10))
def test_transposed_convolutions(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    groups = int(rng.choice([1, 2]))
    ci, per_group = groups * int(rng.integers(1, 9)), int(rng.integers(1, 20))
    kernel = tuple(int(v) for v in rng.integers(2, 5, 2))
    strides = tuple(int(v) for v in rng.integers(1, 4, 2))
    dilations = tuple(int(v) for v in rng.choice([1, 2], 2))
    pads = tuple(int(v) for v in rng.integers(0, 2, 4))
    more = tuple(int(rng.integers(0, max(strides[i], dilations[i]))) for i in (0, 1))
    w, b = values(rng, ci, per_group, *kernel), values(rng, per_group * groups)
    sizes = {"strides": strides, "dilations": dilations, "pads": pads, "output_padding": more}
    node = helper.make_node("ConvTranspose", ["x", "w", "b"], ["y"], group=groups, **sizes)
    model = graph([node], {"x": ["n", ci, "h", "w"]}, ["y"], {"w": w, "b": b})
    runs = []
    for shape in ((1, 4, 4), (2, 3, 13)):
        x = values(rng, *shape, ci)
        runs.append(([nchw(x)], nchw(reference().conv_transpose2d(x, w, b, groups=groups, **sizes))))  # type: ignore[arg-type]
    check(model, tmp_path, *runs)


@pytest.mark.parametrize("channels", [1, 3, 24])
@pytest.mark.parametrize(
    ("kernel", "strides"), [((2, 2), (2, 2)), ((4, 3), (2, 3)), ((3, 4), (2, 2)), ((2, 2), (3, 3))]
)
def test_transposed_convolutions_with_an_epilogue(
    channels: int, kernel: tuple[int, int], strides: tuple[int, int], tmp_path: Path
) -> None:
    """Kernels as wide as the stride are one product a line; the program runs over all phases, also of few lines."""
    rng = np.random.default_rng(channels)
    w, b, scale = values(rng, 9, channels, *kernel), values(rng, channels), values(rng, channels, 1, 1)
    nodes = [
        helper.make_node("ConvTranspose", ["x", "w", "b"], ["c"], strides=strides),
        helper.make_node("Sigmoid", ["c"], ["s"]),
        helper.make_node("Mul", ["s", "scale"], ["t"]),
        helper.make_node("Add", ["t", "r"], ["y"]),
    ]
    for shape in ((2, 9, 11), (1, 1, 67)):
        x = values(rng, *shape, 9)
        c = reference().conv_transpose2d(x, w, b, strides=strides)
        r = values(rng, *c.shape)
        inputs = {"x": list(nchw(x).shape), "r": list(nchw(r).shape)}
        want = nchw(reference().unary("sigmoid", c) * scale[:, 0, 0] + r)
        check(graph(nodes, inputs, ["y"], {"w": w, "b": b, "scale": scale}), tmp_path, ([nchw(x), nchw(r)], want))


@pytest.mark.parametrize("depthwise", [False, True])
def test_epilogues_are_the_same_operations(depthwise: bool, tmp_path: Path) -> None:
    """A fused SiLU and residual sum have the bits of the separate ones."""
    rng = np.random.default_rng(5)
    ci, co = (21, 21) if depthwise else (9, 37)
    w = values(rng, co, 1 if depthwise else ci, 3, 5)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 2, 1, 2], group=ci if depthwise else 1),
        helper.make_node("Sigmoid", ["c"], ["s"]),
        helper.make_node("Mul", ["c", "s"], ["t"]),
        helper.make_node("Add", ["t", "r"], ["u"]),
        helper.make_node("Relu", ["u"], ["y"]),
    ]
    model = graph(nodes, {"x": ["n", ci, "h", "w"], "r": ["n", co, "h", "w"]}, ["y"], {"w": w})
    x, r = values(rng, 2, 9, 11, ci), values(rng, 2, 9, 11, co)
    c = reference().conv2d(x, w, pads=(1, 2, 1, 2), groups=ci if depthwise else 1)
    u = reference().unary("silu", c) + r
    check(model, tmp_path, ([nchw(x), nchw(r)], nchw(np.where(u < 0, np.float32(0), u))))
