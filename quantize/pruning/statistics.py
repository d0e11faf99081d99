"""What the layers of the float model read: the covariance of its channels, and at how many positions.

Pixels count as rows, and the taps of a convolution as outputs of their own: a matrix of channels by channels is enough
to choose by, and small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgeort.ort import open_session
from edgeort.passes.edit import ints
from edgeort.quantize.calibration import with_outputs
from edgeort.quantize.covariance import Moments
from edgeort.quantize.layers import Layer
from edgeort.quantize.parallel import ordered_map
from edgeort.quantize.preparing import Prepared
from edgeort.quantize.store import Store

POSITIONS = 512  # of a sample at most: more do not change what is chosen


@dataclass
class Read:
    """Moments of the channels that a layer reads on each half of the samples, and on how many samples.

    `positions` its weights are used at in one sample.
    """

    halves: tuple[Moments, Moments] = field(default_factory=lambda: (Moments(), Moments()))
    samples: int = 0
    positions: float = 0.0

    @property
    def moments(self) -> Moments:
        """Over all samples."""
        return self.halves[0].merged(self.halves[1])

    def add(self, moments: Moments, positions: float) -> None:
        """Adds those of a sample."""
        self.halves[self.samples % 2].add(moments)
        self.samples += 1
        self.positions = positions


def gather(prepared: Prepared, layers: Sequence[Layer], store: Store) -> dict[str, Read]:
    """Of every layer, by name, over the samples of the store."""
    inputs = {value.name for value in prepared.inputs}
    names = sorted({str(layer.input.name) for layer in layers} - inputs)
    session = open_session(with_outputs(prepared.serialized, names), threads=1) if names else None

    def run(sample: int) -> list[tuple[Moments, float]]:
        feeds = {str(name): store.get(str(name), sample) for name in inputs}
        made = dict(zip(names, session.run(names, feeds), strict=True)) if session else {}
        return [_moments(layer, {**feeds, **made}) for layer in layers]

    found = {layer.name: Read() for layer in layers}
    for ours in ordered_map(run, range(store.samples)):
        for layer, (moments, positions) in zip(layers, ours, strict=True):
            found[layer.name].add(moments, positions)
    return found


def _moments(layer: Layer, tensors: Mapping[str, np.ndarray]) -> tuple[Moments, float]:
    x = tensors[str(layer.input.name)]
    rows = np.moveaxis(x, 1, -1) if layer.output_axis == 1 else x
    rows = rows.reshape(1, -1, rows.shape[-1])
    strides = ints(layer.node, "strides", ()) if layer.node.op_type == "Conv" else ()
    positions = rows.shape[1] / float(np.prod(strides))
    if rows.shape[1] > POSITIONS:
        rows = rows[:, ((np.arange(POSITIONS) + 0.5) * (rows.shape[1] / POSITIONS)).astype(np.int64)]
    if layer.groups > 1:
        return Moments(), positions
    return Moments.of(rows, rows), positions
