"""Products by weights of 4, 8 and 16 bits: the bits of the float32 weights that those stand for, at every row count."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeort import device_profiles, lowering
from edgeort.lowering import layout, where_int8
from edgeort.lowering.plan import PlanBuilder
from edgeort.passes import PassContext, run_passes
from tests.kernels.support import everywhere, plan_of, reference, same_bits
from tests.reference import library

RNG = np.random.default_rng(5)
INT4, UINT4, INT8, UINT8 = (getattr(TensorProto, name) for name in ("INT4", "UINT4", "INT8", "UINT8"))
RANGES = {INT4: (-8, 7), UINT4: (0, 15), INT8: (-128, 127), UINT8: (0, 255)}


@dataclass(frozen=True)
class Form:
    """How a model stores weights: float16, or integers with a scale for each column of a block of rows (0: of all)."""

    dtype: int
    block: int = 0
    zeros: bool = False

    def tensors(self, w: np.ndarray) -> tuple[list[onnx.TensorProto], onnx.NodeProto, np.ndarray]:
        """Initializers and the node that make "w" [k, n] of about those values, and the very float32 that it makes."""
        if self.dtype == TensorProto.FLOAT16:
            half = w.astype(np.float16)
            node = helper.make_node("Cast", ["w.h"], ["w"], to=TensorProto.FLOAT)
            return [numpy_helper.from_array(half, "w.h")], node, half.astype(np.float32)
        k, n = w.shape
        low, high = RANGES[self.dtype]
        block = self.block or k
        starts = np.arange(0, k, block)
        scale = (np.maximum.reduceat(np.abs(w), starts, axis=0) / ((high - low) / 2)).astype(np.float32)
        zero = np.full(scale.shape, (low + high + 1) // 2)
        if self.zeros:
            zero = RNG.integers(low, high + 1, scale.shape)

        def spread(values: np.ndarray) -> np.ndarray:
            return np.repeat(values, block, axis=0)[:k]

        q = np.clip(np.rint(w / spread(scale)) + spread(zero), low, high).astype(np.int64)
        attributes = {"axis": 0, "block_size": block} if self.block else {"axis": 1}
        shape = list(scale.shape) if self.block else [n]
        made = [
            helper.make_tensor("w.q", self.dtype, [k, n], q.reshape(-1)),
            helper.make_tensor("w.s", TensorProto.FLOAT, shape, scale.reshape(-1)),
        ]
        if self.zeros or low == 0:
            made.append(helper.make_tensor("w.z", self.dtype, shape, zero.reshape(-1)))
        node = helper.make_node("DequantizeLinear", [t.name for t in made], ["w"], **attributes)
        return made, node, (q - spread(zero)).astype(np.float32) * spread(scale)


FORMS = {
    "float16": Form(TensorProto.FLOAT16),
    "int8": Form(INT8),
    "uint8 with zero points": Form(UINT8, zeros=True),
    "int8 in blocks": Form(INT8, 16),
    "uint8 in blocks with zero points": Form(UINT8, 32, zeros=True),
    "int4": Form(INT4),
    "int4 in blocks": Form(INT4, 16),
    "uint4 in blocks": Form(UINT4, 32),
    "uint4 in blocks with zero points": Form(UINT4, 32, zeros=True),
    "int4 in blocks with zero points": Form(INT4, 64, zeros=True),
}
DTYPES = {TensorProto.FLOAT16: "f16", INT8: "i8", UINT8: "i8", INT4: "u8", UINT4: "u8"}


def random(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def model_of(
    nodes: list[onnx.NodeProto], shapes: dict[str, list[int | str]], tensors: list[onnx.TensorProto]
) -> onnx.ModelProto:
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    y = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", infos, y, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def is_compressed(plan: PlanBuilder, form: Form) -> bool:
    """Whether the plan's one product has weights of the form's type."""
    node = next(node for node in plan.nodes if node.op.startswith("Compressed"))
    return layout.DTYPES[plan.tensors[node.inputs[1]].dtype][0] == DTYPES[form.dtype]


@pytest.mark.parametrize("name", FORMS)
def test_products_have_the_bits_of_float32_weights(name: str, tmp_path: Path) -> None:
    form = FORMS[name]
    for k, n in ((1, 1), (2, 17), (67, 16), (96, 49), (131, 130), (64, 200)):
        tensors, node, w = form.tensors(random(k, n))
        model = model_of([node, helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": ["m", k]}, tensors)
        if k % 2 == 0:
            assert is_compressed(plan_of(model), form)
        run = everywhere(model, tmp_path)
        for m in (1, 2, 3, 4, 5, 13, 40):
            x = random(m, k)
            assert same_bits(run([x])[0], library().gemm(x, w)), (k, n, m)
        np.testing.assert_allclose(run([x])[0], reference(model, [x])[0], rtol=1e-4, atol=1e-4)


def nbits_of(k: int, n: int, bits: int, block: int, zeros: str = "") -> tuple[onnx.ModelProto, np.ndarray, np.ndarray]:
    """A model of one MatMulNBits, its weights [k, n] and its bias. `zeros`: of its zero points, or "order": a g_idx."""
    blocks, middle = -(-k // block), 2 ** (bits - 1)
    q = RNG.integers(0, 2 * middle, (n, blocks * block)).astype(np.uint8)
    zero: np.ndarray = np.full((n, blocks), middle, np.uint8)
    arrays = {"q": _packed(q, bits).reshape(n, blocks, -1), "s": RNG.uniform(0.01, 0.1, (n, blocks)).astype(np.float32)}
    at = np.arange(k) // block
    if zeros == "integers":
        zero = RNG.integers(0, 2 * middle, zero.shape).astype(np.uint8)
        arrays["z"] = _packed(zero, bits)
    elif zeros == "numbers":
        arrays["z"] = zero = RNG.uniform(0, 2 * middle, zero.shape).astype(np.float32)
    elif zeros == "order":
        arrays["g"] = at = RNG.permutation(at).astype(np.int32)
    arrays["b"] = random(n)
    names = ["x", *(name if name in arrays else "" for name in ("q", "s", "z", "g", "b"))]
    sizes = {"K": k, "N": n, "bits": bits, "block_size": block}
    node = helper.make_node("MatMulNBits", names, ["p"], domain="com.microsoft", **sizes)
    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    model = model_of([node, helper.make_node("Relu", ["p"], ["y"])], {"x": ["m", k]}, tensors)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    weight = (q[:, :k].T.astype(np.float32) - zero.T[at]) * arrays["s"].T[at]
    return model, weight.astype(np.float32), arrays["b"]


def _packed(q: np.ndarray, bits: int) -> np.ndarray:
    """Rows of numbers in whole bytes, the first number in the low bits."""
    if bits == 8:
        return q
    even = np.pad(q, ((0, 0), (0, q.shape[1] % 2)))
    return even[:, ::2] | even[:, 1::2] << 4


@pytest.mark.parametrize(
    ("bits", "zeros"), [(4, ""), (4, "integers"), (4, "numbers"), (4, "order"), (8, ""), (8, "integers")]
)
def test_matmul_nbits(bits: int, zeros: str, tmp_path: Path) -> None:
    for k, n, block in ((64, 33, 16), (100, 17, 32), (32, 130, 64)):
        model, w, b = nbits_of(k, n, bits, block, zeros)
        in_blocks = zeros in ("", "integers") or (zeros == "order" and k <= block)
        assert [node.op for node in plan_of(model).nodes] == ["CompressedGemm" if in_blocks else "Gemm"]
        run = everywhere(model, tmp_path)
        for m in (1, 3, 9):
            x = random(m, k)
            assert same_bits(run([x])[0], np.maximum(library().gemm(x, w, b), 0)), (k, n, block, m)
            np.testing.assert_allclose(run([x])[0], reference(model, [x])[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["float16", "int8", "uint8 with zero points", "int4"])
@pytest.mark.parametrize("kernel", [1, 3])
def test_convolutions(name: str, kernel: int, tmp_path: Path) -> None:
    """Of one and of two groups; of one output each, of few and of many."""
    form = FORMS[name]
    for groups, ci, co in ((1, 20, 33), (2, 12, 34)):
        k = ci // groups * kernel * kernel
        tensors, node, w = form.tensors(random(k, co))
        weight = w.T.reshape(co, ci // groups, kernel, kernel)
        for tensor in tensors:  # [k, n] -> [n, c, kh, kw]
            if len(tensor.dims) == 2:
                array = numpy_helper.to_array(tensor).T.reshape(weight.shape)
                tensor.CopyFrom(helper.make_tensor(tensor.name, tensor.data_type, array.shape, array.reshape(-1)))
        if node.op_type == "DequantizeLinear":
            node.attribute[0].i = 0
        conv = helper.make_node("Conv", ["x", "w"], ["y"], group=groups, dilations=[2, 1], strides=[1, 2])
        model = model_of([node, conv], {"x": [1, ci, "h", "width"]}, tensors)
        assert is_compressed(plan_of(model), form)
        run = everywhere(model, tmp_path)
        for size in ((5, 3), (7, 6), (11, 19), *([(1, 1), (2, 3)] if kernel == 1 else [])):
            x = random(1, *size, ci)
            want = library().conv2d(x, weight, strides=(1, 2), dilations=(2, 1), groups=groups)
            assert same_bits(run([np.moveaxis(x, -1, 1)])[0], np.moveaxis(want, -1, 1)), (groups, size)


def test_gemm_of_transposed_weights(tmp_path: Path) -> None:
    form = FORMS["uint4 in blocks with zero points"]
    tensors, node, w = form.tensors(random(64, 40))
    for tensor in tensors:
        array = numpy_helper.to_array(tensor).T
        tensor.CopyFrom(helper.make_tensor(tensor.name, tensor.data_type, array.shape, array.reshape(-1)))
    next(a for a in node.attribute if a.name == "axis").i = 1
    b = random(40)
    tensors.append(numpy_helper.from_array(b, "b"))
    nodes = [node, helper.make_node("Gemm", ["x", "w", "b"], ["p"], transB=1), helper.make_node("Tanh", ["p"], ["y"])]
    model = model_of(nodes, {"x": ["m", 64]}, tensors)
    assert is_compressed(plan_of(model), form)
    run = everywhere(model, tmp_path)
    for m in (1, 6):
        x = random(m, 64)
        assert same_bits(run([x])[0], library().unary("tanh", library().gemm(x, w, b)))


def test_models_of_float16(tmp_path: Path) -> None:
    """Results are rounded to float16 once; the weights stay as they are."""
    w = random(64, 40).astype(np.float16)
    w[0, :4] = [np.inf, -0.0, 6e-8, 65504]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT16, ["m", k]) for name, k in (("x", 64), ("y", 40))]
    made = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g", infos[:1], infos[1:], [numpy_helper.from_array(w, "w")]
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    assert is_compressed(plan_of(model), FORMS["float16"])
    run = everywhere(model, tmp_path)
    for m in (2, 7):
        x = random(m, 64).astype(np.float16)
        want = library().gemm(x.astype(np.float32), w.astype(np.float32)).astype(np.float16)
        assert same_bits(run([x])[0], want)


def test_what_no_form_holds_is_float32() -> None:
    """One scale for each row of a MatMul, and float32 that are almost float16."""
    tensors = [
        helper.make_tensor("w.q", INT8, [4, 32], RNG.integers(-128, 128, 128)),
        numpy_helper.from_array(np.linspace(1, 2, 4, dtype=np.float32), "w.s"),
    ]
    restore = helper.make_node("DequantizeLinear", ["w.q", "w.s"], ["w"], axis=0)
    product = helper.make_node("MatMul", ["x", "w"], ["y"])
    assert plan_of(model_of([restore, product], {"x": ["m", 4]}, tensors)).ops == ["Gemm"]
    almost = np.ones((4, 32), np.float32)
    almost[3, 31] = 1 + 2**-20
    weights = [numpy_helper.from_array(almost, "w")]
    assert plan_of(model_of([product], {"x": ["m", 4]}, weights)).ops == ["Gemm"]


@pytest.mark.parametrize("name", ["float16", "int8 rows"])
def test_tables_stay_small(name: str, tmp_path: Path) -> None:
    """What is gathered from them is made float32, with the bits of a float32 table."""
    table = random(50, 24)
    if name == "float16":
        tensors, node, table = FORMS[name].tensors(table)
    else:
        q, scale = RNG.integers(-128, 128, table.shape).astype(np.int8), np.linspace(0.01, 0.1, 50, dtype=np.float32)
        tensors = [numpy_helper.from_array(q, "w.q"), numpy_helper.from_array(scale, "w.s")]
        node, table = helper.make_node("DequantizeLinear", ["w.q", "w.s"], ["w"], axis=0), q * scale[:, None]
    tensors.append(numpy_helper.from_array(np.array([[3, -1, 0], [49, 7, 7]]), "i"))
    nodes = [node, helper.make_node("Gather", ["w", "i"], ["e"]), helper.make_node("Mul", ["e", "x"], ["y"])]
    model = model_of(nodes, {"x": [1]}, tensors)
    assert len(plan_of(model).to_bytes()) < 4000 < table.nbytes
    (got,) = everywhere(model, tmp_path)([np.array([2], np.float32)])
    assert same_bits(got, table[[[3, -1, 0], [49, 7, 7]]] * np.float32(2))


def test_winograd_gives_way_where_memory_counts() -> None:
    tensors, node, _ = FORMS["float16"].tensors(random(64, 64 * 9))
    weight = numpy_helper.to_array(tensors[0]).reshape(64, 64, 3, 3)
    nodes = [node, helper.make_node("Conv", ["x", "w"], ["y"], pads=[1] * 4)]
    model = model_of(nodes, {"x": [1, 64, 28, 28]}, [numpy_helper.from_array(weight, "w.h")])
    graph = ir.from_proto(model)
    run_passes(graph, PassContext())
    rates = where_int8.rates_of(device_profiles.load("raspberrypi4"))
    assert rates is not None
    assert "WinogradConv" in lowering.lower(graph, rates).ops
    assert "CompressedConv" in lowering.lower(graph).ops
