"""Products by weights that are mostly zeros: which ones SparseGemm pays for, and how their weights lie.

Each column keeps its weights that are not zero, and a bit a row that says which those are. The sums leave out the
products by zero, which changes nothing where the input is finite (runtime/NUMERICS.md).
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from edgeort.lowering import layout
from edgeort.lowering.context import Group, Lowering
from edgeort.lowering.params import PARAMS
from edgeort.lowering.program import epilogue
from edgeort.passes.quantised import dequantized_constant

U64 = next(code for code, (name, _, _) in enumerate(layout.DTYPES) if name == "u64")
FEWEST = 0.7  # zeros
UNKNOWN = 16  # entries of a dimension that only the runtime knows
MOST_ROWS = 1 << 16  # of a matrix: their numbers are stored in 16 bits
_VECTOR = 16  # rows that are multiplied at once, at most
# Fitted to measured kernels of AVX2 and AVX-512: multiply-adds of the dense kernel in the time of one of the sparse
# kernel, and cycles that a number of the input or the result takes to be transposed.
_MULTIPLY, _TRANSPOSE = 2.0, 0.3
_USUAL = 16.0  # multiply-adds of a core a cycle, where they are not known


def pays(ctx: Lowering, node: ir.Node, matrix: np.ndarray) -> bool:
    """Whether the node's first input [..., k] by `matrix`, float32 [k, n], is cheaper without the products by zero.

    Weights that the model has in fewer bits stay so.
    """
    k, n = matrix.shape
    x, weight = node.inputs[:2]
    if matrix.size == 0 or k > MOST_ROWS or x is None or x.shape is None or dequantized_constant(weight) is not None:
        return False
    nonzero = np.count_nonzero(matrix)
    if nonzero > (1 - FEWEST) * matrix.size:
        return False
    rows = math.prod(dim if isinstance(dim, int) else UNKNOWN for dim in x.shape[:-1])
    rate = ctx.rates.float32 if ctx.rates else _USUAL
    sparse = _MULTIPLY * nonzero * -(-rows // _VECTOR) * _VECTOR / rate + _TRANSPOSE * rows * (k + n)
    return bool(sparse < matrix.size * rows / rate)


def pack(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32 [k, n] -> its weights that are not zero, column by column, and the mask, uint64 [n, ceil(k / 64)]."""
    columns = np.ascontiguousarray(matrix.T)
    held = columns != 0
    bits = np.zeros((len(columns), -(-columns.shape[1] // 64) * 64), bool)
    bits[:, : columns.shape[1]] = held
    return columns[held].astype(np.float32), np.packbits(bits, axis=1, bitorder="little").view("<u8")


def product(ctx: Lowering, node: ir.Node, group: Group, matrix: np.ndarray, bias: np.ndarray) -> None:
    """SparseGemm of the node's first input by `matrix`; `bias` is padded."""
    header, code, operands = epilogue(ctx, group.tile, group.program, 4)
    weights, mask = pack(matrix)
    name = node.inputs[1].name  # type: ignore[union-attr]
    inputs = [
        ctx.value(node.inputs[0]),
        ctx.weights(f"{name}.sparse", weights),
        ctx.weights(f"{name}.mask", mask, U64),
        ctx.weights(f"{node.name}.bias", bias),
        *operands,
    ]
    params = PARAMS["SparseGemmParams"].pack(k=matrix.shape[0], n=matrix.shape[1], epilogue=header) + code
    ctx.emit("SparseGemm", node, params, inputs=inputs, outputs=[ctx.result(group.output)])
