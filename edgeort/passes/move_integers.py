"""Lets operators that only move elements move 8-bit integers.

    Move(DequantizeLinear(q))       ->  DequantizeLinear(Move(q))
    QuantizeLinear(Move(x))         ->  Move(QuantizeLinear(x))       when nothing else reads what Move makes
    QuantizeLinear(Concat(x, y))    ->  Concat(QuantizeLinear(x), QuantizeLinear(y))
    Concat(DequantizeLinear(q), DequantizeLinear(r))  ->  DequantizeLinear(Concat(q, r))    of one scale and zero point
    QuantizeLinear(DequantizeLinear(q))   ->  q                        of one scale and zero point

All of them change no bit: (de)quantising works on each element, and rises with it, so that MaxPool is among what moves.
What Pad adds becomes the integer that stands for it. What is quantised again with another scale stays, as one
program from integers to integers.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.passes.context import PassContext
from edgeort.passes.edit import add_constant, bypass, constant, is_op, new_node, only_user, operand, opset, text
from edgeort.passes.quantised import UNSIGNED_BIAS, Quantity, dequantized, integers_of, quantity

# First opset with 8-bit integers, where that is later than the first with QuantizeLinear.
_SINCE = {"MaxPool": 12, "Pad": 11}
_MOVES = (
    "DepthToSpace", "Expand", "Flatten", "MaxPool", "Pad", "Reshape", "Resize", "SpaceToDepth", "Squeeze", "Tile",
    "Transpose", "Unsqueeze",
)  # fmt: skip
# These give less than they are given: what is not read is not quantised.
_PARTS = ("Gather", "GatherElements", "Slice", "Split")


def move_integers(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph; returns how many QuantizeLinears and DequantizeLinears moved or went away."""
    count = 0
    for node in list(model.graph):
        if _moves(model, node, *_MOVES, *_PARTS):
            count += _move_before(model, node)
        elif is_op(node, "Concat"):
            count += _concatenate(model, node)
    waiting = [node for node in reversed(list(model.graph)) if is_op(node, "QuantizeLinear")]
    while waiting:
        quantize = waiting.pop()
        moved = _move_behind(model, quantize)
        waiting += moved
        count += bool(moved)
    for node in list(model.graph):
        count += is_op(node, "QuantizeLinear") and _cancel(model, node)
    for node in reversed(list(model.graph)):
        unused = not node.outputs[0].uses() and not node.outputs[0].is_graph_output()
        if unused and is_op(node, "QuantizeLinear", "DequantizeLinear"):
            model.graph.remove(node, safe=True)
    return count


def _moves(model: ir.Model, node: ir.Node, *names: str) -> bool:
    """Whether the node only moves elements, of 8-bit integers too."""
    if not is_op(node, *names) or opset(model) < _SINCE.get(node.op_type, 0):
        return False
    if is_op(node, "Resize"):
        crop = text(node, "coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize"
        return text(node, "mode", "nearest") == "nearest" and not crop
    return not (is_op(node, "MaxPool") and len(node.outputs) > 1)


def _move_before(model: ir.Model, node: ir.Node) -> bool:
    """Puts the node before the DequantizeLinear that it reads."""
    restore = dequantized(node.inputs[0])
    if restore is None and is_op(node, "Gather"):
        restore = _of_constants(node.inputs[0])
    found = quantity(restore)
    if restore is None or found is None or not _pads(model.graph, node, found, exactly=True):
        return False
    node.replace_input_with(0, restore.inputs[0])
    for out in list(node.outputs):
        _restored(model.graph, node, out, restore)
    return True


def _of_constants(value: ir.Value | None) -> ir.Node | None:
    node = None if value is None else value.producer()
    return node if node is not None and is_op(node, "DequantizeLinear") else None


def _restored(graph: ir.Graph, node: ir.Node, out: ir.Value, like: ir.Node) -> None:
    """Makes `out` of `node` integers; what read it reads a DequantizeLinear as `like` of them, which takes its name."""
    restore = new_node(graph, "DequantizeLinear", [out, *like.inputs[1:]], stem=f"{out.name}_restored", like=out)
    uses, name = tuple(out.uses()), out.name
    graph.insert_after(node, restore)
    for use in uses:
        if use.node is not restore:
            use.node.replace_input_with(use.idx, restore.outputs[0])
    if out.is_graph_output():
        graph.outputs[list(graph.outputs).index(out)] = restore.outputs[0]
    restore.outputs[0].name, out.name = name, restore.outputs[0].name
    out.type = integers_of(like).type


def _pads(graph: ir.Graph, node: ir.Node, found: Quantity, *, exactly: bool) -> bool:
    """Makes the value of a Pad the integer that stands for it; False where it is not known, or not `exactly` that."""
    if not is_op(node, "Pad") or text(node, "mode", "constant") != "constant":
        return True
    given = np.zeros((), np.float32) if operand(node, 2) is None else constant(node.inputs[2])
    if given is None or given.size != 1:
        return False
    number = float(given.reshape(()))
    integer = found.quantize(number)
    if exactly and found.dequantize(integer) != number:
        return False
    bias = UNSIGNED_BIAS if found.dtype == ir.DataType.UINT8 else 0
    if len(node.inputs) < 3:
        node.resize_inputs(3)
    node.replace_input_with(2, add_constant(graph, np.array(integer + bias, found.dtype.numpy()), f"{node.name}_value"))
    return True


def _concatenate(model: ir.Model, node: ir.Node) -> bool:
    """Puts a Concat before the equal DequantizeLinears that it reads."""
    restores = [dequantized(value) for value in node.inputs]
    found = {quantity(restore) for restore in restores}
    if len(found) != 1 or None in found:
        return False
    for index, restore in enumerate(restores):
        assert restore is not None
        node.replace_input_with(index, restore.inputs[0])
    assert restores[0] is not None
    _restored(model.graph, node, node.outputs[0], restores[0])
    return True


def _move_behind(model: ir.Model, quantize: ir.Node) -> list[ir.Node]:
    """Puts a QuantizeLinear before the node whose result it alone reads; returns those that it became."""
    graph, x = model.graph, quantize.inputs[0]
    node, found = None if x is None else x.producer(), quantity(quantize)
    if x is None or node is None or found is None or only_user(x) is not quantize or dequantized(x) is not None:
        return []
    if not (is_op(node, "Concat") or _moves(model, node, *_MOVES)) or not _pads(graph, node, found, exactly=False):
        return []
    made = []
    for index in range(len(node.inputs) if is_op(node, "Concat") else 1):
        source = node.inputs[index]
        assert source is not None
        each = new_node(
            graph, "QuantizeLinear", [source, *quantize.inputs[1:]], quantize.attributes, stem=f"{source.name}_q"
        )
        each.outputs[0].dtype, each.outputs[0].shape = found.dtype, source.shape
        graph.insert_before(node, each)
        node.replace_input_with(index, each.outputs[0])
        made.append(each)
    x.type = ir.TensorType(found.dtype)  # a new object: clones of the model share the old one
    bypass(graph, quantize, x)
    return made


def _cancel(model: ir.Model, quantize: ir.Node) -> bool:
    """Removes a QuantizeLinear of what a DequantizeLinear of the same scale, zero point and type made."""
    restore = dequantized(quantize.inputs[0])
    if restore is None or quantity(restore) != quantity(quantize):
        return False
    source = integers_of(restore)
    if quantize.outputs[0].is_graph_output():
        return False
    bypass(model.graph, quantize, source)
    return True
