"""Convolutions: against ONNX Runtime over odd geometries, and bit for bit against the plain reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from edgeort.lowering import winograd
from tests.kernels.support import engine, model_of, run_both, run_everywhere, same_bits
from tests.reference import library

RNG = np.random.default_rng(0)


def random(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


EPILOGUES: dict[str, list[onnx.NodeProto]] = {
    "none": [helper.make_node("Identity", ["c"], ["y"])],
    "relu": [helper.make_node("Relu", ["c"], ["y"])],
    "silu": [helper.make_node("Sigmoid", ["c"], ["s"]), helper.make_node("Mul", ["c", "s"], ["y"])],
    "residual": [helper.make_node("Add", ["c", "r"], ["d"]), helper.make_node("Relu", ["d"], ["y"])],
}


@st.composite
def convolutions(draw: Any) -> dict[str, Any]:
    spatial = draw(st.integers(1, 3))
    group = draw(st.sampled_from((1, 1, 2, 3, 17)))
    depthwise = draw(st.booleans())
    per_in = 1 if depthwise else draw(st.sampled_from((1, 3, 5, 16)))
    per_out = 1 if depthwise else draw(st.sampled_from((1, 4, 16, 17, 33)))
    axis = st.lists(st.integers(1, 3), min_size=spatial, max_size=spatial)
    kernel = draw(st.lists(st.integers(1, 5), min_size=spatial, max_size=spatial))
    return {
        "group": group,
        "channels": (per_in * group, per_out * group),
        "kernel_shape": kernel,
        "strides": draw(axis),
        "dilations": draw(st.lists(st.integers(1, 2), min_size=spatial, max_size=spatial)),
        "pads": draw(st.lists(st.integers(0, 2), min_size=2 * spatial, max_size=2 * spatial)),
        "size": draw(st.lists(st.integers(9, 17), min_size=spatial, max_size=spatial)),
        "batch": draw(st.integers(1, 2)),
        "epilogue": draw(st.sampled_from(("none", "relu", "silu"))),
    }


@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
def test_any_geometry(op: str, tmp_path: Path) -> None:
    @settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    @given(convolutions())
    def check(c: dict[str, Any]) -> None:
        c_in, c_out = c["channels"]
        shape = (c_out, c_in // c["group"]) if op == "Conv" else (c_in, c_out // c["group"])
        pads = c["pads"]
        if op == "ConvTranspose":
            pads = [min(p, k - 1) for p, k in zip(pads, c["kernel_shape"] * 2, strict=True)]
        attributes = {name: c[name] for name in ("group", "kernel_shape", "strides", "dilations")}
        node = helper.make_node(op, ["x", "w", "b"], ["c"], pads=pads, **attributes)
        x = random(c["batch"], c_in, *c["size"])
        constants = {"w": random(*shape, *c["kernel_shape"]), "b": random(c_out)}
        run_both(model_of([node, *EPILOGUES[c["epilogue"]]], {"x": x}, constants), [x], tmp_path, atol=2e-4)

    check()


@pytest.mark.parametrize(
    ("c_in", "kernel", "pads", "stride", "groups"),
    [(1, 33, (70, 66), 4, 1), (3, 8, (3, 4), 1, 1), (65, 7, (0, 9), 2, 1), (1, 3, (0, 0), 1, 1), (6, 9, (2, 1), 1, 2)],
)
def test_a_picture_of_one_column_is_a_line(
    c_in: int, kernel: int, pads: tuple[int, int], stride: int, groups: int, tmp_path: Path
) -> None:
    """Sound, as some write it: the bits of the same convolution along the other axis."""
    x, w, b = random(2, c_in, 101, 1), random(19 * groups, c_in // groups, kernel, 1), random(19 * groups)

    def made(x: np.ndarray, w: np.ndarray, along: int) -> onnx.ModelProto:
        ends = [0] * 4
        ends[along], ends[along + 2] = pads
        strides = [1 + (stride - 1) * (along == axis) for axis in range(2)]
        node = helper.make_node("Conv", ["x", "w", "b"], ["c"], strides=strides, pads=ends, group=groups)
        return model_of([node, *EPILOGUES["silu"]], {"x": x}, {"w": w, "b": b})

    for name in ("column", "line"):
        (tmp_path / name).mkdir()
    (column,) = run_both(made(x, w, 0), [x], tmp_path / "column", atol=2e-4)
    across = x.swapaxes(2, 3), w.swapaxes(2, 3)
    (line,) = run_both(made(*across, 1), [across[0]], tmp_path / "line", atol=2e-4)
    assert same_bits(column, np.ascontiguousarray(line.swapaxes(2, 3)))


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_auto_pad(auto_pad: str, tmp_path: Path) -> None:
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], auto_pad=auto_pad, strides=[2, 3])
    x = random(1, 5, 13, 14)
    run_both(model_of([node], {"x": x}, {"w": random(7, 5, 4, 3), "b": random(7)}), [x], tmp_path, atol=1e-4)


@pytest.mark.parametrize(("strides", "ends"), [((2, 1), (0, 2)), ((2, 2), (2, 2)), ((1, 1), (0, 0)), ((3, 1), (0, 0))])
def test_one_tap_is_one_pixel_only_without_stride_and_pads(
    strides: tuple[int, int], ends: tuple[int, int], tmp_path: Path
) -> None:
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], strides=strides, pads=[0, 0, *ends])
    x = random(1, 3, 2, 2)
    run_both(model_of([node], {"x": x}, {"w": random(4, 3, 1, 1), "b": random(4)}), [x], tmp_path)


@pytest.mark.parametrize(
    ("c_in", "c_out", "kernel", "stride"),
    [
        (3, 32, 3, 2),
        (1, 5, 5, 1),
        (3, 17, 7, 2),
        (16, 24, 1, 1),
        (24, 40, 1, 2),
        (2, 100, 3, 1),
        (19, 33, 5, 1),
        (130, 16, 1, 1),
    ],
)
def test_conv_has_the_bits_of_the_reference(c_in: int, c_out: int, kernel: int, stride: int, tmp_path: Path) -> None:
    x, w, b = random(2, c_in, 14, 15), random(c_out, c_in, kernel, kernel), random(c_out)
    pad = kernel // 2
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], strides=[stride] * 2, pads=[pad] * 4)
    got = run_everywhere(model_of([node], {"x": x}, {"w": w, "b": b}), [x], tmp_path)[0]
    if winograd.pays(*_as_seen_by_lowering(w, x, got, stride)):
        pytest.fail("this geometry is meant for the direct kernel")
    want = library().conv2d(x.transpose(0, 2, 3, 1), w, b, strides=(stride, stride), pads=(pad,) * 4)
    assert same_bits(got, np.ascontiguousarray(want.transpose(0, 3, 1, 2)))


@pytest.mark.parametrize("epilogue", ["none", "HardSwish"])
@pytest.mark.parametrize("channels", [1, 8, 16, 24, 33, 50])
@pytest.mark.parametrize("kernel", [3, 7])
@pytest.mark.parametrize(
    ("size", "pads"),
    [((14, 15), (1, 1, 1, 1)), ((11, 40), (0, 0, 1, 1)), ((4, 131), (3, 2, 3, 3)), ((3, 1), (4, 6, 2, 40))],
)
def test_planes_have_the_bits_of_the_reference(
    size: tuple[int, int],
    pads: tuple[int, int, int, int],
    kernel: int,
    channels: int,
    epilogue: str,
    tmp_path: Path,
) -> None:
    x, w, b = random(2, 3, *size), random(channels, 3, kernel, kernel), random(channels)
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], strides=[2, 2], pads=pads)]
    nodes.append(helper.make_node("Identity" if epilogue == "none" else epilogue, ["c"], ["y"]))
    proto = model_of(nodes, {"x": x}, {"w": w, "b": b})
    assert "StemConv" in [n.op for n in engine(proto, tmp_path).nodes]
    want = library().conv2d(x.transpose(0, 2, 3, 1), w, b, strides=(2, 2), pads=pads)
    want = want if epilogue == "none" else library().unary("hard_swish", want)
    assert same_bits(run_everywhere(proto, [x], tmp_path)[0], np.ascontiguousarray(want.transpose(0, 3, 1, 2)))


def _as_seen_by_lowering(w: np.ndarray, x: np.ndarray, y: np.ndarray, stride: int = 1) -> tuple[Any, ...]:
    import onnx_ir as ir

    values = [ir.Value(name=n, shape=ir.Shape([a.shape[0], *a.shape[2:], a.shape[1]])) for n, a in (("x", x), ("y", y))]
    return ir.Node("edgeort.nhwc", "Conv", values[:1], [ir.AttrInt64s("strides", [stride] * 2)]), w, values[1]


# Many tiles, 1 to 4 outputs in the last, channels and columns that fill no vector, few tiles that threads share.
WINOGRAD = [
    (64, 64, (30, 31), 1, 1),
    (48, 80, (21, 18), 0, 1),
    (16, 40, (29, 13), 1, 1),
    (33, 50, (25, 25), 2, 1),
    (130, 24, (14, 14), 1, 1),
    (256, 100, (7, 7), 1, 1),
    (24, 16, (5, 6), 9, 1),
    (64, 64, (56, 61), 1, 2),
    (48, 80, (43, 38), 0, 2),
    (64, 40, (57, 27), 1, 2),
    (65, 50, (47, 40), 2, 2),
    (130, 48, (28, 28), 1, 2),
    (256, 240, (13, 14), 1, 2),
    (40, 72, (5, 6), 9, 2),
]


def winograd_model(
    x: np.ndarray, w: np.ndarray, b: np.ndarray, pad: int, stride: int, epilogue: str
) -> onnx.ModelProto:
    """A 3x3 convolution and one of EPILOGUES, with its output's shape."""
    shape = (x.shape[0], w.shape[0], *((d + 2 * pad - 3) // stride + 1 for d in x.shape[2:]))
    inputs = {"x": x} | ({"r": np.empty(shape, np.float32)} if epilogue == "residual" else {})
    node = helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[pad] * 4, strides=[stride] * 2)
    proto = model_of([node, *EPILOGUES[epilogue]], inputs, {"w": w, "b": b})
    proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, shape))
    return proto


@pytest.mark.parametrize("epilogue", ["relu", "residual", "silu"])
@pytest.mark.parametrize(("c_in", "c_out", "size", "pad", "stride"), WINOGRAD)
def test_winograd(
    c_in: int, c_out: int, size: tuple[int, int], pad: int, stride: int, epilogue: str, tmp_path: Path
) -> None:
    x, w, b = random(2, c_in, *size), random(c_out, c_in, 3, 3) / 8, random(c_out)
    proto = winograd_model(x, w, b, pad, stride, epilogue)
    assert "WinogradConv" in [n.op for n in engine(proto, tmp_path).nodes]
    shape = ((d + 2 * pad - 3) // stride + 1 for d in size)
    residual = [random(2, c_out, *shape)] if epilogue == "residual" else []
    run_both(proto, [x, *residual], tmp_path, rtol=1e-4, atol=4e-4)


@pytest.mark.parametrize(("c_in", "c_out", "size", "pad", "stride"), WINOGRAD)
def test_winograd_has_the_bits_of_the_reference_and_its_error_is_bounded(
    c_in: int, c_out: int, size: tuple[int, int], pad: int, stride: int, tmp_path: Path
) -> None:
    x, w, b = random(1, c_in, *size), random(c_out, c_in, 3, 3) / 8, random(c_out)
    got = run_everywhere(winograd_model(x, w, b, pad, stride, "none"), [x], tmp_path)[0]
    pixels = x.transpose(0, 2, 3, 1)
    want = library().winograd2d(pixels, w, b, pad=pad, stride=stride)
    assert same_bits(got, np.ascontiguousarray(want.transpose(0, 3, 1, 2)))
    # F(4x4, 3x3) loses about a digit against a direct sum (Lavin and Gray 2016, section 6.1).
    padded = np.pad(pixels, ((0, 0), (pad, pad), (pad, pad), (0, 0))).astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::stride, ::stride]
    exact = np.einsum("nyxcij,ocij->noyx", windows, w.astype(np.float64), optimize=True) + b[:, None, None]
    error, scale = np.abs(got - exact), np.abs(exact).max()
    assert error.max() < 2e-5 * scale
    assert np.sqrt((error**2).mean()) < 2e-6 * scale


@pytest.mark.parametrize("channels", [32, 24])
def test_winograd_adds_where_it_writes(channels: int, tmp_path: Path) -> None:
    """Sums with its own input, with a tensor that nobody else reads, and with one value a channel; then limits."""
    weights = {f"w{i}": random(channels, channels, 3, 3) / 16 for i in range(5)} | {"v": random(channels, 1, 1)}
    limits = {"low": np.float32(-0.0), "high": np.float32(2)}
    conv = [helper.make_node("Conv", [x, f"w{i}"], [f"c{i}"], pads=[1] * 4) for i, x in enumerate("xabcd")]
    nodes = [
        *(conv[0], helper.make_node("Relu", ["c0"], ["a"])),
        *(conv[1], helper.make_node("Add", ["a", "c1"], ["b"])),
        *(conv[2], helper.make_node("Relu", ["c2"], ["c"])),
        *(conv[3], helper.make_node("Add", ["c3", "b"], ["s3"]), helper.make_node("Relu", ["s3"], ["d"])),
        *(conv[4], helper.make_node("Add", ["c4", "v"], ["s4"])),
        helper.make_node("Clip", ["s4", "low", "high"], ["y"]),
    ]
    x = random(2, channels, 27, 30)
    proto = model_of(nodes, {"x": x}, weights | limits)
    assert [n.op for n in engine(proto, tmp_path).nodes].count("WinogradConv") == 5
    run_both(proto, [x], tmp_path, rtol=1e-4, atol=4e-4)


def test_winograd_is_not_chosen_where_it_does_not_pay() -> None:
    few, small, large = random(64, 2, 3, 3), random(512, 512, 3, 3), random(64, 64, 3, 3)
    assert not winograd.pays(*_as_seen_by_lowering(few, random(1, 2, 56, 56), random(1, 64, 56, 56)))
    assert not winograd.pays(*_as_seen_by_lowering(small, random(1, 512, 4, 4), random(1, 512, 4, 4)))
    assert winograd.pays(*_as_seen_by_lowering(large, random(1, 64, 9, 9), random(1, 64, 9, 9)))
    for w, size, chosen in (
        (few, 28, False),
        (small, 6, False),
        (small, 7, True),
        (large, 7, False),
        (large, 20, True),
    ):
        x, y = (random(1, channels, size, size) for channels in (w.shape[1], w.shape[0]))
        assert winograd.pays(*_as_seen_by_lowering(w, x, y, 2)) == chosen
    assert not winograd.pays(*_as_seen_by_lowering(large, random(1, 64, 20, 20), random(1, 64, 20, 20), 3))


@pytest.mark.parametrize("stride", [1, 2])
def test_winograd_follows_sizes_that_only_a_run_knows(stride: int, tmp_path: Path) -> None:
    x, w, b = random(1, 64, 20, 9), random(48, 64, 3, 3) / 8, random(48)
    proto = winograd_model(x, w, b, 1, stride, "none")
    for value in (proto.graph.input[0], proto.graph.output[0]):
        for axis, name in ((0, "n"), (2, "h"), (3, "w")):
            value.type.tensor_type.shape.dim[axis].dim_param = name
    engines = [engine(proto, tmp_path, threads=threads) for threads in (1, 2)]
    assert "WinogradConv" in [n.op for n in engines[0].nodes]
    for shape in ((1, 64, 20, 9), (3, 64, 1, 2), (1, 64, 70, 3), (0, 64, 5, 5), (2, 64, 20, 21)):
        x = random(*shape)
        want = library().winograd2d(x.transpose(0, 2, 3, 1), w, b, pad=1, stride=stride)
        for ours in engines:
            assert same_bits(ours.run([x])[0], np.ascontiguousarray(want.transpose(0, 3, 1, 2)))


def test_shape_changes_are_followed(tmp_path: Path) -> None:
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], pads=[1, 1, 1, 1])
    x = random(1, 3, 8, 8)
    w, b = random(5, 3, 3, 3), random(5)
    proto = model_of([node], {"x": x}, {"w": w, "b": b})
    for axis, name in ((0, "n"), (2, "h"), (3, "w")):
        proto.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    ours = engine(proto, tmp_path)
    for shape in ((1, 3, 8, 8), (2, 3, 5, 9), (1, 3, 17, 4), (1, 3, 8, 8)):
        x = random(*shape)
        want = library().conv2d(x.transpose(0, 2, 3, 1), w, b, pads=(1, 1, 1, 1))
        assert same_bits(ours.run([x])[0], np.ascontiguousarray(want.transpose(0, 3, 1, 2)))
