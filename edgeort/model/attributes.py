"""Checks on the attributes of nodes that no later stage, and none of ONNX's own, makes."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import onnx

from edgeort.errors import ModelError
from edgeort.model.labels import DAMAGED, bodies, label
from edgeort.model.tensors import RANK_LIMIT


def check_attributes(nodes: Iterable[onnx.NodeProto], formal: Collection[str]) -> None:
    """Raise ModelError for a node, also of a body, that has an attribute twice, one that stands for an attribute that
    is not among the `formal` ones of the function around it, or an axis beyond any rank."""
    for node in nodes:
        seen: set[str] = set()
        for attribute in node.attribute:
            if attribute.name in seen:
                raise ModelError(f"{label(node)} has two attributes named '{attribute.name}'", hint=DAMAGED)
            seen.add(attribute.name)
            if attribute.ref_attr_name and attribute.ref_attr_name not in formal:
                raise ModelError(
                    f"attribute '{attribute.name}' of {label(node)} stands for '{attribute.ref_attr_name}' of a "
                    "function, which there is not",
                    hint=DAMAGED,
                )
            _check_axes(node, attribute)
        for body in bodies(node):
            check_attributes(body.node, formal)


def _check_axes(node: onnx.NodeProto, attribute: onnx.AttributeProto) -> None:
    """ONNX's inference reads past the end of a shape at some of them."""
    if attribute.name.rpartition("_")[2] in ("axis", "axes"):
        for axis in (attribute.i, *attribute.ints):
            if not -RANK_LIMIT <= axis < RANK_LIMIT:
                raise ModelError(f"{label(node)} has the {attribute.name} {axis}, beyond any rank", hint=DAMAGED)
