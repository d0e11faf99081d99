"""The ONNX project's own checker and type inference: do nodes have the inputs, outputs and attributes that the standard
gives them, and do types and shapes agree?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import onnx_ir as ir

from edgeort.errors import EdgeortError, ModelError
from edgeort.model.inference import without_weights

_CHECKED = re.compile(r"Bad node spec for node\. Name: (.*) OpType: (.*)")
_INFERRED = re.compile(r"\(op_type:([^,)]*)(?:, node name: ([^)]*))?\): *(?:\[\w+\] *)?(.*)")
_HINT = "the model is invalid: export it again with a newer exporter, or see: python -m onnx.bin.checker MODEL"
_DEPRECATED = "is deprecated in domain_version"
_NESTED = "[ShapeInferenceError] Inference error(s)"  # within the body of an operator that is a function


# What code raises that is given operands which it did not expect.
_CONFUSED = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def check_operators(light: onnx.ModelProto) -> onnx.ModelProto:
    """Raise ModelError where the checker or inference finds fault; the message names the node.

    `light` has its nodes in topological order, weights may be left out; it is changed. Returns it with the shapes that
    its nodes make of those of the inputs: exporters write down those of the one size that they traced, also where
    another one is right.
    """
    for node in light.graph.node:
        node.name = node.name or next(iter(node.output), "")
    for infos in (light.graph.value_info, light.graph.output):
        for info in [info for info in infos if not info.HasField("type")]:  # it says nothing that could be checked
            infos.remove(info)
    unknown = [info.type.tensor_type for info in (*light.graph.input, *light.graph.output) if _has_no_shape(info)]
    for kind in unknown:
        kind.shape.SetInParent()  # the checker asks for one
    try:
        onnx.checker.check_model(light)
    except onnx.checker.ValidationError as error:
        if _DEPRECATED in str(error):  # it still says what is to be computed
            return light
        lines = str(error).strip().splitlines()
        where = next((found for line in lines if (found := _CHECKED.search(line))), None)
        node = f"node '{where[1]}' ({where[2]})" if where else "the model"
        raise ModelError(f"{node} is not valid ONNX: {lines[0].rstrip('.')}", hint=_HINT) from error
    for kind in unknown:
        kind.ClearField("shape")
    return _inferred_strictly(light)


def _has_no_shape(info: onnx.ValueInfoProto) -> bool:
    return info.type.HasField("tensor_type") and not info.type.tensor_type.HasField("shape")


@contextmanager
def blaming(model: ir.Model) -> Iterator[None]:
    """ModelError in place of what the block raises, where types and shapes of `model` disagree: that was why.

    Not checked before, since some contradictions harm nobody: bodies of ONNX's own functions have them.
    """
    try:
        yield
    except EdgeortError:
        raise
    except _CONFUSED as error:
        try:
            light = without_weights(model)
        except Exception:
            raise error from None
        _inferred_strictly(light)
        raise


def _inferred_strictly(light: onnx.ModelProto) -> onnx.ModelProto:
    for info in _declarations(light.graph):
        if info.type.HasField("tensor_type"):
            info.type.tensor_type.ClearField("shape")
    try:
        return onnx.shape_inference.infer_shapes(light, check_type=True, strict_mode=True)
    except onnx.shape_inference.InferenceError as error:
        if _NESTED in str(error).partition(_NESTED)[2]:  # inference cannot follow attributes into such a body
            return light
        raise ModelError(_message(str(error)), hint=_HINT) from error


def _declarations(graph: onnx.GraphProto) -> Iterator[onnx.ValueInfoProto]:
    """Of all that nodes make: inference reads the values of constants that are declared with their shapes only."""
    constants = {tensor.name for tensor in graph.initializer}
    yield from (info for info in (*graph.value_info, *graph.output) if info.name not in constants)
    for node in graph.node:
        for attribute in node.attribute:
            for body in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                yield from _declarations(body)


def _message(text: str) -> str:
    """The innermost node that inference complains of, and how."""
    lines = text.strip().splitlines()
    found = [match for line in lines for match in _INFERRED.finditer(line)]
    if not found:
        return f"types and shapes of the model disagree: {lines[0]}"
    operator, name, reason = found[-1].groups()
    return f"node '{name or '?'}' ({operator}) does not fit its inputs: {reason.strip().rstrip('.')}"
