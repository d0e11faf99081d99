"""Products by weights in blocks whose rows become bytes as the model runs: com.microsoft MatMulNBits.

    y = MatMulNBits<accuracy_level = 4>(x, B, scales, zero_points)

B is uint8 [outputs, blocks, block / 2], two numbers of 0..15 in a byte, the first in the low bits; zero_points the same
[outputs, ceil(blocks / 2)], left out where all are 8 (ONNX Runtime, docs/ContribOperators.md). x becomes int8 in blocks
of as many numbers, with a scale each.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.passes.edit import add_constant, new_node, replace_node
from edgeort.quantize import gptq
from edgeort.quantize.qdq import QuantizedLayer

DOMAIN, NAME = "com.microsoft", "MatMulNBits"
_BITS, _MIDDLE, _INT8_LEVEL = 4, 8, 4


def call(model: ir.Model, quantized: QuantizedLayer) -> None:
    """Replaces a MatMul or Gemm by weights in blocks, and puts an Add behind where it has a bias."""
    node, graph, grid = quantized.layer.node, model.graph, quantized.grid
    assert grid is not None and quantized.weight.const_value is not None
    less = _MIDDLE if grid.signed else 0
    integers = quantized.weight.const_value.numpy().astype(np.int8)
    rows = gptq.as_rows(quantized.layer, integers)[0] + less
    outputs, d = rows.shape
    whole = np.full((outputs, grid.scales.shape[1] * grid.size), _MIDDLE, np.uint8)
    whole[:, :d] = rows
    scales, *zeros = (value.const_value for value in quantized.grid_values)
    arrays = [_pairs(whole).reshape(outputs, -1, grid.size // 2), _per_output(quantized, scales).astype(np.float32)]
    if zeros:
        arrays.append(_pairs(_per_output(quantized, zeros[0]).astype(np.uint8)))
    stem = str(quantized.weight.name)
    names = (f"{stem}_packed", f"{stem}_packed_scales", f"{stem}_packed_zero_points")
    constants = [add_constant(graph, array, name) for array, name in zip(arrays, names, strict=False)]
    sizes = {"K": d, "N": outputs, "bits": _BITS, "block_size": grid.size, "accuracy_level": _INT8_LEVEL}
    out, bias = node.outputs[0], node.inputs[2] if len(node.inputs) > 2 else None
    operands = [node.inputs[0], *constants]
    made = new_node(graph, NAME, operands, sizes, stem=str(node.name), domain=DOMAIN, like=out)
    model.opset_imports.setdefault(DOMAIN, 1)
    if bias is None:
        replace_node(graph, node, made)
        return
    graph.insert_before(node, made)
    replace_node(graph, node, new_node(graph, "Add", [made.outputs[0], bias], stem=f"{node.name}_bias", like=out))


def _per_output(quantized: QuantizedLayer, value: ir.TensorProtocol | None) -> np.ndarray:
    """[outputs, blocks] of what lies as the weight does."""
    assert value is not None
    array = value.numpy()
    return array if quantized.layer.weight_axis == 0 else array.T


def _pairs(rows: np.ndarray) -> np.ndarray:
    """uint8 [n, m] of 0..15 -> [n, ceil(m / 2)]."""
    even = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2)))
    return np.ascontiguousarray(even[:, ::2] | even[:, 1::2] << _BITS)
