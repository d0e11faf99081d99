"""Cross-layer equalisation (Nagel et al. 2019, "Data-free quantization through weight equalization", section 4.1).

    W2 f(W1 x + b1)  =  (W2 S) f(S^-1 W1 x + S^-1 b1)          S = diag(s), s > 0

for functions with f(a x) = a f(x), a > 0: none, Relu, LeakyRelu. A Clip to [0, m] is not one, but acts as one where
neither x nor x / s comes near m.

The paper has s_i = sqrt(r1_i / r2_i) of the ranges of both weights. Here weights have a scale for each output, so r1 is
the range of the channel in the tensor between, on the samples, which has one scale; depthwise weights W2 do not mind
any s, and s_i = r1_i. The range of the whole tensor stays.

Ranges of few samples are learnt by heart, and unseen numbers saturate: so x / s stays `MARGIN` below the tensor's range
and below m, s is in 1 / `WIDEST` .. `WIDEST`, and nothing is kept that does not lower the measured noise to `GAIN`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import onnx_ir as ir

from edgeort.passes.algebra import clip_bounds
from edgeort.passes.edit import add_constant, is_op, number, only_user, operand
from edgeort.quantize import calibration, channels
from edgeort.quantize.attempts import ROUGH_SAMPLES, Attempts
from edgeort.quantize.calibration import Calibration, ChannelMean
from edgeort.quantize.layers import Layer, read_layer
from edgeort.quantize.preparing import Prepared
from edgeort.quantize.samples import open_samples

MARGIN = 1.5  # of the largest number allowed over the largest seen
WIDEST = 16  # factors are in 1 / this .. this
GAIN = 0.8  # of the noise, at most, that is left
OTHERS = 100  # samples that the factors come from while the noise is measured


@dataclass(frozen=True)
class Pair:
    """Two convolutions; `between` is what the second one alone reads: the first one's result, behind its function.

    `bound` is where the function stops being homogeneous.
    """

    first: Layer
    second: Layer
    between: ir.Value
    bound: float

    @property
    def is_depthwise(self) -> bool:
        """Whether the second one keeps channels apart."""
        return channels.is_depthwise(self.second.node)


def pairs(graph: ir.Graph) -> Iterator[Pair]:
    """The pairs of a float graph, in its order."""
    for node in graph:
        first = read_layer(node)
        if not isinstance(first, Layer) or node.op_type != "Conv":
            continue
        value, bound = node.outputs[0], math.inf
        reader = only_user(value)
        if reader is not None and (found := _bound(reader)) is not None:
            value, bound = reader.outputs[0], found
            reader = only_user(value)
        second = read_layer(reader) if reader is not None else None
        if isinstance(second, Layer) and second.node.op_type == "Conv" and second.input is value:
            pair = Pair(first, second, value, bound)
            if (second.groups == 1 or pair.is_depthwise) and not (first.is_tied or second.is_tied):
                yield pair


def _bound(node: ir.Node) -> float | None:
    """Up to which number a function is homogeneous; None where it is not."""
    if is_op(node, "LeakyRelu"):
        return math.inf if number(node, "alpha", 0.01) >= 0 else None
    low, high = clip_bounds(node) or (1.0, 0.0)
    return high if low == 0 and high > 0 else None


def factors(pair: Pair, lows: np.ndarray, highs: np.ndarray) -> np.ndarray | None:
    """s, float32, for channels with those extremes; None where there is little to gain.

    Rounding the tensor between makes a noise that goes with the sum over i of s_i^2 |W2_i|^2, its range being the same.
    """
    range1 = np.maximum(np.abs(lows), np.abs(highs)).astype(np.float64)
    weight = pair.second.weight.astype(np.float64)
    readers = (weight if pair.is_depthwise else np.moveaxis(weight, 1, 0)).reshape(len(range1), -1)
    range2, squares = np.abs(readers).max(axis=1), (readers**2).sum(axis=1)
    most = min(range1.max(), pair.bound) / MARGIN
    free = (range1 > 0) & (range2 > 0) & (range1 < most)
    if not free.any():
        return None
    s = np.ones_like(range1)
    s[free] = range1[free] if pair.is_depthwise else np.sqrt(range1[free] / range2[free])
    s[free] *= (range1[free] / s[free]).max() / most
    s[free] = np.clip(s[free], np.maximum(1 / WIDEST, range1[free] / most), WIDEST)
    return s.astype(np.float32) if (squares * s**2).sum() <= GAIN * squares.sum() else None


def apply(graph: ir.Graph, pair: Pair, s: np.ndarray) -> None:
    """Divides the first one's results by s, and multiplies the second one's weights."""
    first, second = pair.first, pair.second
    ones = [1] * (first.weight.ndim - 1)
    _replace(graph, first.node, 1, first.weight / s.reshape(-1, *ones))
    if first.bias is not None:
        _replace(graph, first.node, 2, first.bias / s)
    by_output = np.repeat(s, len(second.weight) // len(s)).reshape(-1, *ones) if pair.is_depthwise else None
    _replace(graph, second.node, 1, second.weight * (s.reshape(-1, *ones[1:]) if by_output is None else by_output))


def _replace(graph: ir.Graph, node: ir.Node, index: int, array: np.ndarray) -> None:
    old = operand(node, index)
    assert old is not None
    node.replace_input_with(index, add_constant(graph, array.astype(np.float32), f"{old.name}_equal"))


def equalised(attempts: Attempts, exclude: Collection[str]) -> tuple[Attempts, int]:
    """Attempts from an equalised model and for how many pairs, where that lowers the noise; else as they are.

    The noise is measured on the first samples, with factors from others.
    """
    kept = attempts.store.samples + attempts.judge.samples - attempts.apart
    measured, known = min(ROUGH_SAMPLES, kept // 3), attempts.calibration.channels
    trial, count = _trial(attempts, exclude, known)
    if not count or not measured:
        return attempts, 0
    others = open_samples(islice(attempts.choosing(), measured, measured + OTHERS), attempts.prepared.inputs)
    between = [str(pair.between.name) for pair in _worthwhile(attempts, attempts.prepared.model.graph)]
    names = [name for name in between if name in known]
    seen = calibration.calibrate(attempts.prepared, others, (), "minmax", channels=names).channels
    before, after = (one.noise(exclude, measured) for one in (attempts, _trial(attempts, exclude, seen)[0]))
    return (trial, count) if after <= GAIN * before else (attempts, 0)


def _worthwhile(attempts: Attempts, graph: ir.Graph) -> Iterator[Pair]:
    """The pairs between which there is one scale for all channels."""
    return (pair for pair in pairs(graph) if not (attempts.own_runtime and channels.keeps_channels_apart(pair.between)))


def _trial(
    attempts: Attempts, exclude: Collection[str], channels: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> tuple[Attempts, int]:
    """Attempts from the model with all pairs equalised that are worth it, given the extremes of channels; how many."""
    model, found = attempts.prepared.model.clone(), dict[str, np.ndarray]()
    for pair in list(_worthwhile(attempts, model.graph)):
        name = str(pair.between.name)
        if name not in channels or {pair.first.name, pair.second.name} & {*exclude}:
            continue
        current = replace(pair, first=_again(pair.first), second=_again(pair.second))
        s = factors(current, *channels[name])
        if s is not None:
            apply(model.graph, current, s)
            found[name] = s
    changed = _calibrated(attempts.calibration, channels, found)
    trial = replace(
        attempts,
        prepared=Prepared(model, attempts.prepared.sha256),
        original=attempts.prepared,
        calibration=changed,
        ranges={**attempts.ranges, **{name: changed.ranges[name] for name in found}},
    )
    return trial, len(found)


def _again(layer: Layer) -> Layer:
    """The layer with the weights that it has by now."""
    found = read_layer(layer.node)
    assert isinstance(found, Layer)
    return found


def _calibrated(
    before: Calibration, seen: Mapping[str, tuple[np.ndarray, np.ndarray]], found: Mapping[str, np.ndarray]
) -> Calibration:
    """The calibration of the equalised model: of the tensors between, whose factors are given, all is divided."""
    means, channels = dict(before.means), dict(before.channels)
    extremes, reach = dict(before.extremes), dict(before.reach)
    for name, s in found.items():
        lows, highs = channels[name] = seen[name][0] / s, seen[name][1] / s
        extremes[name] = min(float(lows.min()), 0.0), max(float(highs.max()), 0.0)
        reach[name] = before.reach[name].divided(s)
        if name in means:
            means[name] = ChannelMean(means[name].total / s, means[name].count)
    ranges = before.ranges | {name: extremes[name] for name in found}
    return replace(before, ranges=ranges, extremes=extremes, means=means, channels=channels, reach=reach)
