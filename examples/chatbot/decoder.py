"""A Llama-like decoder as ONNX, from a configuration and the weights of `transformers`.

    input_ids int64 [1, new], past_key_values.L.key and .value float32 [1, kv head, past, column]
      -> logits float32 [1, 1, vocabulary] of the last position,
         present.L.key and .value [1, kv head, past + new, column]

Batch 1; `new` and `past` are free. Rows of the heads that share keys lie under one another, so that nobody repeats
keys: queries are [1, kv head, group x new, column]. (Llama: Touvron et al. 2023, arXiv:2302.13971; grouped queries:
Ainslie et al. 2023, arXiv:2305.13245; positions: Su et al. 2021, arXiv:2104.09864.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx_ir.tape import Tape

from examples.chatbot.weights import Weights

OPSET, IR_VERSION = 23, 11
_FAR = -1e9  # added to the scores of keys that lie behind a query


@dataclass(frozen=True)
class Sizes:
    """Of a decoder."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    columns: int  # of a head
    inner: int
    vocabulary: int
    positions: int
    epsilon: float
    theta: float

    @classmethod
    def of(cls, config: Any) -> Sizes | None:
        """Those of a `transformers.LlamaConfig` with plain rotary positions; None of others, unknown here."""
        plain = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default") == "default"
        if config.model_type != "llama" or not plain or config.hidden_act != "silu":
            return None
        rope = getattr(config, "rope_parameters", None) or {}
        return cls(
            layers=config.num_hidden_layers,
            hidden=config.hidden_size,
            heads=config.num_attention_heads,
            kv_heads=config.num_key_value_heads,
            columns=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
            inner=config.intermediate_size,
            vocabulary=config.vocab_size,
            positions=config.max_position_embeddings,
            epsilon=config.rms_norm_eps,
            theta=rope.get("rope_theta") or getattr(config, "rope_theta", 10000.0),
        )


def build(sizes: Sizes, state: Mapping[str, np.ndarray], weights: Weights) -> ir.Model:
    """The decoder with the tensors of `LlamaForCausalLM.state_dict()`, whose matrices are stored as `weights` says."""
    return Builder(sizes, state, weights).model()


def _is_float(value: ir.Value, *shape: int | str) -> None:
    value.type, value.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(shape)


class Builder:
    def __init__(self, sizes: Sizes, state: Mapping[str, np.ndarray], weights: Weights) -> None:
        self.sizes, self.state, self.weights, self.tape = sizes, state, weights, Tape()
        self.inputs: list[ir.Value] = []
        self.outputs: list[ir.Value] = []
        self.count = 0
        self.rows: int | str = "new"  # of what is multiplied now

    def op(self, kind: str, *inputs: ir.Value | None, name: str = "", domain: str = "", **attributes: Any) -> ir.Value:
        """The one output of a new node."""
        self.count += 1
        made = ir.Value(name=name or f"{kind.lower()}_{self.count}")
        stem = f"{kind}_{self.count}_{name}".strip("_")
        self.tape.op(kind, inputs, attributes=attributes, domain=domain, output=made, name=stem)
        return made

    def array(self, array: np.ndarray, name: str = "") -> ir.Value:
        """A constant."""
        self.count += 1
        return self.tape.initializer(ir.tensor(np.ascontiguousarray(array)), name=name or f"constant_{self.count}")

    def ints(self, *numbers: int) -> ir.Value:
        """A constant list."""
        return self.array(np.array(numbers, np.int64))

    def weight(self, name: str) -> np.ndarray:
        """A tensor of the state, float32."""
        return np.asarray(self.state[name], np.float32)

    def linear(self, x: ir.Value, *names: str) -> ir.Value:
        """x times matrices side by side, each [out, in] in the state, with their biases where they have some."""
        matrix = np.concatenate([self.weight(f"{name}.weight") for name in names]).T
        y = self.weights.multiply(self, x, matrix, names[0])
        # Shape inference does not look into operators of other domains.
        _is_float(y, 1, self.rows, matrix.shape[1])
        if f"{names[0]}.bias" not in self.state:
            return y
        return self.op("Add", y, self.array(np.concatenate([self.weight(f"{name}.bias") for name in names])))

    def norm(self, x: ir.Value, name: str) -> ir.Value:
        """RMSNorm (Zhang and Sennrich 2019)."""
        scale = self.array(self.weight(f"{name}.weight"), f"{name}.weight")
        return self.op("RMSNormalization", x, scale, axis=-1, epsilon=self.sizes.epsilon)

    def model(self) -> ir.Model:
        """See build()."""
        s = self.sizes
        ids = self.input("input_ids", ir.DataType.INT64, [1, "new"])
        x = self.weights.embed(self, ids, self.weight("model.embed_tokens.weight"))
        places = _Places(self, ids, self.past(0, "key"))
        for layer in range(s.layers):
            x = self.layer(x, layer, places)
        last = self.op("Gather", x, self.ints(-1), axis=1)
        x, self.rows = self.norm(last, "model.norm"), 1
        head = "lm_head" if "lm_head.weight" in self.state else "model.embed_tokens"
        logits = self.op("Identity", self.linear(x, head), name="logits")
        _is_float(logits, 1, 1, s.vocabulary)
        graph = ir.Graph(
            self.inputs,
            [logits, *self.outputs],
            nodes=self.tape.nodes,
            initializers=self.tape.initializers,
            opset_imports={"": OPSET, "com.microsoft": 1},
            name="decoder",
        )
        made = ir.Model(graph, ir_version=IR_VERSION)
        self.weights.finish(made)
        return made

    def input(self, name: str, dtype: ir.DataType, shape: list[int | str]) -> ir.Value:
        """A new input of the graph."""
        value = ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(shape))
        self.inputs.append(value)
        return value

    def past(self, layer: int, kind: str) -> ir.Value:
        """The input of earlier keys or values."""
        name = f"past_key_values.{layer}.{kind}"
        found = next((value for value in self.inputs if value.name == name), None)
        shape = [1, self.sizes.kv_heads, "past", self.sizes.columns]
        return found or self.input(name, ir.DataType.FLOAT, shape)

    def present(self, layer: int, kind: str, new: ir.Value) -> ir.Value:
        """Earlier and new keys or values, an output."""
        value = self.op("Concat", self.past(layer, kind), new, name=f"present.{layer}.{kind}", axis=2)
        _is_float(value, 1, self.sizes.kv_heads, "total", self.sizes.columns)
        self.outputs.append(value)
        return value

    def layer(self, x: ir.Value, layer: int, places: _Places) -> ir.Value:
        """Attention and the feed-forward part, with what goes round them."""
        stem = f"model.layers.{layer}"
        x = self.op("Add", x, self.attention(self.norm(x, f"{stem}.input_layernorm"), layer, places))
        normal = self.norm(x, f"{stem}.post_attention_layernorm")
        both = self.linear(normal, f"{stem}.mlp.gate_proj", f"{stem}.mlp.up_proj")
        gate, up = self.split(both, [self.sizes.inner] * 2, -1)
        gated = self.op("Mul", self.op("Mul", gate, self.op("Sigmoid", gate)), up)
        return self.op("Add", x, self.linear(gated, f"{stem}.mlp.down_proj"))

    def split(self, x: ir.Value, sizes: list[int], axis: int) -> list[ir.Value]:
        """Parts of x along an axis."""
        self.count += 1
        outs = [ir.Value(name=f"split_{self.count}_{i}") for i in range(len(sizes))]
        self.tape.op_multi_out("Split", [x, self.ints(*sizes)], attributes={"axis": axis}, outputs=outs)
        return outs

    def attention(self, x: ir.Value, layer: int, places: _Places) -> ir.Value:
        """Self-attention of the new rows over all of them."""
        s, stem = self.sizes, f"model.layers.{layer}.self_attn"
        rows = self.linear(x, f"{stem}.q_proj", f"{stem}.k_proj", f"{stem}.v_proj")
        heads = self.op("Reshape", rows, self.ints(1, -1, s.heads + 2 * s.kv_heads, s.columns))
        turning, values = self.split(heads, [s.heads + s.kv_heads, s.kv_heads], 2)
        queries, keys = self.split(places.turn(turning), [s.heads, s.kv_heads], 2)
        k, v = (
            self.present(layer, kind, self.op("Transpose", new, perm=[0, 2, 1, 3]))
            for kind, new in (("key", keys), ("value", values))
        )
        group = s.heads // s.kv_heads
        q = self.op("Transpose", queries, perm=[0, 2, 1, 3])
        if group > 1:
            q = self.op("Reshape", q, self.ints(1, s.kv_heads, -1, s.columns))
            _is_float(q, 1, s.kv_heads, "rows", s.columns)
        scores = self.op("MatMul", q, self.op("Transpose", k, perm=[0, 1, 3, 2]))
        scores = self.op("Mul", scores, self.array(np.float32(s.columns**-0.5)))
        chances = self.op("Softmax", self.op("Add", scores, places.mask(group)), axis=-1)
        out = self.op("MatMul", chances, v)
        if group > 1:
            shape = self.op("Concat", self.ints(1, s.heads), places.new, self.ints(s.columns), axis=0)
            out = self.op("Reshape", out, shape)
        out = self.op("Transpose", out, perm=[0, 2, 1, 3])
        joined = self.op("Reshape", out, self.ints(1, -1, s.heads * s.columns))
        return self.linear(joined, f"{stem}.o_proj")


class _Places:
    """What follows from where the new rows stand: their angles, and which keys they see."""

    def __init__(self, b: Builder, ids: ir.Value, past: ir.Value) -> None:
        self.b = b
        self.new = b.op("Shape", ids, start=1, end=2)
        zero, one = b.array(np.int64(0)), b.array(np.int64(1))
        before = b.op("Squeeze", b.op("Shape", past, start=2, end=3))
        total = b.op("Add", before, b.op("Squeeze", self.new))
        self.rows = b.op("Range", before, total, one)
        columns = b.op("Range", zero, total, one)
        seen = b.op("LessOrEqual", columns, b.op("Unsqueeze", self.rows, b.ints(1)))
        self.one_mask = b.op("Where", seen, b.array(np.float32(0)), b.array(np.float32(_FAR)))
        s = b.sizes
        frequencies = 1.0 / s.theta ** (np.arange(0, s.columns, 2, dtype=np.float64) / s.columns)
        angles = (np.arange(s.positions)[:, None] * frequencies).astype(np.float32)
        self.cos, self.sin = (
            b.op("Unsqueeze", b.op("Gather", b.array(table), self.rows, axis=0), b.ints(0, 2))
            for table in (np.cos(angles), np.sin(angles))
        )
        for value in (self.cos, self.sin):
            _is_float(value, 1, "new", 1, s.columns // 2)
        self.masks: dict[int, ir.Value] = {}

    def mask(self, group: int) -> ir.Value:
        """float32 [group x new, total]: what is added to scores."""
        if group not in self.masks:
            mask = self.b.op("Tile", self.one_mask, self.b.ints(group, 1)) if group > 1 else self.one_mask
            _is_float(mask, "rows" if group > 1 else "new", "total")
            self.masks[group] = mask
        return self.masks[group]

    def turn(self, x: ir.Value) -> ir.Value:
        """Columns i and i + half of [1, new, head, column] as pairs, turned by their row's angles."""
        b, half = self.b, self.b.sizes.columns // 2
        first, second = b.split(x, [half, half], 3)
        real = b.op("Sub", b.op("Mul", first, self.cos), b.op("Mul", second, self.sin))
        imaginary = b.op("Add", b.op("Mul", second, self.cos), b.op("Mul", first, self.sin))
        return b.op("Concat", real, imaginary, axis=3)
