"""The decoder as ONNX Runtime runs it fastest: by GroupQueryAttention, whose past and present share memory."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from examples.chatbot.decoder import Builder, Sizes
from examples.chatbot.weights import Weights


def build(sizes: Sizes, state: Mapping[str, np.ndarray], weights: Weights) -> ir.Model:
    """The decoder; beside its other inputs seqlens_k int32 [1], the last position, and total int32, the length."""
    return _Grouped(sizes, state, weights).model()


class _Grouped(Builder):
    def __init__(self, sizes: Sizes, state: Mapping[str, np.ndarray], weights: Weights) -> None:
        super().__init__(sizes, state, weights)
        self._shared: list[ir.Value] = []

    def _operands(self) -> list[ir.Value]:
        if not self._shared:
            s = self.sizes
            frequencies = 1.0 / s.theta ** (np.arange(0, s.columns, 2, dtype=np.float64) / s.columns)
            angles = (np.arange(s.positions)[:, None] * frequencies).astype(np.float32)
            self._shared = [
                self.input("seqlens_k", ir.DataType.INT32, [1]),
                self.input("total", ir.DataType.INT32, []),
                self.array(np.cos(angles)),
                self.array(np.sin(angles)),
            ]
        return self._shared

    def attention(self, x: ir.Value, layer: int, places: object) -> ir.Value:
        """One operator, which also turns queries and keys."""
        s, stem = self.sizes, f"model.layers.{layer}.self_attn"
        rows = self.linear(x, f"{stem}.q_proj", f"{stem}.k_proj", f"{stem}.v_proj")
        past = [self.past(layer, "key"), self.past(layer, "value")]
        names = (f"attention_{layer}", f"present.{layer}.key", f"present.{layer}.value")
        outs = [ir.Value(name=name) for name in names]
        for value in outs[1:]:
            value.type = ir.TensorType(ir.DataType.FLOAT)
            value.shape = ir.Shape([1, s.kv_heads, "total_rows", s.columns])
        self.outputs += outs[1:]
        self.tape.op_multi_out(
            "GroupQueryAttention",
            [rows, None, None, *past, *self._operands()],
            attributes={"num_heads": s.heads, "kv_num_heads": s.kv_heads, "do_rotary": 1, "rotary_interleaved": 0},
            domain="com.microsoft",
            outputs=outs,
        )
        return self.linear(outs[0], f"{stem}.o_proj")
