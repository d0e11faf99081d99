"""Goes through the quantised layers in the graph's order and fits each to what really reaches it.

The inputs of a layer come from the quantised layers before it, so that it makes up for their errors.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeort.passes.edit import opset
from edgeort.progress import Progress
from edgeort.quantize import bias_correction, blocks, compensation, gptq, parameters, thinning
from edgeort.quantize.calibration import ChannelMean
from edgeort.quantize.channel_means import ChannelMeans
from edgeort.quantize.covariance import Moments, Patches, shrunk
from edgeort.quantize.forms import Form
from edgeort.quantize.functions import behind
from edgeort.quantize.layers import Layer
from edgeort.quantize.parallel import WORKERS, ordered_map
from edgeort.quantize.qdq import Quantized, QuantizedLayer
from edgeort.quantize.ranges import UNBOUNDED
from edgeort.quantize.segments import Prefix
from edgeort.quantize.store import Store

CHUNK = 4 * 2**20  # numbers of patches that are multiplied at once
MAX_UNKNOWNS = 8192  # weights of an output: beyond, a covariance takes too much memory and time


@dataclass(frozen=True)
class Steps:
    """What is done to the layers. Smoothing is for those whose rows are quantised as the model runs, equalisation for
    static convolutions."""

    gptq: bool = True
    bias_correction: bool = True
    compensation: bool = True
    smoothing: bool = True
    equalisation: bool = True


@dataclass(frozen=True)
class Reference:
    """The float model: its graph, as it was before quantisation, and on the store's samples the means of its channels.

    `points` maps a layer to the tensor whose means matter for its bias, and the axis of the channels.
    """

    graph: ir.Graph
    points: Mapping[str, tuple[str, int]]
    means: Mapping[str, ChannelMean]


def measuring_points(layers: list[Layer]) -> dict[str, tuple[str, int]]:
    """`Reference.points` for each layer that can take a bias: means are compared behind its activation."""
    return {
        layer.name: (str(behind(layer.result).result.name), layer.output_axis) for layer in layers if layer.takes_bias
    }


def refine(
    model: ir.Model,
    quantized: Quantized,
    reference: Reference,
    store: Store,
    steps: Steps,
    progress: Progress | None = None,
    *,
    done: Collection[str] = (),
    fuse_qdq: bool = True,
) -> None:
    """Replaces weights and biases in `model`, from the samples whose inputs `store` has.

    Layers named in `done` are left as they are. `fuse_qdq` as `open_session`'s.
    """
    prefix = Prefix(model.graph, opset(model), store, fuse_qdq=fuse_qdq)
    floats = Prefix(reference.graph, opset(model), store, "float:")
    todo = [layer for layer in quantized.layers if layer.layer.name not in done]
    for number, layer in enumerate(todo, 1):
        if progress:
            progress(f"refining: layer {number} of {len(todo)}")
        prefix.advance(layer.source)
        fits = layer.layer.node.op_type != "ConvTranspose" and not layer.tied
        if fits and (steps.gptq or steps.compensation):
            _fit_weight(layer, prefix, floats, store.samples, steps)
        if steps.bias_correction and layer.bias is not None:
            name, axis = reference.points[layer.layer.name]
            value, bounds = _where(model.graph, quantized, name)
            wanted, is_linear = reference.means[name].mean, name == layer.layer.result.name and bounds == UNBOUNDED
            measure = ChannelMeans(prefix, layer, value, bounds, axis)
            bias_correction.correct(layer, wanted, measure, is_linear=is_linear)


def _fit_weight(layer: QuantizedLayer, prefix: Prefix, floats: Prefix, samples: int, steps: Steps) -> None:
    patches, quantity = Patches(layer.layer, samples), layer.quantity
    zero, scale = (quantity.zero, np.asarray(quantity.scale)) if quantity else (0, np.ones((), np.float32))
    # what fewer positions than weights say about the weights is chance
    in_half = samples // 2 * patches.cut(prefix.get(layer.source, 0), zero).shape[1]
    compensate = steps.compensation and patches.size <= min(in_half, compensation.MAX_UNKNOWNS)
    centred = steps.bias_correction and layer.bias is not None
    read = floats.value(layer.reads)
    if compensate:
        floats.advance(read)

    def moments(chunk: range) -> list[Moments]:
        cut = [patches.cut(prefix.get(layer.source, sample), zero) for sample in chunk]
        q = np.concatenate(cut, axis=1).astype(np.float32) - np.float32(zero)
        if not compensate:
            return [Moments.of(q, q)]
        f = np.concatenate([patches.cut(floats.get(read, sample), 0.0) for sample in chunk], axis=1)
        return [Moments.of(q, q), Moments.of(f / scale.reshape(-1, 1, 1), q)]

    halves = [[Moments(), Moments()] for _ in range(2)]
    chunks = list(_chunks(samples, patches))
    for chunk, found in zip(chunks, ordered_map(moments, chunks), strict=True):
        for total, one in zip(halves[chunk.start % 2], found, strict=False):
            total.add(one)
    rows = whole = gptq.as_rows(layer.layer, layer.layer.weight)
    if compensate:
        rows = compensation.moved(rows, [half[0] for half in halves], [half[1] for half in halves], centred)
        rows = thinning.keep_zeros(rows, whole, halves[0][0].merged(halves[1][0]).covariance(centred))
    covariance = None
    if steps.gptq and patches.size <= MAX_UNKNOWNS and layer.form is not Form.FINE:
        covariance = shrunk([half[0] for half in halves], centred)
    _round(layer, rows, covariance)


def _round(layer: QuantizedLayer, rows: np.ndarray, covariance: np.ndarray | None) -> None:
    """Sets the integers for weights [groups, outputs, d], by GPTQ where `covariance` [groups, d, d] is given."""
    if layer.grid is not None:
        own = None if covariance is None else covariance[0]
        grid, _ = blocks.fit(rows[0], layer.grid.size, layer.grid.signed, None if own is None else np.diagonal(own))
        layer.set_blocks(grid, grid.round(rows[0], own))
        return
    scales = layer.weight_scales.reshape(rows.shape[:2])
    if covariance is not None:
        integers = gptq.round_weights(rows, scales, covariance)
    else:
        most = parameters.FINE_MAX if layer.form is Form.FINE else parameters.WEIGHT_MAX
        flat = rows.reshape(-1, rows.shape[2])
        integers = parameters.quantize_weight(flat, 0, scales.ravel(), most).reshape(rows.shape)
    layer.set_weight(np.ascontiguousarray(gptq.from_rows(layer.layer, integers)))


def _chunks(samples: int, patches: Patches) -> Iterator[range]:
    """Samples whose patches become one matrix: those of each half, every other one, in parts of a bounded size."""
    numbers = patches.layer.groups * patches.positions * patches.size
    size = max(min(CHUNK // numbers, -(-samples // (2 * WORKERS))), 1)
    for half in range(2):
        for start in range(half, samples, 2 * size):
            yield range(start, min(start + 2 * size, samples), 2)


def _where(graph: ir.Graph, quantized: Quantized, name: str) -> tuple[ir.Value, tuple[float, float]]:
    """What stands for a float tensor before it is rounded to eight bits, and the bounds to clip it to.

    Not after: numbers that round to zero or saturate would look like an error of the bias.
    """
    if name in quantized.tensors:
        return quantized.tensors[name].before, quantized.tensors[name].bounds
    value = next(value for node in graph for value in node.outputs if value.name == name)
    return value, UNBOUNDED
