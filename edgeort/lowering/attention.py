"""Attention over heads (passes/recognise_attention.py)."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from edgeort.lowering.context import Group, Lowering, integer, integers, number
from edgeort.lowering.params import PARAMS
from edgeort.passes.functions import DOMAIN

Handler = Callable[[Lowering, ir.Node, Group], None]


def _attention(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """edgeort.Attention, edgeort.MaskedAttention: the attributes become the parameters as they are."""
    params = PARAMS["AttentionParams"].pack(
        perm=[a for name in "qkv" for a in integers(node, f"{name}_perm") or []],
        part=[integer(node, f"{name}_part", 0) for name in "qkv"],
        out_perm=integers(node, "out_perm") or [],
        scale=number(node, "scale", 1.0),
    )
    ctx.emit("Attention", node, params)


HANDLERS: dict[tuple[str, str], Handler] = {(DOMAIN, name): _attention for name in ("Attention", "MaskedAttention")}
