"""The walk: a clean ONNX model becomes a graph of LiteRT's operators, with what was refused and what is remarkable."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from edgeort.converters.tflite.graph import Graph
from edgeort.converters.tflite.operators import handler
from edgeort.converters.tflite.preparing import prepare
from edgeort.converters.tflite.refusal import Blocked, Refuse
from edgeort.converters.tflite.writer import Options, Writer
from edgeort.errors import ShapeError, UnsupportedError
from edgeort.model import free_dimensions
from edgeort.passes.edit import constant

Remark = tuple[ir.Node, str]


@dataclass(frozen=True)
class Lowered:
    """`refusals` are nodes that LiteRT cannot compute; where there are any, the graph is no model.

    `notes` are nodes that it computes otherwise than the model says, by a different rule or in another type. The nodes
    are those behind the passes of `preparing`, whose names begin as the model's own.
    """

    graph: Graph
    refusals: list[Remark]
    notes: list[Remark]


def lower(model: ir.Model, options: Options) -> Lowered:
    """The graph of a model that went through `edgeort.model.load` and `clean`; it is left as it was.

    Raises ShapeError for a dimension that is free, as LiteRT's operators get sizes, and UnsupportedError for an input
    or output that LiteRT cannot have.
    """
    free = free_dimensions(model)
    if free:
        shapes = {name: "x".join(map(str, dims or ("?",))) for name, dims in free.items()}
        raise ShapeError(
            "a .tflite model has fixed shapes, and these are free: "
            + ", ".join(f"{name} [{shape}]" for name, shape in shapes.items()),
            hint=" ".join(f"--shape {name}={s}" for name, s in shapes.items()),
        )
    prepared = prepare(model, options.io_layout)
    writer, refusals = Writer(prepared, options), []
    unread = [str(value.name) for value in prepared.graph.inputs if not _add_input(writer, value)]
    if unread:
        raise UnsupportedError(
            f"input {unread[0]!r} has a type that LiteRT does not take", hint="remove it: nothing reads it"
        )
    for node in prepared.graph:
        if node not in writer.done and (reason := _write(writer, node)):
            refusals.append((node, reason))
    if not refusals:
        for value in prepared.graph.outputs:
            _add_output(writer, value)
        writer.graph.drop_unused()
    return Lowered(writer.graph, refusals, writer.notes)


def _add_input(writer: Writer, value: ir.Value) -> bool:
    """Whether the input could be made, or nodes read it, which then are refused."""
    try:
        writer.add_input(value)
    except Refuse:
        return bool(value.uses())
    return True


def _add_output(writer: Writer, value: ir.Value) -> None:
    try:
        writer.shape(value)
        writer.add_output(value)
    except Refuse as refusal:
        raise UnsupportedError(f"output {value.name!r} cannot be one of LiteRT's: {refusal}") from refusal


def _write(writer: Writer, node: ir.Node) -> str | None:
    """Why the node is not written; None where it is, or where nothing can be said about it."""
    found = handler(node)
    try:
        if found is None:
            raise Refuse(_absent(node))
        found(writer, node)
        unwritten = [v for v in node.outputs[1:] if v not in writer.tensors and (v.uses() or v.is_graph_output())]
        if unwritten:
            raise Refuse(f"LiteRT's operator does not give its output {unwritten[0].name}")
    except Blocked:
        return None
    except Refuse as refusal:
        _stand_in(writer, node)
        return str(refusal)
    return None


def _absent(node: ir.Node) -> str:
    if any(attr.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for attr in node.attributes.values()):
        return "its bodies are not written"
    if node.inputs and node.inputs[0] is not None and node.inputs[0].shape is None:
        return "the shape of its input is not known before the run"
    return f"LiteRT has no {node.op_type}, and no few operators that compute it are known here"


def _stand_in(writer: Writer, node: ir.Node) -> None:
    """Lets the nodes behind a refused one be looked at, where its results have a shape and a type."""
    for value in node.outputs:
        if value in writer.tensors or constant(value) is not None:
            continue
        try:
            shape, dtype = writer.shape(value), writer.dtype(value)
        except Refuse:
            continue
        writer.put(value, writer.graph.tensor(str(value.name), shape, dtype))
