"""What stands behind a model: a recipe of steps, as nodes at the back of the graph.

The new outputs come first. The model's own stay behind them, by the names that they have: they are what a result is
compared and judged by, since near ties make labels and boxes of two engines differ where their scores hardly do.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common

from edgeort.errors import InputError
from edgeort.model import infer_shapes
from edgeort.recipes import classes, detections, lines
from edgeort.recipes.grammar import Kind, parse, read
from edgeort.recipes.tail import PICTURE, Before, Behind, Tail
from edgeort.recipes.written import Written

FLAG = "--postprocess"
LEAST_OPSET = 11  # whose operators have what the nodes need
CHECK_OPSET = 20  # which has all that bodies of our own operators need
IR_VERSION = 9
_SLOTS = "the scale of scores", "the answer"
_OF_BOXES = ("yolo", "nms")
_PICTURE = ["picture_height", "picture_width", "picture_channels"]

KINDS: dict[str, Kind[Behind]] = {
    "softmax": Kind(classes.read_softmax, "softmax", _SLOTS[0]),
    "sigmoid": Kind(classes.read_sigmoid, "sigmoid", _SLOTS[0]),
    "top-k": Kind(classes.read_top_k, "top-k 5 labels=labels.txt", _SLOTS[1]),
    "yolo": Kind(detections.read_yolo, "yolo score=0.25 iou=0.45 max=300 labels=coco.txt output=NAME", _SLOTS[1]),
    "nms": Kind(
        detections.read_nms,
        "nms boxes=NAME scores=NAME format=xyxy|yxyx|cxcywh rows|columns pixels|relative score=0.25 iou=0.45 max=300 "
        "labels=FILE",
        _SLOTS[1],
    ),
    "ctc": Kind(lines.read_ctc, "ctc blank=0 characters=characters.txt", _SLOTS[1]),
}


@dataclass(frozen=True)
class Postprocessing:
    """A recipe as it was read."""

    written: Written
    steps: tuple[Behind, ...]


@dataclass(frozen=True)
class Attached:
    """A model with its tail. `outputs` are the names of the new outputs, in the order of the graph's first ones.

    `check` are the nodes alone, an ONNX model that ONNX Runtime runs: from the model's own outputs in `reads`, and
    PICTURE where that is one of them, to the new outputs. PICTURE is then an input of the model, too, for the provider
    that knows the picture to replace.
    """

    model: ir.Model
    outputs: tuple[str, ...]
    check: bytes
    reads: tuple[str, ...]


def read_postprocessing(recipe: str | Written) -> Postprocessing:
    """The recipe in a text. InputError names the step that is wrong."""
    written = Written.of(recipe, FLAG) if isinstance(recipe, str) else recipe
    _check_order([step.name for step in parse(written.text, FLAG)])
    return Postprocessing(written, read(written.with_paths(FLAG), KINDS, recipe=FLAG))


def _check_order(names: Sequence[str]) -> None:
    """InputError for a scale of scores that the answer does not have: behind it, or before one of boxes."""
    scale, answer = (next((n for n in names if n in KINDS and KINDS[n].slot == slot), "") for slot in _SLOTS)
    if not scale or not answer:
        return
    if answer in _OF_BOXES:
        raise InputError(f"{FLAG}: {answer} reads scores as the model gives them, not {scale}'s", hint="leave it out")
    if names.index(answer) < names.index(scale):
        raise InputError(
            f"{FLAG}: {scale} stands behind {answer}, which has its scores by then", hint=f'"{scale}; {answer} ..."'
        )


def attach(recipe: Postprocessing, model: ir.Model, before: Before) -> Attached:
    """The model with the recipe's nodes behind it, in place. InputError where the model's outputs do not fit."""
    version = model.opset_imports.get("", 1)
    if version < LEAST_OPSET:
        raise InputError(
            f"{FLAG}: the model is of opset {version}, and its nodes need {LEAST_OPSET} or newer",
            hint=f"export the model with opset_version={LEAST_OPSET} or newer",
        )
    taken = _names_in(model.graph)
    tail, check = (_written(recipe, model, opset, before) for opset in (version, max(version, CHECK_OPSET)))
    names = {name: _free(name, taken) for name in tail.made}
    check_proto = ir.to_proto(_model_of(check, names)).SerializeToString()
    reads = tuple(value.name for value in onnx.load_from_string(check_proto).graph.input)
    _join(model, _model_of(tail, names))
    return Attached(model, tuple(names.values()), check_proto, reads)


def _names_in(graph: ir.Graph) -> set[str | None]:
    """Of all values: an output of the tail may have the name of none, also where that is inside of the model."""
    results = (value for node in graph.all_nodes() for value in node.outputs)
    return {value.name for value in (*graph.inputs, *graph.initializers.values(), *graph.outputs, *results)}


def _free(name: str, taken: Container[str | None]) -> str:
    while name in taken:
        name = f"post_{name}"
    return name


def _written(recipe: Postprocessing, model: ir.Model, opset: int, before: Before) -> Tail:
    tail = Tail(model, opset, before)
    for step in recipe.steps:
        step.write(tail)
    return tail


def _model_of(tail: Tail, names: dict[str, str]) -> ir.Model:
    """The nodes as a model of their own, with constants as initializers and all types known."""
    made = {output.value: names[name] for name, output in tail.made.items()}
    for node in tail.nodes:
        for values in (node.input, node.output):
            values[:] = [made.get(value, value) for value in values]
        node.name = f"{tail.prefix}{node.op_type}.{node.output[0].removeprefix(tail.prefix)}"
    used = {value for node in tail.nodes for value in node.input}
    inputs = [ir.serde.serialize_value(tail.outputs[name]) for name in tail.read if name in used]
    if PICTURE in used:
        inputs.append(onnx.helper.make_tensor_value_info(PICTURE, onnx.TensorProto.UINT8, _PICTURE))
    outputs = [
        onnx.helper.make_tensor_value_info(names[name], output.dtype.value, None) for name, output in tail.made.items()
    ]
    imports = [onnx.helper.make_opsetid("", tail.opset), onnx.helper.make_opsetid(lines.DOMAIN, 1)]
    graph = onnx.helper.make_graph(tail.nodes, "postprocess", inputs, outputs)
    proto = onnx.helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION)
    if any(node.op_type == lines.JOIN for node in tail.nodes):
        proto.functions.append(onnx.parser.parse_function(lines.JOIN_BODY))
    made_model = ir.from_proto(proto)
    return infer_shapes(common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(made_model).model)


def _join(model: ir.Model, tail: ir.Model) -> None:
    """Moves the nodes of `tail` behind those of the model."""
    graph, other = model.graph, tail.graph
    own: dict[str | None, ir.Value] = {value.name: value for value in graph.outputs}
    for value in other.inputs:
        if value.name == PICTURE:
            own[PICTURE] = ir.Value(name=PICTURE, shape=ir.Shape(_PICTURE), type=ir.TensorType(ir.DataType.UINT8))
            graph.inputs.append(own[PICTURE])
        value.replace_all_uses_with(own[value.name])
    new, nodes, constants = list(other.outputs), list(other), list(other.initializers.values())
    other.outputs.clear()
    other.initializers.clear()
    other.remove(nodes)
    for constant in constants:
        graph.register_initializer(constant)
    graph.extend(nodes)
    before = list(graph.outputs)
    graph.outputs.clear()
    graph.outputs.extend([*new, *before])
    model.functions.update(tail.functions)
    if tail.functions:
        model.opset_imports.setdefault(lines.DOMAIN, 1)
