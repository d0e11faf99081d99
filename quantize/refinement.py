"""Goes through the quantised layers in the graph's order and fits each to what really reaches it.

The inputs of a layer come from the quantised layers before it, so that it makes up for their errors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx_ir as ir

from edgeort.passes.edit import opset
from edgeort.progress import Progress
from edgeort.quantize import bias_correction, gptq
from edgeort.quantize.calibration import ChannelMean, channel_sums
from edgeort.quantize.covariance import Moments, Patches
from edgeort.quantize.layers import Layer, after_activation
from edgeort.quantize.qdq import Quantized, QuantizedLayer
from edgeort.quantize.segments import Prefix
from edgeort.quantize.store import Store

MAX_UNKNOWNS = 8192  # weights of an output: beyond, the covariance takes too much memory and time


@dataclass(frozen=True)
class Steps:
    """What is done to each layer."""

    gptq: bool = True
    bias_correction: bool = True


def measuring_points(layers: list[Layer]) -> dict[str, tuple[str, int]]:
    """For each layer that can take a bias: the float tensor whose means matter, and the axis of its channels."""
    return {
        layer.name: (str(after_activation(layer.node.outputs[0]).name), layer.output_axis)
        for layer in layers
        if layer.takes_bias
    }


def refine(
    model: ir.Model,
    quantized: Quantized,
    points: Mapping[str, tuple[str, int]],
    means: Mapping[str, ChannelMean],
    store: Store,
    steps: Steps,
    progress: Progress | None = None,
) -> None:
    """Replaces weights and biases in `model`. `points` and `means` are of the float model on the store's samples."""
    prefix = Prefix(model.graph, opset(model), store)
    for number, layer in enumerate(quantized.layers, 1):
        if progress:
            progress(f"refining: layer {number} of {len(quantized.layers)}")
        prefix.advance(layer.input)
        if steps.gptq and _can_round(layer.layer):
            _round(prefix, layer, store.samples)
        if steps.bias_correction and layer.bias is not None:
            name, axis = points[layer.layer.name]
            value, bounds = _where(model.graph, quantized, name)
            bias_correction.correct(layer, means[name].mean, partial(_means, prefix, value, bounds, axis))


def _where(graph: ir.Graph, quantized: Quantized, name: str) -> tuple[ir.Value, tuple[float, float]]:
    """What stands for a float tensor before it is rounded to eight bits, and the bounds to clip it to.

    Not after: numbers that round to zero or saturate would look like an error of the bias.
    """
    if name in quantized.tensors:
        return quantized.tensors[name].before, quantized.tensors[name].bounds
    value = next(value for node in graph for value in node.outputs if value.name == name)
    return value, (-math.inf, math.inf)


def _can_round(layer: Layer) -> bool:
    return layer.node.op_type != "ConvTranspose" and gptq.as_rows(layer, layer.weight).shape[2] <= MAX_UNKNOWNS


def _round(prefix: Prefix, layer: QuantizedLayer, samples: int) -> None:
    patches, total, name = Patches(layer.layer, layer.input_quantity.zero, samples), Moments(), str(layer.input.name)
    for moments in prefix.over_samples([layer.input], lambda feeds: patches.moments(feeds[name])):
        total.add(moments)
    rows = gptq.as_rows(layer.layer, layer.layer.weight)
    integers = gptq.round_weights(rows, layer.weight_scales.reshape(rows.shape[:2]), total.covariance())
    layer.set_weight(np.ascontiguousarray(gptq.from_rows(layer.layer, integers)))


def _means(prefix: Prefix, value: ir.Value, bounds: tuple[float, float], axis: int) -> ChannelMean:
    found, measure = ChannelMean(), prefix.evaluator(value)
    for total, count in measure(lambda arrays: channel_sums(np.clip(arrays[0], *bounds), axis)):
        found.add(total, count)
    return found
