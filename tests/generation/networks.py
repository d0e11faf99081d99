"""Small decoders of random weights, made without any framework."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir

from examples.chatbot.decoder import Sizes, build
from examples.chatbot.weights import FORMS


def sizes(kv_heads: int) -> Sizes:
    return Sizes(
        layers=2,
        hidden=48,
        heads=4,
        kv_heads=kv_heads,
        columns=16,
        inner=100,
        vocabulary=300,
        positions=128,
        epsilon=1e-5,
        theta=10000.0,
    )


def state(s: Sizes) -> dict[str, np.ndarray]:
    """As LlamaForCausalLM has it, without lm_head: the embedding serves."""
    rng = np.random.default_rng(5)
    made = {"model.embed_tokens.weight": (s.vocabulary, s.hidden), "model.norm.weight": (s.hidden,)}
    for layer in range(s.layers):
        stem = f"model.layers.{layer}"
        made |= {f"{stem}.{name}.weight": (s.hidden,) for name in ("input_layernorm", "post_attention_layernorm")}
        rows = {"q": s.heads, "k": s.kv_heads, "v": s.kv_heads}
        made |= {f"{stem}.self_attn.{n}_proj.weight": (count * s.columns, s.hidden) for n, count in rows.items()}
        made[f"{stem}.self_attn.o_proj.weight"] = (s.hidden, s.heads * s.columns)
        made |= {f"{stem}.mlp.{name}_proj.weight": (s.inner, s.hidden) for name in ("gate", "up")}
        made[f"{stem}.mlp.down_proj.weight"] = (s.hidden, s.inner)
    return {name: (rng.standard_normal(shape) * 0.3 + (len(shape) == 1)).astype("f4") for name, shape in made.items()}


def write(folder: Path, kv_heads: int, form: str) -> Path:
    """The file of one."""
    path = folder / f"decoder-{kv_heads}-{form}.onnx"
    ir.save(build(sizes(kv_heads), state(sizes(kv_heads)), FORMS[form]), path)
    return path
