"""Operands of a Concat whose sizes are far apart: the small ones are made larger before eight bits join them.

    W Concat(a, b)  =  [Wa, Wb / f] Concat(a, f b)             f a power of two, so that nothing is rounded

The tensor has one scale, by the largest operand. With r_i the ranges and W_i a reader's weights of operand i, its
rounding and that of weights (a scale for each output n) make a noise that goes with

    sum over i of min(R^2, 12 * 255^2 (f_i r_i / 4)^2) |W_i / f_i|^2
    and   sum over n of (max over i of |W_n,i / f_i| 255 / 127)^2 times the sum over i of c_i (f_i r_i / 4)^2

for c_i numbers that an output reads of the operand, R the largest f_i r_i: rounding costs an operand no more than all
of it. (Like SmoothQuant, Xiao et al. 2022, but of whole operands; a quarter of the range stands for the root mean
square.) Of f_i = (R / r_i)^a, rounded, those of the least sum over all readers are taken; where these are not all
layers of eight bits, or it is little better, the operands stay.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from edgeort.passes.edit import add_constant, dims, integer, is_op, new_node, unique_name
from edgeort.quantize.calibration import Calibration
from edgeort.quantize.layers import Layer
from edgeort.quantize.parameters import LEVELS, WEIGHT_MAX
from edgeort.quantize.preparing import Prepared
from edgeort.quantize.qdq import EVENED
from edgeort.quantize.ranges import Range
from edgeort.quantize.selection import Selection

APART = 8.0  # times, at least, that the largest operand's range is the smallest's
EXPONENTS = (0.25, 0.5, 0.75, 1.0)
GAIN = 0.5  # of the noise, at most, that is left: less is not worth a Mul
_RMS = 4.0  # ranges over root mean squares


@dataclass(frozen=True)
class Joined:
    """A Concat along channels, the names that its operands' ranges have, and the layers that alone read it.

    `widths` are the operands' channels, `weights` each layer's for each operand, [outputs, k].
    """

    node: ir.Node
    operands: tuple[str, ...]
    widths: tuple[int, ...]
    readers: tuple[Layer, ...]
    weights: tuple[list[np.ndarray], ...]


def even_out(prepared: Prepared, selection: Selection, found: Calibration) -> Calibration:
    """Edits the float model, whose outputs stay the same; returns the calibration, with the new tensors in it."""
    for joined in list(_joined(prepared.model.graph, selection, found.ranges)):
        s = factors([_size(found.ranges[name]) for name in joined.operands], joined.weights)
        if s is not None:
            found = _with_ranges(found, _apply(prepared.model.graph, joined, s))
    return found


def factors(sizes: Sequence[float], weights: Sequence[Sequence[np.ndarray]]) -> np.ndarray | None:
    """f of the least noise for operands of those largest numbers, and each layer's weights of each operand,
    [outputs, k]; None: none is better.
    """
    r = np.asarray(sizes)
    if not (r > 0).all() or r.max() <= APART * r.min():
        return None
    trials = [np.exp2(np.rint(a * np.log2(r.max() / r))) for a in EXPONENTS]
    noises = [_noise(r, weights, s) for s in trials]
    best = int(np.argmin(noises))
    return trials[best] if noises[best] <= GAIN * _noise(r, weights, np.ones_like(r)) else None


def _noise(r: np.ndarray, weights: Sequence[Sequence[np.ndarray]], s: np.ndarray) -> float:
    return sum(
        _noise_of_layer(r * s, [part.astype(np.float64) / f for part, f in zip(w, s, strict=True)]) for w in weights
    )


def _noise_of_layer(sizes: np.ndarray, weights: Sequence[np.ndarray]) -> float:
    squares = (sizes / _RMS) ** 2
    rounding = np.minimum(sizes.max() ** 2, 12 * LEVELS**2 * squares)
    of_tensor = sum(size * float((part**2).sum()) for size, part in zip(rounding, weights, strict=True))
    steps = np.max([np.abs(part).max(axis=1) for part in weights], axis=0) * (LEVELS / WEIGHT_MAX)
    read = sum(part.shape[1] * size for size, part in zip(squares, weights, strict=True))
    return float(of_tensor + (steps**2).sum() * read)


def _joined(graph: ir.Graph, selection: Selection, ranges: Mapping[str, Range]) -> Iterator[Joined]:
    """The Concats of eight bits whose readers can make up for factors."""
    layers = {layer.node: layer for layer in selection.layers if selection.forms[layer.name].is_static}
    tensors = {*selection.tensors}
    for node in graph:
        values = [value for value in node.inputs if value is not None]
        if not is_op(node, "Concat") or not tensors.issuperset((*values, node.outputs[0])):
            continue
        if node.outputs[0].is_graph_output():
            continue
        uses, names = list(node.outputs[0].uses()), [str(selection.source.get(v, v).name) for v in values]
        readers = tuple(layers[use.node] for use in uses if use.node in layers and use.idx == 0)
        if any(layer.is_tied for layer in readers):
            continue
        if not readers or len(readers) < len(uses) or not ranges.keys() >= {*names}:
            continue
        widths = _widths(node, values)
        if widths and all(_reads_channels(node, layer, sum(widths)) for layer in readers):
            weights = tuple(_parts(layer, widths) for layer in readers)
            yield Joined(node, tuple(names), widths, readers, weights)


def _widths(node: ir.Node, values: Sequence[ir.Value]) -> tuple[int, ...]:
    """The operands' sizes along the axis; none where they are not known."""
    axis = integer(node, "axis", 0)
    sizes = [dims(value)[axis] for value in values if value.shape is not None]
    known = tuple(size for size in sizes if isinstance(size, int))
    return known if len(known) == len(values) else ()


def _reads_channels(node: ir.Node, layer: Layer, width: int) -> bool:
    """Whether the layer multiplies each entry along the axis by weights of its own."""
    shape = node.inputs[0].shape if node.inputs[0] is not None else None
    if shape is None or layer.node.op_type == "ConvTranspose" or layer.groups > 1:
        return False
    last = 1 if layer.node.op_type == "Conv" else len(shape) - 1
    return integer(node, "axis", 0) % len(shape) == last and layer.weight.shape[1 - layer.weight_axis] == width


def _parts(layer: Layer, widths: Sequence[int]) -> list[np.ndarray]:
    """The layer's weights for each operand of the Concat, [outputs, k]."""
    rows = np.moveaxis(layer.weight, layer.weight_axis, 0)
    return [part.reshape(len(rows), -1) for part in np.split(rows, np.cumsum(widths)[:-1], axis=1)]


def _apply(graph: ir.Graph, joined: Joined, s: np.ndarray) -> dict[str, dict[str, float]]:
    """Edits the graph; returns the new tensors: by name, those that they are made of with their factors."""
    node, made = joined.node, dict[str, dict[str, float]]()
    for index, (name, f) in enumerate(zip(joined.operands, s, strict=True)):
        value = node.inputs[index]
        assert value is not None
        if f != 1:
            by = add_constant(graph, np.asarray(f, np.float32), f"{value.name}_factor")
            scaled = new_node(graph, "Mul", [value, by], stem=f"{value.name}_even", like=value)
            graph.insert_before(node, scaled)
            node.replace_input_with(index, scaled.outputs[0])
            made[str(scaled.outputs[0].name)] = {name: float(f)}
    out = node.outputs[0]
    out.name = unique_name(graph, f"{out.name}{EVENED}")
    made[out.name] = {name: float(f) for name, f in zip(joined.operands, s, strict=True)}
    inverse = np.repeat(1 / s, joined.widths).astype(np.float32)
    for layer in joined.readers:
        axis = 1 - layer.weight_axis
        shape = [-1 if at == axis else 1 for at in range(layer.weight.ndim)]
        weight = add_constant(graph, layer.weight * inverse.reshape(shape), f"{layer.name}_weight_even")
        layer.node.replace_input_with(1, weight)
    return made


def _with_ranges(found: Calibration, made: Mapping[str, Mapping[str, float]]) -> Calibration:
    def added(ranges: Mapping[str, Range]) -> dict[str, Range]:
        new = dict(ranges)
        for name, parts in made.items():
            ends = [(f * ranges[part][0], f * ranges[part][1]) for part, f in parts.items() if part in ranges]
            if ends:
                new[name] = min(low for low, _ in ends), max(high for _, high in ends)
        return new

    choices = {method: added(ranges) for method, ranges in found.choices.items()}
    return replace(found, ranges=added(found.ranges), choices=choices, extremes=added(found.extremes))


def _size(ends: Range) -> float:
    return max(math.fabs(ends[0]), math.fabs(ends[1]))
