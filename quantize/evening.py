"""Channels that are far apart, evened out by constants, a gate or a convolution that stand before a tensor.

    W (a x + b)  =  (W S) ((a / s) x + b / s)         W (x g)  =  (W S) (x (g / s))         S = diag(s), s > 0

Both sides are the same, whatever function made x, and cost the same: constants become others, and a gate (gates.py) has
one number a channel. A tensor with one scale for all channels wastes its steps where they are unlike.

What depthwise convolutions alone read has the steps that channels.py gives each channel, as s; the range is theirs.
There a convolution before it, maybe with a Relu between, takes 1 / s, too. For other convolutions, with r_c what
channel c may reach (extremes.py), s_c = r_c^a. Rounding the tensor, whose range R is that of all r_c / s_c, and
rounding the weights (a scale for each output n) make a noise of

    (R / 255)^2 * sum over n, c of (W_n,c s_c)^2
    and   sum over n of (max over c of |W_n,c s_c| / 127)^2 * sum over c of Var[x_c / s_c]

and the exponent of the least sum is taken, or none; the mean of x is no part of it, since a bias makes up for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from edgeort.passes.edit import add_constant, constant, dims, is_op, new_node, only_user, operand, unique_name
from edgeort.progress import Progress
from edgeort.quantize import calibration, channels
from edgeort.quantize.calibration import Calibration, ChannelMean
from edgeort.quantize.extremes import Reach
from edgeort.quantize.gates import gates
from edgeort.quantize.layers import Layer, read_layer
from edgeort.quantize.parameters import LEVELS, WEIGHT_MAX, Quantity
from edgeort.quantize.preparing import Prepared
from edgeort.quantize.qdq import EVENED
from edgeort.quantize.ranges import Range
from edgeort.quantize.samples import Sample, open_samples
from edgeort.quantize.selection import Selection
from edgeort.quantize.store import Store

EXPONENTS = (0.25, 0.5, 0.75, 1.0)
GAIN = 0.8  # of the noise, at most, that is left


@dataclass(frozen=True)
class Spread:
    """A tensor whose channels can be multiplied by constants, and the convolutions that alone read it.

    They are all depthwise, or none of them has groups.
    """

    value: ir.Value
    readers: tuple[Layer, ...]

    @property
    def name(self) -> str:
        """In the float model."""
        return str(self.value.name)

    @property
    def axes(self) -> int:
        """How many a pixel has."""
        return self.readers[0].weight.ndim - 2

    @property
    def is_depthwise(self) -> bool:
        """Whether the readers keep channels apart."""
        return channels.is_depthwise(self.readers[0].node)


def spreads(graph: ir.Graph, selection: Selection) -> Iterator[Spread]:
    """Those among the tensors that get a range."""
    layers = {layer.node: layer for layer in selection.layers if selection.forms[layer.name].is_static}
    factors = gates(graph)
    for value in selection.tensors:
        uses = list(value.uses())
        readers = tuple(layers[use.node] for use in uses if use.node in layers and use.idx == 0)
        if len(readers) < len(uses) or not readers or value.is_graph_output() or value in selection.source:
            continue
        alike = len({reader.groups for reader in readers}) == 1
        if not alike or not all(is_op(reader.node, "Conv") and not reader.is_tied for reader in readers):
            continue
        if readers[0].groups == 1 or channels.keeps_channels_apart(value):
            spread = Spread(value, readers)
            made_by = _convolution(value) if spread.is_depthwise else None
            if _takes_factors(value, spread.axes, factors) or (made_by is not None and made_by.node in layers):
                yield spread


def even_out(
    prepared: Prepared,
    selection: Selection,
    found: Calibration,
    stores: Sequence[Store],
    method: str,
    progress: Progress | None = None,
) -> tuple[Calibration, int]:
    """Edits the float model, whose outputs stay the same; returns the calibration, with the new tensors in it, and how
    many they are.

    `stores` have the inputs of samples that ranges are found from once more, by `method`; nothing is done without any.
    """
    if not any(store.samples for store in stores):
        return found, 0
    graph, factors_of = prepared.model.graph, gates(prepared.model.graph)
    given: dict[str, Range] = {}
    means, measured = dict(found.means), list[str]()
    for spread in list(spreads(graph, selection)):
        old, reach = spread.name, found.reach[spread.name]
        if spread.is_depthwise:
            quantity = _by_channels(spread, found, reach)
            steps = np.asarray(quantity.scale)
            s = None if not steps.ndim else np.asarray(steps / steps.max())
        else:
            s = factors(reach, [reader.weight for reader in spread.readers])
        if s is None:
            continue
        new = divide(graph, spread, s, factors_of)
        if old in means:
            means[new] = ChannelMean(means[old].total / s, means[old].count)
        if spread.is_depthwise:
            given[new] = quantity.low, quantity.high
        else:
            measured.append(new)
    found = replace(found, means=means)
    if measured:
        again = open_samples(_inputs(prepared, stores), prepared.inputs)
        if progress:
            progress(f"evening out channels: ranges of {len(measured)} tensor(s) once more")
        found = _joined(found, calibration.calibrate(prepared, again, measured, method, progress=progress))
    choices = {one: ranges | given for one, ranges in found.choices.items()}
    found = replace(found, ranges=found.ranges | given, extremes=found.extremes | given, choices=choices)
    return found, len(given) + len(measured)


def factors(reach: Reach, weights: list[np.ndarray]) -> np.ndarray | None:
    """s, float64, of the least noise for convolutions' weights [outputs, channels, taps...]; None: none is better."""
    each = [one.astype(np.float64).reshape(*one.shape[:2], -1).transpose(0, 2, 1) for one in weights]
    sizes = np.maximum(-reach.lows, reach.highs).astype(np.float64)
    if not sizes.max(initial=0.0) > 0:
        return None
    relative = np.maximum(sizes / sizes.max(), channels.FLOOR)
    variance = reach.drawn.astype(np.float64).var(axis=1)
    trials = [np.ones_like(relative), *(relative**exponent for exponent in EXPONENTS)]
    noises = [_noise(reach.lows / s, reach.highs / s, variance / s**2, [w * s for w in each]) for s in trials]
    best = int(np.argmin(noises))
    return trials[best] if noises[best] <= GAIN * noises[0] else None


def _noise(lows: np.ndarray, highs: np.ndarray, variance: np.ndarray, weights: Sequence[np.ndarray]) -> float:
    """`weights` are each reader's, [outputs, taps, channels]."""
    step = (max(float(highs.max()), 0.0) - min(float(lows.min()), 0.0)) / LEVELS
    noise = 0.0
    for w in weights:
        steps = np.abs(w).max(axis=(1, 2)) / WEIGHT_MAX
        noise += step**2 * float((w**2).sum()) + float((steps**2).sum()) * w.shape[1] * float(variance.sum())
    return noise


def _inputs(prepared: Prepared, stores: Sequence[Store]) -> Iterator[Sample]:
    for store in stores:
        for index in range(store.samples):
            yield {value.name: store.get(value.name, index) for value in prepared.inputs}


def _by_channels(spread: Spread, found: Calibration, reach: Reach) -> Quantity:
    """Each channel's step, within the widest range that any method gives."""
    ends = [ranges[spread.name] for ranges in found.choices.values()]
    whole = min(low for low, _ in ends), max(high for _, high in ends)
    return channels.quantity(whole, reach, channels.readers(spread.value))


def _joined(found: Calibration, more: Calibration) -> Calibration:
    """With the ranges of further tensors."""
    choices = {method: ranges | more.choices[method] for method, ranges in found.choices.items()}
    return replace(found, ranges=found.ranges | more.ranges, extremes=found.extremes | more.extremes, choices=choices)


def _takes_factors(value: ir.Value, axes: int, factors_of: Mapping[ir.Node, ir.Value]) -> bool:
    """Whether constants or a gate that make `value`, and nothing else, can take factors; pixels have so many `axes`."""
    node = value.producer()
    while node is not None and is_op(node, "Add", "Sub"):
        index = _constant_operand(node, axes)
        other = None if index is None else node.inputs[1 - index]
        if other is None or only_user(other) is not node:
            return False
        node = other.producer()
    if node is None:
        return False
    if node in factors_of:
        return _is_a_number_a_channel(factors_of[node], axes)
    index = _constant_operand(node, axes)
    return (is_op(node, "Mul") and index is not None) or (is_op(node, "Div") and index == 1)


def _convolution(value: ir.Value) -> Layer | None:
    """The convolution that makes `value`, maybe through a Relu, and nothing else."""
    node = value.producer()
    if is_op(node, "Relu") and node is not None and node.inputs[0] is not None:
        node = node.inputs[0].producer() if only_user(node.inputs[0]) is node else None
    layer = read_layer(node) if is_op(node, "Conv") and node is not None else None
    return layer if isinstance(layer, Layer) and not layer.is_tied else None


def _is_a_number_a_channel(gate: ir.Value, axes: int) -> bool:
    """Whether it has the shape [batch, channels, 1, ...]."""
    return gate.shape is not None and len(gate.shape) == axes + 2 and all(size == 1 for size in dims(gate)[2:])


def _constant_operand(node: ir.Node, axes: int) -> int | None:
    """Which of two operands is one number, or one a channel."""
    for index in range(2):
        array = constant(operand(node, index))
        if array is not None and array.ndim <= axes + 2:
            by_channel = array.ndim > axes and array.shape[-1 - axes] == array.size
            return index if array.size == 1 or by_channel else None
    return None


def divide(graph: ir.Graph, spread: Spread, s: np.ndarray, factors_of: Mapping[ir.Node, ir.Value]) -> str:
    """Divides the tensor's channels by s, and multiplies the readers' weights; returns its new name."""
    made_by, by = _convolution(spread.value), s.reshape(-1, *[1] * spread.axes)
    if made_by is not None:
        _divide_results(graph, made_by, s)
    else:
        _divide_constants(graph, spread, by, factors_of)
    for reader in spread.readers:
        axis = 0 if spread.is_depthwise else 1
        each = np.repeat(s, reader.weight.shape[axis] // len(s))
        scaled = reader.weight * each.reshape([-1 if at == axis else 1 for at in range(reader.weight.ndim)])
        reader.node.replace_input_with(1, add_constant(graph, scaled.astype(np.float32), f"{reader.name}_weight_even"))
    spread.value.name = unique_name(graph, f"{spread.name}{EVENED}")
    return spread.name


def _divide_results(graph: ir.Graph, layer: Layer, s: np.ndarray) -> None:
    for index, array in ((1, layer.weight), (2, layer.bias)):
        if array is not None:
            divided = (array / s.reshape(-1, *[1] * (array.ndim - 1))).astype(np.float32)
            layer.node.replace_input_with(index, add_constant(graph, divided, f"{layer.name}_even"))


def _divide_constants(graph: ir.Graph, spread: Spread, by: np.ndarray, factors_of: Mapping[ir.Node, ir.Value]) -> None:
    node = spread.value.producer()
    while node is not None:
        index = _constant_operand(node, spread.axes)
        if index is None:
            _divide_gate(graph, node, factors_of[node], by)
            return
        old = constant(node.inputs[index])
        assert old is not None
        new = old * by if is_op(node, "Div") else old / by
        node.replace_input_with(index, add_constant(graph, new.astype(np.float32), f"{node.name}_even"))
        other = node.inputs[1 - index]
        node = other.producer() if is_op(node, "Add", "Sub") and other is not None else None


def _divide_gate(graph: ir.Graph, node: ir.Node, gate: ir.Value, by: np.ndarray) -> None:
    inverse = add_constant(graph, (1 / by).astype(np.float32), f"{gate.name}_factor")
    scaled = new_node(graph, "Mul", [gate, inverse], stem=f"{gate.name}_even", like=gate)
    batch, _, *pixels = dims(gate)
    scaled.outputs[0].shape = ir.Shape([batch, len(by), *pixels])  # the gate may be one number for all channels
    graph.insert_before(node, scaled)
    node.replace_input_with(next(i for i, read in enumerate(node.inputs) if read is gate), scaled.outputs[0])
