"""How messages about a file's own structures name a node, and what they advise."""

from __future__ import annotations

import onnx

DAMAGED = "the model is invalid: export it again, or see: python -m onnx.bin.checker MODEL"


def label(node: onnx.NodeProto) -> str:
    """`node 'NAME' (OPERATOR)`, a nameless one by its first output."""
    return f"node '{node.name or next(iter(node.output), '?')}' ({node.op_type})"


def bodies(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """The graphs among its attributes."""
    found = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    return found + [graph for attribute in node.attribute for graph in attribute.graphs]
