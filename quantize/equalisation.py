"""Cross-layer equalisation (Nagel et al. 2019, "Data-free quantization through weight equalization", section 4.1).

    W2 f(W1 x + b1)  =  (W2 S) f(S^-1 W1 x + S^-1 b1)          S = diag(s), s > 0

for functions with f(a x) = a f(x), a > 0: none, Relu, LeakyRelu. A Clip to [0, m] is not one, but acts as one where
neither x nor x / s comes near m: `MARGIN` below it on the samples.

The paper has s_i = sqrt(r1_i / r2_i) of the ranges of both weights. Here weights have a scale for each output, so r1 is
the range of the channel in the tensor between, on the samples, which has one scale; depthwise weights W2 do not mind
any s, and s_i = r1_i. Ranges of few samples are learnt by heart, the more so the smaller the channel: hence the
`WIDEST`, and nothing is kept that does not lower the measured noise to `GAIN`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from edgeort.passes.algebra import clip_bounds
from edgeort.passes.edit import add_constant, is_op, number, only_user, operand
from edgeort.quantize.attempts import Attempts
from edgeort.quantize.calibration import Calibration, ChannelMean
from edgeort.quantize.channels import is_depthwise
from edgeort.quantize.layers import Layer, read_layer
from edgeort.quantize.preparing import Prepared

MARGIN = 1.5  # of a bound over the largest number seen below it
WIDEST = 16  # factors are in 1 / this .. this
GAIN = 0.8  # of the noise, at most, that is left


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
        return is_depthwise(self.second.node)


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
            if second.groups == 1 or pair.is_depthwise:
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
    free = (range1 > 0) & (range2 > 0) & (range1 * MARGIN < pair.bound)
    if not free.any():
        return None
    s = np.ones_like(range1)
    s[free] = range1[free] if pair.is_depthwise else np.sqrt(range1[free] / range2[free])
    s[free] *= (range1[free] / s[free]).max() / range1.max()  # so that the tensor's range stays
    s[free] = np.maximum(np.clip(s[free], 1 / WIDEST, WIDEST), range1[free] * MARGIN / pair.bound)
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
    """Attempts from an equalised model and for how many pairs, where that lowers the noise; else as they are."""
    model = attempts.prepared.model.clone()
    found: dict[str, np.ndarray] = {}
    for pair in list(pairs(model.graph)):
        name = str(pair.between.name)
        if name not in attempts.calibration.channels or {pair.first.name, pair.second.name} & {*exclude}:
            continue
        current = replace(pair, first=_again(pair.first), second=_again(pair.second))
        s = factors(current, *attempts.calibration.channels[name])
        if s is not None:
            apply(model.graph, current, s)
            found[name] = s
    if not found:
        return attempts, 0
    prepared = Prepared(model, attempts.prepared.sha256)
    changed = _calibrated(attempts.calibration, found)
    trial = replace(
        attempts,
        prepared=prepared,
        original=attempts.prepared,
        calibration=changed,
        ranges={**attempts.ranges, **{name: changed.ranges[name] for name in found}},
    )
    noises = [_noise(one, exclude) for one in (attempts, trial)]
    return (trial, len(found)) if noises[1] <= GAIN * noises[0] else (attempts, 0)


def _again(layer: Layer) -> Layer:
    """The layer with the weights that it has by now."""
    found = read_layer(layer.node)
    assert isinstance(found, Layer)
    return found


def _noise(attempts: Attempts, exclude: Collection[str]) -> float:
    return max(d.noise / d.signal if d.signal else 0.0 for d in attempts.roughly(exclude, {}))


def _calibrated(before: Calibration, found: Mapping[str, np.ndarray]) -> Calibration:
    """The calibration of the equalised model: of the tensors between, whose factors are given, all is divided."""
    means, channels = dict(before.means), dict(before.channels)
    extremes = dict(before.extremes)
    for name, s in found.items():
        lows, highs = channels[name] = channels[name][0] / s, channels[name][1] / s
        extremes[name] = min(float(lows.min()), 0.0), max(float(highs.max()), 0.0)
        if name in means:
            means[name] = ChannelMean(means[name].total / s, means[name].count)
    ranges = before.ranges | {name: extremes[name] for name in found}
    return replace(before, ranges=ranges, extremes=extremes, means=means, channels=channels)
