"""How channels go through each operator.

`rule(tracker, node)` notes the channels of the outputs, and what of the node has to be cut when some go. It answers
None, or why it cannot: then what the node reads is held, and what it makes is not followed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from edgeort.passes.edit import constant, integer, ints, operand, rank, set_attribute
from edgeort.quantize.layers import TIED, UNARY, Layer, read_layer
from edgeort.quantize.pruning.channels import Alive, Channels, Tied, Tracker, size_at
from edgeort.quantize.pruning.shape_rules import concat, flatten, reduce, reshape, slices, split, squeeze, transpose

Rule = Callable[[Tracker, ir.Node], "str | None"]


def _layer(tracker: Tracker, node: ir.Node) -> str | None:
    layer = read_layer(node)
    if layer is None or isinstance(layer, str):
        return layer or "it is no layer"
    if layer.is_tied:
        return TIED
    found, is_conv = tracker.of.get(layer.input), node.op_type.startswith("Conv")
    full = layer.weight.ndim if is_conv else rank(layer.input)
    if full is None:
        return "the rank of what it multiplies is not known"
    place = 1 if is_conv else full - 1
    if found is not None and found.axis != place:
        return f"{node.op_type} does not multiply along the channels"
    if layer.groups > 1:
        return _depthwise(tracker, layer)
    makes = tracker.fresh(layer.channels)
    if found is not None:
        tracker.cut(node, 1, 1 - layer.weight_axis, found.ids)
    tracker.cut(node, 1, layer.weight_axis, makes)
    _cut_bias(tracker, node, makes)
    tracker.of[node.outputs[0]] = Channels(place, makes)
    tracker.layers.append(Tied(layer, None if found is None else found.ids, makes))
    return None


def _cut_bias(tracker: Tracker, node: ir.Node, makes: np.ndarray) -> None:
    bias = constant(operand(node, 2)) if node.op_type != "MatMul" else None
    if bias is not None and bias.ndim and bias.shape[-1] == len(makes):
        tracker.cut(node, 2, bias.ndim - 1, makes)


def _depthwise(tracker: Tracker, layer: Layer) -> str | None:
    node, found = layer.node, tracker.of.get(layer.input)
    if node.op_type != "Conv" or layer.weight.shape[1] != 1:
        return "the groups of a convolution have to stay equally large"
    if found is None:
        return None
    makes = np.repeat(found.ids, layer.channels // layer.groups)
    tracker.cut(node, 1, 0, makes)
    _cut_bias(tracker, node, makes)
    tracker.edits.append(lambda alive: set_attribute(node, "group", int(alive(found.ids).sum())))
    tracker.of[node.outputs[0]] = Channels(1, makes)
    tracker.layers.append(Tied(layer, found.ids, makes))
    return None


def _broadcast(tracker: Tracker, node: ir.Node) -> str | None:
    """Elementwise operators: entries that meet are one channel."""
    values = [value for value in node.inputs if value is not None]
    ranks = [_rank(value) for value in values]
    if any(full is None for full in ranks):
        return "the rank of an operand is not known"
    places = {
        tracker.of[v].axis - full for v, full in zip(values, ranks, strict=True) if v in tracker.of and full is not None
    }
    if len(places) != 1:
        return "its operands have their channels on different axes"
    (place,) = places
    tracked = [tracker.of[value].ids for value in values if value in tracker.of]
    size = len(tracked[0])
    if any(len(ids) != size for ids in tracked):
        return "a channel meets many"
    for value in values:
        if value not in tracker.of and _size(value, place) not in (1, size if constant(value) is not None else 1):
            return "it joins them with channels that cannot be followed"
    for ids in tracked[1:]:
        tracker.join(tracked[0], ids)
    for index in range(len(node.inputs)):
        array = constant(operand(node, index))
        if array is not None and array.ndim >= -place and array.shape[place] == size != 1:
            tracker.cut(node, index, array.ndim + place, tracked[0])
    for out in node.outputs:
        tracker.of[out] = Channels(max(full or 0 for full in ranks) + place, tracked[0])
    return None


def _rank(value: ir.Value) -> int | None:
    array = constant(value)
    return rank(value) if array is None else array.ndim


def _size(value: ir.Value, place: int) -> int | None:
    array = constant(value)
    if array is None:
        return size_at(value, place)
    return 1 if -place > array.ndim else array.shape[place]


def _same(*parameters: int) -> Rule:
    """The first input's channels stay, and `parameters` are operands with a number for each."""

    def rule(tracker: Tracker, node: ir.Node) -> str | None:
        source = node.inputs[0]
        if source not in tracker.of:
            return "it computes with channels"
        if parameters and tracker.of[source].axis != 1:
            return "its parameters do not go with the channels"
        if any(constant(operand(node, index)) is None for index in parameters):
            return "its parameters are not constant"
        tracker.pass_on(source, node)
        for index in parameters:
            tracker.cut(node, index, 0, tracker.of[source].ids)
        return None

    return rule


def _spatial(tracker: Tracker, node: ir.Node) -> str | None:
    """Pools: they work on every channel of axis 1 alone."""
    source = node.inputs[0]
    if source not in tracker.of or tracker.of[source].axis != 1 or any(out.uses() for out in node.outputs[1:]):
        return f"{node.op_type} does not work on every channel alone"
    tracker.pass_on(source, node)
    return None


def _along(default: int) -> Rule:
    """Softmax and its like: they mix the entries of `axis`."""

    def rule(tracker: Tracker, node: ir.Node) -> str | None:
        source, full = node.inputs[0], rank(node.inputs[0])
        if source not in tracker.of or full is None or integer(node, "axis", default) % full == tracker.of[source].axis:
            return f"{node.op_type} mixes channels"
        tracker.pass_on(source, node)
        return None

    return rule


def _resize(tracker: Tracker, node: ir.Node) -> str | None:
    source, scales, sizes = node.inputs[0], constant(operand(node, 2)), constant(operand(node, 3))
    if source not in tracker.of or ints(node, "axes", ()):
        return "Resize names axes"
    found = tracker.of[source]
    if scales is not None and scales.size:
        if scales[found.axis] != 1:
            return "Resize makes more channels"
    elif sizes is not None and sizes.size:
        if sizes[found.axis] != len(found.ids):
            return "Resize makes more channels"
        tracker.edits.append(lambda alive: _set_size(tracker, node, found, alive))
    else:
        return "the sizes that Resize makes are not constant"
    tracker.pass_on(source, node)
    return None


def _set_size(tracker: Tracker, node: ir.Node, found: Channels, alive: Alive) -> None:
    sizes = constant(operand(node, 3))
    assert sizes is not None
    sizes = sizes.copy()
    sizes[found.axis] = alive(found.ids).sum()
    tracker.set_constant(node, 3, sizes)


def _pad(tracker: Tracker, node: ir.Node) -> str | None:
    source, pads = node.inputs[0], constant(operand(node, 1))
    if source not in tracker.of or pads is None or operand(node, 3) is not None:
        return "Pad is not constant"
    axis, half = tracker.of[source].axis, len(pads) // 2
    if pads[axis] or pads[axis + half]:
        return "Pad makes more channels"
    tracker.pass_on(source, node)
    return None


RULES: dict[str, Rule] = {
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm", "MatMul"), _layer),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Sum", "Mean", "PRelu"), _broadcast),
    **dict.fromkeys(UNARY - {"PRelu"}, _same()),
    **dict.fromkeys(("Relu", "Clip", "Identity", "Dropout", "Cast", "Neg", "Exp", "Log", "Sqrt", "Floor"), _same()),
    "Reciprocal": _same(),
    "BatchNormalization": _same(1, 2, 3, 4),
    "InstanceNormalization": _same(1, 2),
    **dict.fromkeys(("AveragePool", "MaxPool", "LpPool", "GlobalAveragePool", "GlobalMaxPool"), _spatial),
    **dict.fromkeys(("ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceL2"), reduce),
    **dict.fromkeys(("Softmax", "LogSoftmax"), _along(-1)),
    "Resize": _resize,
    "Pad": _pad,
    "Concat": concat,
    "Split": split,
    "Slice": slices,
    "Flatten": flatten,
    "Reshape": reshape,
    "Transpose": transpose,
    "Squeeze": squeeze,
    "Unsqueeze": squeeze,
}
