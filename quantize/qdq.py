"""Writes a selection into the graph as QuantizeLinear and DequantizeLinear.

    x -> Conv(w, b) -> Relu -> y     ->     x' -> Conv(DQ(w8), DQ(b32)) -> Q -> DQ -> y'

Weights and biases are stored as integers. A Relu or Clip goes away where its tensor's range is no wider than its
bounds, since QuantizeLinear saturates. Everything that read a quantised tensor reads the numbers that came back from
eight bits, so that every runtime sees one tensor; an output of the model keeps its float numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from edgeort.passes.algebra import clip_bounds
from edgeort.passes.edit import add_constant, bypass, new_node
from edgeort.quantize import blocks, channels, gptq, parameters
from edgeort.quantize.blocks import Grid
from edgeort.quantize.extremes import Reach
from edgeort.quantize.forms import Form
from edgeort.quantize.layers import Layer
from edgeort.quantize.parameters import Quantity
from edgeort.quantize.ranges import UNBOUNDED, Range
from edgeort.quantize.selection import Selection

QUANTIZED, DEQUANTIZED = "_quantized", "_dequantized"
EVENED = "_even"  # of a tensor whose channels have factors
_BOUND_TOLERANCE = 1e-3  # of a step


@dataclass(frozen=True)
class Restored:
    """A quantised tensor: its name in the float model, `before` QuantizeLinear, the integers, `after` DequantizeLinear.

    `bounds` are those of the Relu or Clip that went away; `before` lacks it.
    """

    name: str
    before: ir.Value
    integers: ir.Value
    after: ir.Value
    quantity: Quantity
    bounds: tuple[float, float]


@dataclass
class QuantizedLayer:
    """A layer in the graph, what it reads by its name in the float model, and as `quantity` where that is static.

    `source` is the input, or the integers that stand for it. The initializers' numbers may be replaced. Weights in
    blocks have a `grid` and its initializers, those of the scales and of the zero points. `tied` weights are those of
    other nodes, too, and stay equal to them.
    """

    layer: Layer
    form: Form
    reads: str
    source: ir.Value
    quantity: Quantity | None
    weight_scales: np.ndarray
    weight: ir.Value
    bias: ir.Value | None
    grid: Grid | None = None
    grid_values: tuple[ir.Value, ...] = ()
    tied: bool = False

    @property
    def sum_scales(self) -> np.ndarray:
        """s_x s_w of every output channel of a static layer, float32 as the graph has them."""
        assert self.quantity is not None
        scales = np.tile(self.weight_scales, self.layer.channels // len(self.weight_scales))
        return np.asarray(_of_outputs(self.quantity, self.layer) * scales, np.float32)

    @property
    def real_bias(self) -> np.ndarray:
        """The bias as the graph has it, float64; zeros where it has none."""
        if self.bias is None or self.bias.const_value is None:
            return np.zeros(self.layer.channels)
        found = self.bias.const_value.numpy().astype(np.float64)
        return np.asarray(found if self.bias.dtype == ir.DataType.FLOAT else found * self.sum_scales)

    @property
    def initializers(self) -> list[ir.Value]:
        """Those whose numbers may be replaced."""
        return [self.weight, *self.grid_values, *([] if self.bias is None else [self.bias])]

    def restore(self, arrays: Sequence[np.ndarray], grid: Grid | None) -> None:
        """Replaces the numbers of all `initializers`, which are on that grid."""
        for value, array in zip(self.initializers, arrays, strict=True):
            _replace(value, array)
        self.grid = grid

    def set_weight(self, weight: np.ndarray) -> None:
        """Integers of the type that they have, of the shape of the layer's weight."""
        _replace(self.weight, weight)

    def set_blocks(self, grid: Grid, rows: np.ndarray) -> None:
        """Another grid of the same kind and size, and integers [outputs, d] on it."""
        arrays = _block_arrays(self.layer, grid, rows)
        for value, array in zip((self.weight, *self.grid_values), arrays, strict=False):
            _replace(value, array)
        self.grid = grid

    def set_bias(self, bias: np.ndarray) -> None:
        """Real numbers, one an output channel."""
        assert self.bias is not None
        is_float = self.bias.dtype == ir.DataType.FLOAT
        _replace(self.bias, bias.astype(np.float32) if is_float else parameters.quantize_bias(bias, self.sum_scales))


def _of_outputs(quantity: Quantity, layer: Layer) -> np.ndarray:
    """The scale of the input that each output channel reads, or one number for all."""
    scale = np.asarray(quantity.scale)
    return np.repeat(scale, layer.channels // scale.size) if scale.ndim else scale


@dataclass
class Quantized:
    """The graph's layers, and its quantised tensors by their names in the float model."""

    layers: list[QuantizedLayer]
    tensors: dict[str, Restored]


def quantities(
    selection: Selection,
    ranges: Mapping[str, Range],
    reach: Mapping[str, Reach],
    widest: Mapping[str, Range],
) -> dict[str, Quantity]:
    """Scale and zero point of every selected tensor, by name; a moved one has those of its source.

    `reach` is what to expect of channels that have scales of their own, `widest` the extremes of whole tensors, which
    sixteen bits are enough for.
    """
    found, layers = dict[str, Quantity](), {layer.node: layer for layer in selection.layers}
    for value in selection.tensors:
        name, source = str(value.name), str(selection.source.get(value, value).name)
        whole = ranges[source]
        if value in selection.wide:
            found[name] = parameters.activation(*widest.get(source, whole), parameters.WIDE_LEVELS)
            continue
        found[name] = parameters.activation(*whole)
        if name in reach and channels.keeps_channels_apart(value):
            bounds, least = clip_bounds(value.producer()) or UNBOUNDED, channels.least_steps(value, layers, found)
            found[name] = channels.quantity(whole, reach[name], channels.readers(value), bounds, least)
    return found


def insert(
    graph: ir.Graph, selection: Selection, found: Mapping[str, Quantity], *, with_bias: bool, block: int
) -> Quantized:
    """Edits `graph`, the one that `selection` was made from. `with_bias` gives every layer a bias that can take one.

    `block` is how many weights have a scale where they are stored in blocks.
    """
    tensors = {str(value.name): _through_integers(graph, value, found[str(value.name)]) for value in selection.tensors}
    by_result = {tensor.after: tensor for tensor in tensors.values()}
    tied = {layer.name for layer in selection.layers if layer.is_tied}
    layers = [
        _quantize_layer(graph, layer, selection.forms[layer.name], by_result, with_bias, block)
        for layer in selection.layers
    ]
    return Quantized([replace(layer, tied=layer.layer.name in tied) for layer in layers], tensors)


def _through_integers(graph: ir.Graph, value: ir.Value, quantity: Quantity) -> Restored:
    """Puts Q and DQ behind `value`."""
    name = str(value.name)
    scale = add_constant(graph, np.asarray(quantity.scale, np.float32), f"{name}_scale")
    zero = add_constant(graph, np.full(np.shape(quantity.scale), quantity.zero, quantity.dtype), f"{name}_zero_point")
    axis = {"axis": channels.AXIS} if np.ndim(quantity.scale) else {}
    quantize = new_node(graph, "QuantizeLinear", [value, scale, zero], axis, stem=f"{name}{QUANTIZED}")
    quantize.outputs[0].dtype, quantize.outputs[0].shape = ir.DataType.from_numpy(quantity.dtype), value.shape
    restore = new_node(
        graph, "DequantizeLinear", [quantize.outputs[0], scale, zero], axis, stem=f"{name}{DEQUANTIZED}", like=value
    )
    for use in tuple(value.uses()):
        if use.node is not quantize:
            use.node.replace_input_with(use.idx, restore.outputs[0])
    producer = value.producer()
    if producer is None:
        graph.insert_before(graph[0], (quantize, restore))
    else:
        graph.insert_after(producer, (quantize, restore))
    bounds = UNBOUNDED if producer is None else _drop_clip(graph, producer, quantity)
    before = quantize.inputs[0]
    assert before is not None
    return Restored(name, before, quantize.outputs[0], restore.outputs[0], quantity, bounds)


def _drop_clip(graph: ir.Graph, node: ir.Node, quantity: Quantity) -> tuple[float, float]:
    """Removes a Relu or Clip before QuantizeLinear that saturation makes needless; returns its bounds or infinities."""
    bounds, source = clip_bounds(node), node.inputs[0]
    slack = _BOUND_TOLERANCE * float(np.max(quantity.scale))
    if bounds is None or source is None or node.outputs[0].is_graph_output():
        return UNBOUNDED
    if quantity.low < bounds[0] - slack or quantity.high > bounds[1] + slack:
        return UNBOUNDED
    bypass(graph, node, source)
    return bounds


def _quantize_layer(
    graph: ir.Graph, layer: Layer, form: Form, tensors: Mapping[ir.Value, Restored], with_bias: bool, block: int
) -> QuantizedLayer:
    node, read = layer.node, tensors.get(layer.input)
    name, source = (read.name, read.after) if read else (str(layer.input.name), layer.input)
    quantity = None
    if form.is_static:
        assert read is not None
        source, quantity = read.integers, read.quantity
    bias = np.zeros(layer.channels, np.float32) if layer.bias is None and with_bias and layer.takes_bias else layer.bias
    if form is Form.BLOCKS:
        made = _in_blocks(graph, layer, name, source, block)
    else:
        summed = bias if form is Form.STATIC and layer.adds is None else None  # what is added to the integers
        most = parameters.FINE_MAX if form is Form.FINE else parameters.WEIGHT_MAX
        scales = parameters.weight_scales(
            layer.weight, layer.weight_axis, summed, _of_outputs(quantity, layer) if quantity else np.float32(1), most
        )
        integers = parameters.quantize_weight(layer.weight, layer.weight_axis, scales, most)
        weight = _constant(graph, node, 1, integers, scales, layer.weight_axis)
        made = QuantizedLayer(layer, form, name, source, quantity, scales, weight, None)
    if bias is not None:
        made.bias = _put_bias(graph, made, bias)
    return made


def _in_blocks(graph: ir.Graph, layer: Layer, reads: str, source: ir.Value, size: int) -> QuantizedLayer:
    node, rows = layer.node, gptq.as_rows(layer, layer.weight)[0]
    grid = blocks.search(rows, size)
    stem = str(node.inputs[1].name if node.inputs[1] is not None else node.name)
    arrays = _block_arrays(layer, grid, grid.round(rows))
    names = (f"{stem}{QUANTIZED}", f"{stem}_scale", f"{stem}_zero_point")
    values = [add_constant(graph, array, name) for array, name in zip(arrays, names, strict=False)]
    attributes = {"axis": 1 - layer.weight_axis, "block_size": size}
    restore = new_node(graph, "DequantizeLinear", values, attributes, stem=f"{stem}{DEQUANTIZED}")
    restore.outputs[0].dtype, restore.outputs[0].shape = ir.DataType.FLOAT, ir.Shape(layer.weight.shape)
    graph.insert_before(node, restore)
    node.replace_input_with(1, restore.outputs[0])
    return QuantizedLayer(
        layer, Form.BLOCKS, reads, source, None, np.ones(0, np.float32), values[0], None, grid, tuple(values[1:])
    )


def _block_arrays(layer: Layer, grid: Grid, rows: np.ndarray) -> list[np.ndarray]:
    """The integers, scales and, where there are any, zero points, as the layer's weight lies."""
    arrays = [rows.astype(grid.dtype), grid.scales] + ([] if grid.signed else [grid.zeros.astype(grid.dtype)])
    return [np.ascontiguousarray(array if layer.weight_axis == 0 else array.T) for array in arrays]


def _put_bias(graph: ir.Graph, made: QuantizedLayer, bias: np.ndarray) -> ir.Value:
    """The initializer that becomes the layer's bias: int32 for products of eight bits; float32 else, and in an Add."""
    layer, node = made.layer, made.layer.node
    if layer.adds is not None:
        return _float_bias(graph, *layer.bias_operand, bias)
    if len(node.inputs) < 3:
        node.resize_inputs(3)
    node.attributes.pop("beta", None)
    if made.form is not Form.STATIC:
        return _float_bias(graph, node, 2, bias)
    return _constant(graph, node, 2, parameters.quantize_bias(bias, made.sum_scales), made.sum_scales, 0)


def _float_bias(graph: ir.Graph, node: ir.Node, index: int, bias: np.ndarray) -> ir.Value:
    value = add_constant(graph, bias.astype(np.float32), f"{node.name}_bias")
    node.replace_input_with(index, value)
    return value


def _constant(
    graph: ir.Graph, node: ir.Node, index: int, integers: np.ndarray, scales: np.ndarray, axis: int
) -> ir.Value:
    """Makes operand `index` DequantizeLinear(integers); returns the integers' initializer."""
    old = node.inputs[index]
    stem = str(old.name if old is not None else f"{node.name}_bias")
    value = add_constant(graph, integers, f"{stem}{QUANTIZED}")
    scale = add_constant(graph, scales.astype(np.float32), f"{stem}_scale")
    # ONNX Runtime fuses a Gemm or MatMul only where the weight's zero points are spelt out; a bias does not need them.
    zeros = [_zeros(graph, len(scales))] if integers.dtype == np.int8 else []
    restore = new_node(graph, "DequantizeLinear", [value, scale, *zeros], {"axis": axis}, stem=f"{stem}{DEQUANTIZED}")
    restore.outputs[0].dtype, restore.outputs[0].shape = ir.DataType.FLOAT, ir.Shape(integers.shape)
    graph.insert_before(node, restore)
    node.replace_input_with(index, restore.outputs[0])
    return value


def _zeros(graph: ir.Graph, size: int) -> ir.Value:
    """Zero points of weights, one initializer for all of a size."""
    name = f"edgeort_zero_points_{size}"
    return graph.initializers.get(name) or add_constant(graph, np.zeros(size, np.int8), name)


def _replace(value: ir.Value, array: np.ndarray) -> None:
    assert value.const_value is not None and value.const_value.shape == array.shape
    value.const_value = ir.tensor(np.ascontiguousarray(array), name=value.name)
