"""From a file to the IR."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

import onnx
import onnx_ir as ir

from edgeort.errors import ModelError
from edgeort.model.inference import adopt_shapes, without_weights
from edgeort.model.labels import DAMAGED
from edgeort.model.modernising import modernised
from edgeort.model.operators import check_operators
from edgeort.model.reading import read_proto
from edgeort.model.sanity import OPSETS, check_model
from edgeort.model.shapes import fix_shapes
from edgeort.model.tensors import check_tensors

_MICROSOFT = "com.microsoft"
_ADDITIONS = {"LayerNormalization": 17, "SimplifiedLayerNormalization": 2**31}  # the first opset that has it
FUNCTIONS_IR_VERSION = 8  # the first that knows model-local functions, which our passes add


def load(path: str | os.PathLike[str], *, shapes: Mapping[str, Sequence[int | str]] | None = None) -> ir.Model:
    """Load the ONNX file at `path`; `shapes` fixes dimensions of graph inputs (see `fix_shapes`).

    Weights stay where they are: inside the parsed file, or memory-mapped from external files. `TensorProtocol.numpy()`
    copies the former on every call. Inputs that are the initializers of old files are dropped from the graph's inputs,
    nodes come in topological order, the domain 'ai.onnx' is spelt ''.

    Raises ModelError for anything that is not a sane ONNX model, ShapeError when `shapes` does not fit.
    """
    name = os.fspath(path)
    try:
        proto = read_proto(name)
        folder = os.path.dirname(os.path.abspath(name))
        try:
            proto = modernised(proto)
            check_model(proto)
            check_tensors(proto, folder)
            model = _to_ir(proto, folder)
            # What cannot be written again, such as a name that is not UTF-8, fails here, too.
            adopt_shapes(model, check_operators(without_weights(model)))
        except ModelError:
            raise
        except Exception as error:
            # Every other way in which a hostile file can upset protobuf and onnx-ir; they have no common error type.
            raise ModelError(f"the model cannot be read: {_root_cause(error)}") from error
        return fix_shapes(model, shapes) if shapes else model
    except ModelError as error:
        raise type(error)(f"{name}: {error}", hint=error.hint or DAMAGED) from error.__cause__


def _to_ir(proto: onnx.ModelProto, folder: str) -> ir.Model:
    _normalize(proto)
    model = ir.from_proto(proto)
    # An absolute folder: with an empty one onnx-ir skips its own containment check when the data is read.
    ir.external_data.set_base_dir(model.graph, folder)
    for graph in model.graphs():
        inputs = [value for value in graph.inputs if value.name not in graph.initializers]
        if len(inputs) < len(graph.inputs):
            graph.inputs.clear()
            graph.inputs.extend(inputs)
        graph.sort()
    for function in model.functions.values():
        function.sort()
    model.ir_version = max(model.ir_version, FUNCTIONS_IR_VERSION)
    return model


def _normalize(proto: onnx.ModelProto) -> None:
    """Spell the default domain one way, name what ONNX Runtime's optimiser adds to it, turn negative dimensions of some
    exporters into unknown ones, and make what bodies hand on."""
    for imports in (proto.opset_import, *(function.opset_import for function in proto.functions)):
        for entry in imports:
            if entry.domain == "ai.onnx":
                entry.domain = ""
    if not any(entry.domain == "" for entry in proto.opset_import):  # nothing uses it, but what replaces a node may
        proto.opset_import.append(onnx.helper.make_opsetid("", OPSETS[1]))
    opset = max(entry.version for entry in proto.opset_import if entry.domain == "")
    if _name_additions(proto.graph, opset) and not any(entry.domain == _MICROSOFT for entry in proto.opset_import):
        proto.opset_import.append(onnx.helper.make_opsetid(_MICROSOFT, 1))
    _forget_negative_dims((*proto.graph.input, *proto.graph.value_info, *proto.graph.output))
    _make_outputs(proto.graph)


def _name_additions(graph: onnx.GraphProto, opset: int) -> bool:
    """Gives operators that ONNX Runtime's optimiser puts into ONNX's domain, before ONNX has them, the domain of its
    own ones; whether there were any."""
    found = False
    for node in graph.node:
        if node.domain in ("", "ai.onnx") and opset < _ADDITIONS.get(node.op_type, 0):
            node.domain, found = _MICROSOFT, True
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found |= _name_additions(attribute.g, opset)
    return found


def _make_outputs(graph: onnx.GraphProto) -> None:
    """A body's output that is a value of the graph around it, which onnx-ir has no form for, becomes a copy of it."""
    for body in (a.g for node in graph.node for a in node.attribute if a.HasField("g")):
        made = {info.name for info in (*body.input, *body.initializer)} | {n for node in body.node for n in node.output}
        for info in body.output:
            if info.name not in made:
                copy = f"{body.name}.{info.name}"
                body.node.append(onnx.helper.make_node("Identity", [info.name], [copy], name=copy))
                info.name = copy
        _make_outputs(body)


def _forget_negative_dims(infos: Iterable[onnx.ValueInfoProto]) -> None:
    for info in infos:
        if info.type.HasField("tensor_type"):
            for dim in info.type.tensor_type.shape.dim if info.type.tensor_type.HasField("shape") else ():
                if dim.dim_value < 0:
                    dim.ClearField("dim_value")


def _root_cause(error: BaseException) -> str:
    """The first sentence of the innermost error; onnx-ir wraps errors in ones that print whole graphs."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).split("\n")[0][:300]
