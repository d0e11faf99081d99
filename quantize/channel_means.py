"""The means of a quantised layer's channels, again and again with another bias.

    f(layer(x) + bias) = f(made + change)      made: with the first bias; f: clipping, or functions behind the layer

So the layer runs over all samples once, and one session does for all biases. What it made is kept, up to `HELD`; of
further samples it is made again: results are large where a number takes few multiplications.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from edgeort.quantize.calibration import ChannelMean, channel_sums
from edgeort.quantize.parallel import ordered_map
from edgeort.quantize.qdq import QuantizedLayer
from edgeort.quantize.ranges import UNBOUNDED, Range
from edgeort.quantize.segments import Prefix, between

HELD = 64 * 2**20  # bytes of results
_AT_ONCE = 65536  # numbers, which stay in a core's cache


class ChannelMeans:
    """What `bias_correction.correct` measures by: the means of `value`, clipped to `bounds`, over the samples.

    `value` is the layer's result or depends on that alone. Axis `axis` of both has the channels. `prefix` was advanced
    to what the layer reads.
    """

    def __init__(self, prefix: Prefix, layer: QuantizedLayer, value: ir.Value, bounds: Range, axis: int) -> None:
        self._layer, self._bounds, self._axis = layer, bounds, axis
        self._first, self._room, self._held = layer.real_bias, HELD, dict[int, np.ndarray]()
        result = layer.layer.result
        self._samples, self._name = prefix.samples, str(result.name)
        self._run = prefix.single(result)
        self._behind = None if value is result else prefix.runner(between([result], value), [value], [result])

    def __call__(self) -> ChannelMean:
        """With the bias that the layer has now."""
        found, change = ChannelMean(), (self._layer.real_bias - self._first).astype(np.float32)
        for sample, (made, total, count) in enumerate(
            ordered_map(lambda sample: self._sums(sample, change), range(self._samples))
        ):
            if sample not in self._held and made.nbytes <= self._room:
                self._held[sample], self._room = made, self._room - made.nbytes
            found.add(total, count)
        return found

    def _sums(self, sample: int, change: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """What the layer made of a sample; of every channel the sum with the change, and the number of summands."""
        made = self._held[sample] if sample in self._held else self._run(sample)
        array, shift = made, change.reshape(-1, *[1] * (made.ndim - 1 - self._axis % made.ndim))
        if self._behind is not None:
            (array,), shift = self._behind({self._name: made + shift}), np.zeros_like(shift)
        sums = [self._block(array, shift, channels) for channels in _blocks(array.shape, self._axis)]
        return made, np.concatenate([total for total, _ in sums]), sums[0][1]

    def _block(self, array: np.ndarray, shift: np.ndarray, channels: slice) -> tuple[np.ndarray, int]:
        """The same of some channels."""
        block = array[(slice(None),) * (self._axis % array.ndim) + (channels,)] + shift[channels]
        if self._bounds != UNBOUNDED:
            np.clip(block, *self._bounds, out=block)
        return channel_sums(block, self._axis)


def _blocks(shape: tuple[int, ...], axis: int) -> Iterator[slice]:
    """The channels, a few at a time where they lie apart in memory."""
    width = shape[axis]
    step = max(_AT_ONCE * width // max(math.prod(shape), 1), 1) if axis == 1 and len(shape) > 2 else width
    return (slice(start, start + step) for start in range(0, width, max(step, 1)))
