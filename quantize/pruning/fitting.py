"""Goes through the layers of a pruned model in the graph's order and fits each to what really reaches it.

With y what the float model's layer makes without its bias, and q what reaches the pruned one, W q = y is solved by
least squares for W, from the weights W_0 that it has: W = W_0 + (C_yq - W_0 C_qq) C_qq^-1, damped and shortened by what
serves samples that it was not made from (`compensation`; He et al. 2017, "Channel pruning for accelerating very deep
neural networks", section 3.1, reconstructs likewise). The bias takes the means, and is corrected behind the activation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx_ir as ir

from edgeort.passes.edit import opset
from edgeort.progress import Progress
from edgeort.quantize import bias_correction, compensation, functions, gptq, thinning
from edgeort.quantize.calibration import ChannelMean, channel_sums
from edgeort.quantize.covariance import Moments, Patches
from edgeort.quantize.layers import Layer, read_layer
from edgeort.quantize.parallel import ordered_map
from edgeort.quantize.pruning.channels import Tracker
from edgeort.quantize.segments import Prefix
from edgeort.quantize.store import Store

FLOATS = "float:"  # in front of the float model's tensors in the store

# (layer, float64 weights [outputs, d], covariance [d, d] of what they multiply) -> the weights that take their place
Thin = Callable[[Layer, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Pair:
    """A layer of the pruned model, the same of the float model, and which of the latter's outputs the former has."""

    tracker: Tracker
    node: ir.Node
    whole: Layer
    kept: np.ndarray

    @property
    def layer(self) -> Layer:
        """As it is now."""
        found = read_layer(self.node)
        assert isinstance(found, Layer)
        return found

    @property
    def real_bias(self) -> np.ndarray:
        """float64, one an output channel; zeros where it has none."""
        layer = self.layer
        return np.zeros(layer.channels) if layer.bias is None else layer.bias.astype(np.float64)

    def set_bias(self, bias: np.ndarray) -> None:
        """Real numbers, one an output channel."""
        node, index = self.layer.bias_operand
        if len(node.inputs) <= index:
            node.resize_inputs(index + 1)
        self.tracker.set_constant(node, index, bias.astype(np.float32))
        node.attributes.pop("beta", None)

    def set_weight(self, rows: np.ndarray) -> None:
        """Real numbers [groups, outputs of a group, d]."""
        self.tracker.set_constant(self.node, 1, gptq.from_rows(self.layer, rows).astype(np.float32))


def fit(
    model: ir.Model,
    reference: ir.Graph,
    pairs: Mapping[str, Pair],
    store: Store,
    progress: Progress | None,
    thin: Mapping[str, Thin] | None = None,
) -> None:
    """Replaces weights and biases in `model`, from the samples whose inputs `store` has.

    The weights of the layers in `thin`, by name, lose some on the way.
    """
    thin = thin or {}
    prefix, floats = Prefix(model.graph, opset(model), store), Prefix(reference, opset(model), store, FLOATS)
    behind = _behind(model.graph, {p.node for p in pairs.values() if _is_cut(p) or p.whole.name in thin})
    todo = [pairs[str(node.name)] for node in model.graph if node in behind and str(node.name) in pairs]
    for number, pair in enumerate(todo, 1):
        if progress:
            progress(f"fitting: layer {number} of {len(todo)}")
        layer = pair.layer
        prefix.advance(layer.input)
        floats.advance(pair.whole.input)  # of the other graph
        if can_fit(pair.whole, store.samples):
            _fit_weight(pair, prefix, floats, store.samples, thin.get(layer.name))
        if layer.takes_bias:
            measured, axis = functions.behind(pair.whole.result).result, layer.output_axis
            wanted = _means(floats, measured, axis).mean
            value = prefix.value(str(measured.name))
            bias_correction.correct(pair, wanted[pair.kept], partial(_means, prefix, value, axis))


def can_fit(layer: Layer, samples: int) -> bool:
    """Whether a layer's weights can be fitted to so many samples; those of several layers are not."""
    if layer.node.op_type == "ConvTranspose" or samples < 2 or layer.is_tied:
        return False
    return Patches(layer, samples).size <= compensation.MAX_UNKNOWNS


def _is_cut(pair: Pair) -> bool:
    return pair.layer.weight.shape != pair.whole.weight.shape


def _behind(graph: ir.Graph, start: set[ir.Node]) -> set[ir.Node]:
    """Nodes that work on what `start` changed, itself included."""
    found = set(start)
    for node in graph:
        if any(value is not None and value.producer() in found for value in node.inputs):
            found.add(node)
    return found


def _fit_weight(pair: Pair, prefix: Prefix, floats: Prefix, samples: int, thin: Thin | None) -> None:
    layer, whole = pair.layer, pair.whole
    every = Patches(whole, samples)
    few = Patches(layer, samples, every.positions)  # the same ones
    rows, wanted = gptq.as_rows(layer, layer.weight).astype(np.float64), gptq.as_rows(whole, whole.weight)

    def moments(sample: int) -> list[Moments]:
        q = few.cut(prefix.get(layer.input, sample), 0.0)
        y = np.matmul(every.cut(floats.get(whole.input, sample), 0.0), wanted.transpose(0, 2, 1))
        y = y[pair.kept.reshape(whole.groups, -1)[:, 0]] if whole.groups > 1 else y[:, :, pair.kept]
        return [Moments.of(q, q), Moments.of(y, q)]

    halves = [[Moments(), Moments()] for _ in range(2)]
    for sample, found in enumerate(ordered_map(moments, range(samples))):
        for total, one in zip(halves[sample % 2], found, strict=True):
            total.add(one)
    both = [first.merged(second) for first, second in zip(*halves, strict=True)]
    second = Moments.covariance if layer.takes_bias else Moments.products
    problem = partial(_problem, rows, second)
    moved = rows + compensation.best_step([problem(*half) for half in halves], problem(*both))
    if thin is None:
        moved = thinning.keep_zeros(moved, rows, second(both[0]))
    else:
        moved = thin(layer, moved[0], second(both[0])[0])[np.newaxis]
    pair.set_weight(moved)
    if layer.takes_bias:
        bias = np.zeros(whole.channels) if whole.bias is None else whole.bias.astype(np.float64)
        means = [np.asarray(sums) / both[1].count for sums in (both[1].first, both[1].other)]
        lost = means[0] - np.matmul(moved, means[1][:, :, np.newaxis])[:, :, 0]
        pair.set_bias(bias[pair.kept] + lost.reshape(-1))


def _problem(
    rows: np.ndarray, second: Callable[[Moments], np.ndarray], own: Moments, cross: Moments
) -> compensation.Problem:
    """C_qq and C_yq - W C_qq."""
    covariance = second(own)
    return covariance, second(cross) - np.matmul(rows, covariance)


def _means(prefix: Prefix, value: ir.Value, axis: int) -> ChannelMean:
    found, measure = ChannelMean(), prefix.evaluator(value)
    for total, count in measure(lambda arrays: channel_sums(arrays[0], axis)):
        found.add(total, count)
    return found
