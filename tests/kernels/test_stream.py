"""Row streams: chains that run strip by strip have the bits of the reference, and their wide tensors take no memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from edgeort import sample
from edgeort.errors import BudgetError
from tests.kernels.support import engine, reference, run_everywhere, same_bits
from tests.reference import library

RNG = np.random.default_rng(3)


def random(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


@dataclass
class Layer:
    """A convolution of a chain: channels out, kernel, stride; depthwise or transposed when it says so. ReLU follows."""

    channels: int
    kernel: int = 1
    stride: int = 1
    depthwise: bool = False
    pad: int | None = None  # kernel // 2 when None
    transposed: bool = False


CHAINS: dict[str, tuple[tuple[int, ...], tuple[Layer, ...]]] = {
    "expand, depthwise, project": ((1, 8, 40, 41), (Layer(48), Layer(48, 3, depthwise=True), Layer(12))),
    "with stride": ((2, 8, 61, 53), (Layer(40), Layer(40, 3, 2, depthwise=True), Layer(24))),
    "wide kernels": ((1, 6, 50, 47), (Layer(33), Layer(33, 5, depthwise=True), Layer(33, 7, 2, depthwise=True))),
    "from the picture on": (
        (1, 3, 96, 97),
        (Layer(16, 3, 2), Layer(16, 3, depthwise=True), Layer(48), Layer(48, 5, 2, depthwise=True), Layer(9)),
    ),
    "stride 2 reads lines with borders": ((1, 4, 90, 64), (Layer(16), Layer(16, 3, 2))),
    "dense": ((1, 4, 90, 64), (Layer(16, 5), Layer(16, 3, 2), Layer(24, 5))),
    "without padding": ((1, 8, 45, 39), (Layer(48), Layer(48, 3, depthwise=True, pad=0), Layer(16, 5, pad=0))),
    "borders wider than the image": ((1, 4, 40, 40), (Layer(64), Layer(16, 5, pad=70), Layer(8))),
    "a kernel of most lines": ((1, 8, 40, 41), (Layer(48), Layer(48, 31, depthwise=True), Layer(8))),
    "more padding than kernel": ((1, 8, 41, 40), (Layer(48, 1, pad=1), Layer(48, 3, depthwise=True, pad=2), Layer(8))),
    "upwards": ((1, 8, 40, 41), (Layer(24, 2, 2, pad=0, transposed=True), Layer(1, 2, 2, pad=0, transposed=True))),
    "upwards with overlap": (
        (2, 6, 37, 40),
        (Layer(16), Layer(20, 4, 2, pad=1, transposed=True), Layer(9, 3, 2, transposed=True), Layer(8, 5)),
    ),
    "upwards by three": (
        (1, 5, 41, 40),
        (Layer(30, 5), Layer(12, 5, 3, transposed=True), Layer(4, 3, 3, transposed=True)),
    ),
}


def build(shape: tuple[int, ...], layers: tuple[Layer, ...]) -> tuple[onnx.ModelProto, np.ndarray, np.ndarray, int]:
    """The chain as a model, its input, its output by the reference, and the bytes of its largest inner tensor."""
    nodes, constants, value, c_in = [], {}, "x", shape[1]
    x = random(*shape)
    expected = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    largest = 0
    for i, layer in enumerate(layers):
        groups = layer.channels if layer.depthwise else 1
        pad = layer.kernel // 2 if layer.pad is None else layer.pad
        channels = (c_in, layer.channels) if layer.transposed else (layer.channels, c_in // groups)
        w, b = random(*channels, layer.kernel, layer.kernel) / layer.kernel, random(layer.channels)
        constants |= {f"w{i}": w, f"b{i}": b}
        attributes = {"group": groups, "strides": [layer.stride] * 2, "pads": [pad] * 4}
        op, reference = (
            ("ConvTranspose", library().conv_transpose2d) if layer.transposed else ("Conv", library().conv2d)
        )
        nodes.append(helper.make_node(op, [value, f"w{i}", f"b{i}"], [f"c{i}"], **attributes))
        nodes.append(helper.make_node("Relu", [f"c{i}"], [f"y{i}"]))
        strides = (layer.stride, layer.stride)
        expected = np.maximum(reference(expected, w, b, strides=strides, pads=(pad,) * 4, groups=groups), 0)
        if i < len(layers) - 1:
            largest = max(largest, expected.nbytes)
        value, c_in = f"y{i}", layer.channels
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(value, onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model, x, np.ascontiguousarray(expected.transpose(0, 3, 1, 2)), largest


@pytest.mark.parametrize("name", CHAINS)
def test_a_stream_has_the_bits_of_its_layers(name: str, tmp_path: Path) -> None:
    model, x, expected, _ = build(*CHAINS[name])
    assert same_bits(run_everywhere(model, [x], tmp_path)[0], expected)


@pytest.mark.parametrize("pool", ["MaxPool", "AveragePool"])
def test_a_pool_joins_the_stream(pool: str, tmp_path: Path) -> None:
    shape, w, b = (2, 3, 101, 96), random(40, 3, 3, 3), random(40)
    attributes = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4}
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], strides=[2, 2], pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node(pool, ["r"], ["y"], **attributes),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(a, n) for n, a in (("w", w), ("b", b))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    x = random(*shape)
    ours = engine(model, tmp_path)
    ours.run([x])
    assert [node.skipped for node in ours.nodes][:2] == [True, False]  # StemConv, pool
    reference = library()
    inner = reference.conv2d(np.ascontiguousarray(x.transpose(0, 2, 3, 1)), w, b, strides=(2, 2), pads=(1,) * 4)
    want = reference.pool2d(np.maximum(inner, 0), (3, 3), strides=(2, 2), pads=(1,) * 4, maximum=pool == "MaxPool")
    assert same_bits(run_everywhere(model, [x], tmp_path)[0], np.ascontiguousarray(want.transpose(0, 3, 1, 2)))


def test_transposed_convolutions_join_the_stream(tmp_path: Path) -> None:
    for name in CHAINS:
        if name.startswith("upwards"):
            model, x, _, _ = build(*CHAINS[name])
            ours = engine(model, tmp_path)
            ours.run([x])
            assert sum(node.skipped for node in ours.nodes if node.op in ("Conv", "ConvTranspose")) >= 1, name


@pytest.mark.parametrize("name", ["from the picture on", "with stride"])
def test_many_threads_share_images(name: str, tmp_path: Path) -> None:
    model, x, expected, _ = build(*CHAINS[name])
    for threads in (1, 2, 3, 4, 8):
        ours = engine(model, tmp_path, threads=threads)
        for _ in range(10):  # where parts are cut depends on who is faster
            assert same_bits(ours.run([x])[0], expected)


def test_wide_tensors_take_no_memory(tmp_path: Path) -> None:
    model, x, expected, largest = build((1, 8, 80, 80), (Layer(96), Layer(96, 3, depthwise=True), Layer(8)))
    ours = engine(model, tmp_path)
    ours.run([x])
    assert sum(node.skipped for node in ours.nodes) >= 2
    # The picture, its channels-last copy, the result in both layouts; not the 96 channels in between.
    assert ours.stats.arena_bytes < largest


@pytest.mark.parametrize("images", [1, 2])
def test_a_gated_image_joins_the_stream(images: int, tmp_path: Path) -> None:
    """Squeeze and excite: the product with a vector a channel exists only line by line."""
    shape, w, b = (images, 45, 61, 24), random(10, 24, 1, 1), random(10)
    nodes = [
        helper.make_node("Sigmoid", ["s"], ["gate"]),
        helper.make_node("Mul", ["x", "gate"], ["m"]),
        helper.make_node("Transpose", ["m"], ["t"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["t", "w", "b"], ["c"]),
        helper.make_node("Transpose", ["c"], ["y"], perm=[0, 2, 3, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape),
            helper.make_tensor_value_info("s", onnx.TensorProto.FLOAT, (images, 1, 1, 24)),
        ],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(a, n) for n, a in (("w", w), ("b", b))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    x, s = random(*shape), random(images, 1, 1, 24)
    (ours,) = run_everywhere(model, [x, s], tmp_path)
    want = reference(model, [x, s])[0]
    assert np.abs(ours - want).max() < 1e-5 * np.abs(want).max()
    opened = engine(model, tmp_path)
    opened.run([x, s])
    assert [node.op for node in opened.nodes if node.skipped] == ["Elementwise"]


@pytest.mark.parametrize("threads", [1, 3])
def test_a_limit_of_memory_is_kept_with_the_same_bits(threads: int, tmp_path: Path) -> None:
    model, x, expected, _ = build(*CHAINS["from the picture on"])
    free = engine(model, tmp_path, threads=threads)
    assert same_bits(free.run([x])[0], expected)
    with pytest.raises(BudgetError, match="at least; the limit is 1$") as refused:
        engine(model, tmp_path, threads=threads, ram_limit=1).run([x])
    least = int(str(refused.value).split()[2])
    assert least < free.stats.arena_bytes
    for limit in (least, free.stats.arena_bytes - 1, free.stats.arena_bytes):
        limited = engine(model, tmp_path, threads=threads, ram_limit=limit)
        assert same_bits(limited.run([x])[0], expected)
        assert limited.stats.arena_bytes <= limit
    with pytest.raises(BudgetError, match=f"{least} bytes at least"):
        engine(model, tmp_path, threads=threads, ram_limit=least - 1).run([x])


def test_the_least_is_that_of_whole_tensors_where_strips_take_more(tmp_path: Path) -> None:
    model, x = onnx.load(sample.path()), np.ones((1, 1, 8, 8), np.float32)
    free = engine(model, tmp_path, threads=2)
    expected = free.run([x])[0]
    with pytest.raises(BudgetError, match="at least; the limit is 1$") as refused:
        engine(model, tmp_path, threads=2, ram_limit=1).run([x])
    least = int(str(refused.value).split()[2])
    assert least <= free.stats.arena_bytes
    assert same_bits(engine(model, tmp_path, threads=2, ram_limit=least).run([x])[0], expected)


def test_a_residual_is_read_when_the_stream_ends(tmp_path: Path) -> None:
    shape = (1, 8, 48, 50)
    w = [random(64, 8, 1, 1), random(64, 1, 3, 3), random(8, 64, 1, 1) / 8]
    b = [random(64), random(64), random(8)]
    names = [f"{kind}{i}" for i in range(3) for kind in "wb"]
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Conv", ["r", "w0", "b0"], ["e"]),
        helper.make_node("Conv", ["e", "w1", "b1"], ["d"], group=64, pads=[1] * 4),
        helper.make_node("Conv", ["d", "w2", "b2"], ["p"]),
        helper.make_node("Add", ["p", "r"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, shape)],
        [
            onnx.numpy_helper.from_array(a, n)
            for n, a in zip(names, [v for p in zip(w, b, strict=True) for v in p], strict=True)
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    x = random(*shape)
    r = np.ascontiguousarray(np.maximum(x, 0).transpose(0, 2, 3, 1))
    c = library().conv2d
    want = c(c(c(r, w[0], b[0]), w[1], b[1], pads=(1,) * 4, groups=64), w[2], b[2]) + r
    got = run_everywhere(model, [x], tmp_path)[0]
    assert same_bits(got, np.ascontiguousarray(want.transpose(0, 3, 1, 2)))


def test_an_image_of_few_lines_is_shared_rather_than_streamed(tmp_path: Path) -> None:
    model, x, expected, _ = build((1, 8, 6, 400), (Layer(48), Layer(48, 3, depthwise=True), Layer(8)))
    for threads in (1, 2):
        ours = engine(model, tmp_path, threads=threads)
        assert same_bits(ours.run([x])[0], expected)
        assert any(node.skipped for node in ours.nodes if "Conv" in node.op) == (threads == 1)
