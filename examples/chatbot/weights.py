"""How the matrices of the decoder are stored, and the operators that read them so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from edgeort.model import dynamic_products

if TYPE_CHECKING:
    from examples.chatbot.decoder import Builder

BLOCK = 32  # numbers along k that share a scale


class Weights:
    """float32."""

    def multiply(self, b: Builder, x: ir.Value, matrix: np.ndarray, name: str) -> ir.Value:
        """x [..., k] times `matrix` [k, n]."""
        return b.op("MatMul", x, b.array(matrix, f"{name}.weight"), name=f"{name}.y")

    def embed(self, b: Builder, ids: ir.Value, table: np.ndarray) -> ir.Value:
        """Rows of a table."""
        return b.op("Gather", b.array(table, "embedding"), ids, axis=0)

    def finish(self, model: ir.Model) -> None:
        """Adds what the model needs for its operators."""


class Int8(Weights):
    """int8 with a scale for each column; rows of activations become int8 as the model runs."""

    def multiply(self, b: Builder, x: ir.Value, matrix: np.ndarray, name: str) -> ir.Value:
        """DynamicQuantMatMul."""
        scale = np.maximum(np.abs(matrix).max(axis=0) / np.float32(127), np.finfo(np.float32).tiny)
        q = np.rint(matrix / scale).astype(np.int8)
        operands = b.array(q, f"{name}.weight"), b.array(scale, f"{name}.scale")
        return b.op(dynamic_products.NAME, x, *operands, domain=dynamic_products.DOMAIN, name=f"{name}.y")

    def embed(self, b: Builder, ids: ir.Value, table: np.ndarray) -> ir.Value:
        """Rows of int8, with a scale each."""
        scale = np.maximum(np.abs(table).max(axis=1, keepdims=True) / np.float32(127), np.finfo(np.float32).tiny)
        row = b.op("Gather", b.array(np.rint(table / scale).astype(np.int8), "embedding"), ids, axis=0)
        wide = b.op("Cast", row, to=int(ir.DataType.FLOAT))
        return b.op("Mul", wide, b.op("Gather", b.array(scale, "embedding.scale"), ids, axis=0))

    def finish(self, model: ir.Model) -> None:
        """The function."""
        dynamic_products.add_function(model)


class Blocks(Int8):
    """MatMulNBits of 4 or 8 bits, a scale for each block; `accuracy` 4 lets activations become int8."""

    def __init__(self, bits: int, accuracy: int = 0) -> None:
        self.bits, self.accuracy = bits, accuracy

    def multiply(self, b: Builder, x: ir.Value, matrix: np.ndarray, name: str) -> ir.Value:
        """MatMulNBits."""
        k, n = matrix.shape
        middle = 2 ** (self.bits - 1)
        parts = np.zeros((n, -(-k // BLOCK) * BLOCK), np.float32)
        parts[:, :k] = matrix.T
        parts = parts.reshape(n, -1, BLOCK)
        scale = np.maximum(np.abs(parts).max(axis=2) / np.float32(middle - 1), np.finfo(np.float32).tiny)
        q = (np.rint(parts / scale[:, :, None]) + middle).astype(np.uint8)
        packed = q if self.bits == 8 else q[:, :, ::2] | q[:, :, 1::2] << 4
        attributes = {"K": k, "N": n, "bits": self.bits, "block_size": BLOCK, "accuracy_level": self.accuracy}
        operands = b.array(packed, f"{name}.weight"), b.array(scale, f"{name}.scale")
        return b.op("MatMulNBits", x, *operands, domain="com.microsoft", name=f"{name}.y", **attributes)

    def finish(self, model: ir.Model) -> None:
        """Nothing: the operator is ONNX Runtime's."""


FORMS: dict[str, Weights] = {"float32": Weights(), "int8": Int8(), "int8-blocks": Blocks(8, 4), "int4": Blocks(4, 4)}
