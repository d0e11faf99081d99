"""Quantised values in memory: what moves them, pools and programs, against ONNX Runtime and the same at every level."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort.lowering import layout
from tests.contract.test_emulated import digests
from tests.kernels.support import engine, parse, plan_of, reference, run_everywhere
from tests.reference import library, quantised

RNG = np.random.default_rng(17)


def model(nodes: str, dtype: str, dims: str, shape: str = "2,5,9,7", scale: str = "s") -> onnx.ModelProto:
    """x -> Q -> DQ `d` -> nodes that make `m` -> Q -> DQ -> y, with the zero point of d."""
    return parse(
        f"""g (float[{shape}] x) => (float[{dims}] y) <float s = {{0.04}}, {dtype} z = {{101}}, float t = {{0.0531}},
        int64[2] flat = {{2, 315}}, int64[8] pads = {{0, 1, 2, 0, 1, 0, 1, 3}}, float[4] scales = {{1, 1, 2, 3}},
        int64[3] i = {{3, 0, 3}}, int64[1] start = {{1}}, int64[1] end = {{6}}, int64[1] axis = {{2}},
        int64[4] twice = {{1, 2, 1, 2}}, float half = {{0.5}}> {{
          q = QuantizeLinear (x, s, z) d = DequantizeLinear (q, s, z) {nodes}
          r = QuantizeLinear (m, {scale}, z) y = DequantizeLinear (r, {scale}, z) }}""",
        opset=19,
    )


def inputs(shape: str = "2,5,9,7") -> list[np.ndarray]:
    """Some beyond the range."""
    return [(RNG.normal(size=[int(d) for d in shape.split(",")]) * 3).astype(np.float32)]


MOVES = {
    "Reshape": ("m = Reshape (d, flat)", "A,B"),
    "Flatten": ("m = Flatten <axis = 2> (d)", "A,B"),
    "Transpose": ("m = Transpose <perm = [0, 2, 3, 1]> (d)", "A,B,C,D"),
    "Transpose reversed": ("m = Transpose <perm = [3, 1, 0, 2]> (d)", "A,B,C,D"),
    "Pad": ("m = Pad (d, pads)", "A,B,C,D"),
    "Pad edge": ('m = Pad <mode = "edge"> (d, pads)', "A,B,C,D"),
    "Pad value": ("m = Pad (d, pads, half)", "A,B,C,D"),
    "Resize": ('m = Resize <mode = "nearest"> (d, , scales)', "A,B,C,D"),
    "Gather": ("m = Gather <axis = 1> (d, i)", "A,B,C,D"),
    "Slice": ("m = Slice (d, start, end, axis)", "A,B,C,D"),
    "Tile": ("m = Tile (d, twice)", "A,B,C,D"),
    "Concat": ("m = Concat <axis = 3> (d, d)", "A,B,C,D"),
    "Concat of scales": (
        "a = QuantizeLinear (x, t, z) b = DequantizeLinear (a, t, z) m = Concat <axis = 1> (d, b, x)",
        "A,B,C,D",
    ),
    "Split": ("a, b, c = Split <axis = 2, num_outputs = 3> (d) m = Concat <axis = 2> (c, a)", "A,B,C,D"),
    "MaxPool": ("m = MaxPool <kernel_shape = [3, 2], strides = [2, 1], pads = [1, 1, 1, 0]> (d)", "A,B,C,D"),
}


@pytest.mark.parametrize("dtype", ("uint8", "int8"))
@pytest.mark.parametrize("name", MOVES)
def test_movement(name: str, dtype: str, tmp_path: Path) -> None:
    """Byte for byte, and nothing between the first and the last conversion is float32."""
    nodes, dims = MOVES[name]
    proto = model(nodes, dtype, dims)
    data = inputs()
    np.testing.assert_array_equal(run_everywhere(proto, data, tmp_path)[0], reference(proto, data)[0])
    plan = plan_of(proto)
    made = [plan.tensors[index].dtype for node in plan.nodes[:-1] for index in node.outputs if index >= 0]
    assert set(made) <= {layout.Q8, 1, 2}  # q8, and a constant's type before it is converted


@pytest.mark.parametrize("shape", ("1,16,8,8", "2,70,5,3", "2,3,20,17"))
@pytest.mark.parametrize(
    "nodes",
    [
        "m = GlobalAveragePool (d)",
        "p = GlobalAveragePool (d) e = HardSwish (p) m = Mul (e, half)",
        "m = AveragePool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (d)",
        "m = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 1> (d)",
        "m = MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (d)",
    ],
)
def test_pools(nodes: str, shape: str, tmp_path: Path) -> None:
    """Channels last, within a step of the float pool's, which rounds elsewhere."""
    proto = model(nodes, "uint8", "A,B,C,D", shape, scale="t")  # not s: averages would fall between two integers
    data = inputs(shape)
    got, want = run_everywhere(proto, data, tmp_path)[0], reference(proto, data)[0]
    steps = np.rint((got - want) / 0.0531)
    assert np.abs(steps).max() <= 1 and np.mean(steps != 0) < 0.02


def test_an_average_that_is_read_as_it_is(tmp_path: Path) -> None:
    """By a node that is no program, and by two programs."""
    proto = parse(
        """g (float[2,5,9,7] x) => (float[A,B,C,D] y, float[A,B,C,D] w, float[A,B,C,D] v)
        <float s = {0.04}, uint8 z = {101}> {
          q = QuantizeLinear (x, s, z) d = DequantizeLinear (q, s, z) m = GlobalAveragePool (d)
          y = Softmax <axis = 1> (m) w = Exp (m) v = Mul (d, m) }"""
    )
    data = inputs()
    for got, want in zip(run_everywhere(proto, data, tmp_path), reference(proto, data), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ("uint8", "int8"))
@pytest.mark.parametrize(
    "nodes",
    [
        "m = Sigmoid (d)",
        "e = Sigmoid (d) m = Mul (d, e)",
        "m = HardSwish (d)",
        "e = Erf (d) f = Add (d, half) m = Max (e, f)",
    ],
)
def test_functions_of_one_tensor(nodes: str, dtype: str, tmp_path: Path) -> None:
    """By a table of all bytes, or step by step: the same as on float32 that is not known to be those bytes."""
    text = """g (float[2,5,9,7] x, float[2,5,9,7] zero) => (float[A,B,C,D] y, {dtype}[A,B,C,D] q)
        <float s = {{0.04}}, {dtype} z = {{101}}, float t = {{0.0531}}, float half = {{0.5}}> {{
          q = QuantizeLinear (x, s, z) c = DequantizeLinear (q, s, z) {d} {nodes}
          r = QuantizeLinear (m, t, z) y = DequantizeLinear (r, t, z) }}"""
    proto, apart = (
        parse(text.format(dtype=dtype, d=d, nodes=nodes.replace("(d", "(c") if not d else nodes), opset=19)
        for d in ("", "d = Add (c, zero)")
    )
    data = [*inputs(), np.zeros((2, 5, 9, 7), np.float32)]
    got = run_everywhere(proto, data, tmp_path)[0]
    np.testing.assert_array_equal(got, run_everywhere(apart, data, tmp_path)[0])
    assert np.abs(got - reference(proto, data)[0]).max() < 0.054  # a step


@pytest.mark.parametrize("other", ("2,5,9,7", "5,1,1", "1"))
def test_sums_of_two_tensors(other: str, tmp_path: Path) -> None:
    """Exactly, of each size; of one size they are one pass over bytes."""
    proto = parse(
        f"""g (uint8[2,5,9,7] a, uint8[{other}] b) => (uint8[2,5,9,7] y) <float s = {{0.04}}, float t = {{0.0531}},
        float u = {{0.07}}, uint8 z = {{101}}, uint8 v = {{3}}, uint8 w = {{140}}> {{
          d = DequantizeLinear (a, s, z) e = DequantizeLinear (b, t, v) m = Add (d, e)
          y = QuantizeLinear (m, u, w) }}"""
    )
    a, b = (RNG.integers(0, 256, [int(n) for n in shape.split(",")]).astype(np.uint8) for shape in ("2,5,9,7", other))
    numbers = [
        quantised.dequantize(x.astype(int) - 128, scale, zero - 128)
        for x, scale, zero in ((a, 0.04, 101), (b, 0.0531, 3))
    ]
    want = quantised.quantize(numbers[0] + numbers[1], 0.07, 140 - 128).astype(int) + 128
    np.testing.assert_array_equal(run_everywhere(proto, [a, b], tmp_path)[0], want)


# Functions of one tensor and sums of two, of rows that have gaps between them: halves of a Split, halves of a Concat.
ROWS = """g (uint8[2,9,7,83] a) => (uint8[2,9,7,99] y)
  <float s = {0.04}, uint8 z = {101}, float t = {0.0531}, uint8 v = {90}, int64[3] sizes = {16, 51, 16}> {
    d = DequantizeLinear (a, s, z) l, m, r = Split <axis = 3> (d, sizes)
    h = HardSwish (l) hq = QuantizeLinear (h, t, v) hd = DequantizeLinear (hq, t, v)
    mq = QuantizeLinear (m, t, v) md = DequantizeLinear (mq, t, v)
    f = HardSwish (r) fq = QuantizeLinear (f, s, z) fd = DequantizeLinear (fq, s, z) e = Add (fd, l)
    eq = QuantizeLinear (e, t, v) ed = DequantizeLinear (eq, t, v) g = HardSwish (ed)
    gq = QuantizeLinear (g, t, v) gd = DequantizeLinear (gq, t, v)
    j = Concat <axis = 3> (hd, md, gd, ed) y = QuantizeLinear (j, t, v) }"""


def rows_reference(a: np.ndarray) -> np.ndarray:
    """What ROWS makes of a."""

    def made(x: np.ndarray, scale: float, zero: int) -> tuple[np.ndarray, np.ndarray]:
        q = quantised.quantize(x, scale, zero)
        return q, quantised.dequantize(q, scale, zero)

    def swish(x: np.ndarray) -> np.ndarray:
        return library().unary("hard_swish", x)

    d = quantised.dequantize(a.astype(int) - 128, 0.04, 101 - 128)
    left, middle, right = d[..., :16], d[..., 16:67], d[..., 67:]
    _, f = made(swish(right), 0.04, 101 - 128)
    e, ed = made(f + left, 0.0531, 90 - 128)
    parts = [made(x, 0.0531, 90 - 128)[0] for x in (swish(left), middle, swish(ed))]
    return (np.concatenate([*parts, e], -1).astype(int) + 128).astype(np.uint8)


def test_rows_with_gaps(tmp_path: Path) -> None:
    """Byte for byte."""
    a = RNG.integers(0, 256, (2, 9, 7, 83)).astype(np.uint8)
    proto = parse(ROWS, opset=19)
    np.testing.assert_array_equal(run_everywhere(proto, [a], tmp_path)[0], rows_reference(a))


def test_rows_of_one_byte_with_gaps(tmp_path: Path) -> None:
    """A column of a wider tensor: its bytes are no neighbours."""
    text = """g (float[300,9] x) => (uint8[300,1] y, uint8[300,8] w)
      <float s = {0.04}, uint8 z = {101}, float t = {0.0531}, uint8 v = {90}, int64[2] sizes = {1, 8}> {
        q = QuantizeLinear (x, s, z) d = DequantizeLinear (q, s, z) l, r = Split <axis = 1> (d, sizes)
        h = HardSwish (l) y = QuantizeLinear (h, t, v) n = HardSwish (r) w = QuantizeLinear (n, t, v) }"""
    x, proto = RNG.standard_normal((300, 9)).astype(np.float32), parse(text, opset=19)
    ours = engine(proto, tmp_path)
    ours.run([x])
    assert [node.skipped for node in ours.nodes if node.op == "Split"] == [True]
    found = quantised.dequantize(quantised.quantize(x, 0.04, 101 - 128), 0.04, 101 - 128)
    numbers = library().unary("hard_swish", found)
    want = quantised.quantize(numbers, 0.0531, 90 - 128).astype(int) + 128
    np.testing.assert_array_equal(np.concatenate(run_everywhere(proto, [x], tmp_path), 1), want)


@pytest.mark.slow
def test_rows_with_gaps_emulated(tmp_path: Path) -> None:
    """The same digest on cores of Arm."""
    path = tmp_path / "rows.onnx"
    path.write_bytes(parse(ROWS, opset=19).SerializeToString())
    found = digests(path, tmp_path, ("cortex-a53", "cortex-a76"))
    assert len(set(found.values())) == 1, found
