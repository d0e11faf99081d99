"""Do the samples look like what the model was made for? Warnings, never errors: only the user knows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from edgeort.passes.edit import dims, is_op
from edgeort.quantize.samples import Sample

PIXELS_ABOVE = 32.0  # numbers from 0 to more than this, all whole, are pixels
ENOUGH = 16  # samples, to judge by their means
BLUE_OVER_RED = 0.15  # of the deviation; photographs have more red than blue


@dataclass
class _Seen:
    low: float = np.inf
    high: float = -np.inf
    constant: int = 0
    whole: bool = True
    digests: set[bytes] = field(default_factory=set)
    count: int = 0
    channel_sums: np.ndarray = field(default_factory=lambda: np.zeros(3))
    square_sum: float = 0.0


class InputChecks:
    """Looks at one sample after the other; `warnings` says what is odd."""

    def __init__(self, graph: ir.Graph) -> None:
        self._seen = {str(value.name): _Seen() for value in graph.inputs if value.dtype == ir.DataType.FLOAT}
        self._axes = {str(value.name): _channel_axis(value) for value in graph.inputs}
        self._to_layer = {str(v.name) for v in graph.inputs if any(is_op(use.node, "Conv") for use in v.uses())}

    def look(self, sample: Sample) -> None:
        """Takes note of a sample."""
        for name, seen in self._seen.items():
            array = sample[name]
            if not array.size:
                continue
            low, high = float(array.min()), float(array.max())
            seen.low, seen.high, seen.count = min(seen.low, low), max(seen.high, high), seen.count + 1
            seen.constant += low == high and array.size > 1
            seen.whole = seen.whole and bool((array == np.rint(array)).all())
            seen.digests.add(hashlib.sha256(array.tobytes()).digest()[:8])
            axis = self._axes[name]
            if axis is not None:
                means = array.mean(axis=tuple(i for i in range(array.ndim) if i != axis), dtype=np.float64)
                seen.channel_sums = seen.channel_sums + means
                seen.square_sum += float(np.square(array, dtype=np.float64).mean() - array.mean(dtype=np.float64) ** 2)

    def warnings(self) -> list[str]:
        """A sentence for each oddity."""
        return [sentence for name, seen in self._seen.items() for sentence in self._odd(name, seen)]

    def _odd(self, name: str, seen: _Seen) -> list[str]:
        found = []
        if seen.constant:
            found.append(f"input {name!r}: {seen.constant} of {seen.count} samples hold one number only")
        elif seen.count > len(seen.digests):
            found.append(f"input {name!r}: only {len(seen.digests)} of {seen.count} samples differ from one another")
        if name in self._to_layer and seen.whole and seen.low >= 0 and seen.high > PIXELS_ABOVE:
            found.append(
                f"input {name!r} holds pixels {seen.low:g}..{seen.high:g} and goes straight into a convolution: most "
                "models want them normalised; is yours one?"
            )
        if self._axes[name] is not None and seen.count >= ENOUGH and not seen.constant:
            first, _, last = seen.channel_sums / seen.count
            if last - first > BLUE_OVER_RED * np.sqrt(seen.square_sum / seen.count):
                found.append(
                    f"input {name!r}: the last channel is brighter than the first; is it BGR, and the model RGB?"
                )
        return found


def _channel_axis(value: ir.Value) -> int | None:
    """The axis of the three colours of a picture."""
    if value.shape is None or len(value.shape) != 4:
        return None
    found = [axis for axis in (1, 3) if dims(value)[axis] == 3]
    return found[0] if found else None
