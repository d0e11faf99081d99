"""Products by weights of 4, 8 and 16 bits: the bits of the float32 weights that those stand for, at every row count."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeort.lowering.plan import PlanBuilder
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
    from edgeort.lowering import layout

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
