"""Checks on the attributes of nodes that no later stage, and none of ONNX's own, makes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import onnx

from edgeort.errors import ModelError
from edgeort.model.labels import DAMAGED, bodies, label
from edgeort.model.tensors import RANK_LIMIT

_EQUATION = re.compile(r"[A-Za-z., ]*(->[A-Za-z. ]*)?")


def check_attributes(nodes: Iterable[onnx.NodeProto], formal: Collection[str]) -> None:
    """Raise ModelError for a node, also of a body, that has an attribute twice, one that stands for an attribute that
    is not among the `formal` ones of the function around it, or an axis beyond any rank."""
    for node in nodes:
        seen: set[str] = set()
        for attribute in node.attribute:
            if attribute.name in seen:
                raise ModelError(f"{label(node)} has two attributes named '{attribute.name}'", hint=DAMAGED)
            seen.add(attribute.name)
            if attribute.HasField("ref_attr_name") and attribute.ref_attr_name not in formal:
                raise ModelError(
                    f"attribute '{attribute.name}' of {label(node)} stands for '{attribute.ref_attr_name}' of a "
                    "function, which there is not",
                    hint=DAMAGED,
                )
            _check_axes(node, attribute)
            if node.domain in ("", "ai.onnx"):
                _check_text(node, attribute)
        _check_count(node)
        for body in bodies(node):
            check_attributes(body.node, formal)


def _check_axes(node: onnx.NodeProto, attribute: onnx.AttributeProto) -> None:
    """ONNX's inference reads past the end of a shape at some of them."""
    if attribute.name.rpartition("_")[2] in ("axis", "axes"):
        for axis in (attribute.i, *attribute.ints):
            if not -RANK_LIMIT <= axis < RANK_LIMIT:
                raise ModelError(f"{label(node)} has the {attribute.name} {axis}, beyond any rank", hint=DAMAGED)


def _check_text(node: onnx.NodeProto, attribute: onnx.AttributeProto) -> None:
    """Inference never ends at some equations that are none."""
    try:
        texts = [text.decode() for text in (attribute.s, *attribute.strings)]
    except UnicodeDecodeError:
        raise ModelError(f"attribute '{attribute.name}' of {label(node)} is no text", hint=DAMAGED) from None
    if (node.op_type, attribute.name) == ("Einsum", "equation") and not _EQUATION.fullmatch(texts[0]):
        raise ModelError(f"the equation {texts[0]!r} of {label(node)} is none of Einsum's", hint=DAMAGED)


def _check_count(node: onnx.NodeProto) -> None:
    """What ONNX's inference takes for granted of Split, and its checker of a Constant in a function."""
    if node.domain not in ("", "ai.onnx"):
        return
    if node.op_type == "Constant" and len(node.attribute) != 1:
        raise ModelError(f"{label(node)} has {len(node.attribute)} attributes; it has one, its value", hint=DAMAGED)
    counts = {"num_outputs": lambda a: a.i, "split": lambda a: len(a.ints)}
    if node.op_type == "Split":
        for attribute in node.attribute:
            if attribute.name in counts and counts[attribute.name](attribute) != len(node.output):
                raise ModelError(
                    f"{label(node)} has {len(node.output)} outputs, but its {attribute.name} is of "
                    f"{counts[attribute.name](attribute)}",
                    hint=DAMAGED,
                )
