"""The layers whose weights may go, and what they read in the float model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeort.ort import open_session
from edgeort.quantize import gptq
from edgeort.quantize.calibration import with_outputs
from edgeort.quantize.compensation import MAX_UNKNOWNS
from edgeort.quantize.covariance import Moments, Patches
from edgeort.quantize.layers import TIED, Layer, read_layer
from edgeort.quantize.parallel import ordered_map
from edgeort.quantize.preparing import Prepared
from edgeort.quantize.store import Store

LEAST_WEIGHTS = 1024  # of a layer: with fewer there is little to save, and much to lose


@dataclass(frozen=True)
class Known:
    """A layer's weights [outputs, d], float64, and what is known of the d numbers that they multiply.

    `covariance` is [d, d], or its diagonal.
    """

    layer: Layer
    covariance: np.ndarray
    mean: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """The weights."""
        return np.asarray(gptq.as_rows(self.layer, self.layer.weight)[0], np.float64)


def choose(graph: ir.Graph, include: Collection[str], exclude: Collection[str]) -> tuple[list[Layer], dict[str, str]]:
    """The layers that lose weights, and why others do not. `include` may name small, first and last ones."""
    behind_one, before_one = _reached(graph, _producers), _reached(reversed(graph), _readers)
    chosen, left = [], {}
    for node in graph:
        layer = read_layer(node)
        if not isinstance(layer, Layer):
            continue
        reason = _grouped(layer) or (TIED if layer.is_tied else None)
        reason = reason or ("it was excluded" if layer.name in exclude else None)
        if reason is None and layer.name not in include:
            reason = _small(layer) or (None if node in behind_one else "no layer is in front of it")
            reason = reason or (None if node in before_one else "no layer is behind it")
        if reason is None:
            chosen.append(layer)
        else:
            left[layer.name] = reason
    return chosen, left


def _grouped(layer: Layer) -> str | None:
    if layer.node.op_type == "ConvTranspose":
        return "it is a transposed convolution"
    return "its channels are in groups" if layer.groups > 1 else None


def _small(layer: Layer) -> str | None:
    return f"it has {layer.weight.size} weights" if layer.weight.size < LEAST_WEIGHTS else None


def _reached(nodes: Iterable[ir.Node], near: Callable[[ir.Node], Iterable[ir.Node | None]]) -> set[ir.Node]:
    """The nodes that `near` leads from to a layer, itself left out; `nodes` come after those."""
    found: set[ir.Node] = set()
    layers: set[ir.Node] = set()
    for node in nodes:
        if any(other in found or other in layers for other in near(node)):
            found.add(node)
        if isinstance(read_layer(node), Layer):
            layers.add(node)
    return found


def _producers(node: ir.Node) -> list[ir.Node | None]:
    return [value.producer() for value in node.inputs if value is not None]


def _readers(node: ir.Node) -> list[ir.Node | None]:
    return [use.node for value in node.outputs for use in value.uses()]


def gather(prepared: Prepared, layers: Sequence[Layer], store: Store) -> list[Known]:
    """What the layers read, over the samples of the store; without samples, as if all numbers were alike."""
    if not store.samples:
        return [_blind(layer) for layer in layers]
    inputs = {value.name for value in prepared.inputs}
    names = sorted({str(layer.input.name) for layer in layers} - inputs)
    session = open_session(with_outputs(prepared.serialized, names), threads=1) if names else None
    patches = [Patches(layer, store.samples) for layer in layers]

    def run(sample: int) -> list[Moments]:
        feeds = {str(name): store.get(str(name), sample) for name in inputs}
        made = dict(zip(names, session.run(names, feeds), strict=True)) if session else {}
        return [_moments(cuts, {**feeds, **made}) for cuts in patches]

    totals = [Moments() for _ in layers]
    for found in ordered_map(run, range(store.samples)):
        for total, moments in zip(totals, found, strict=True):
            total.add(moments)
    return [_known(layer, total) for layer, total in zip(layers, totals, strict=True)]


def _moments(patches: Patches, tensors: Mapping[str, np.ndarray]) -> Moments:
    rows = patches.cut(tensors[str(patches.layer.input.name)], 0.0)
    if patches.size <= MAX_UNKNOWNS:
        return Moments.of(rows, rows)
    first = rows.sum(axis=1, dtype=np.float64)
    return Moments(rows.shape[1], first, first, np.square(rows).sum(axis=1))


def _known(layer: Layer, moments: Moments) -> Known:
    mean = np.asarray(moments.first)[0] / max(moments.count, 1)
    if np.asarray(moments.second).ndim == 3:
        return Known(layer, moments.covariance(layer.takes_bias)[0], mean)
    return Known(layer, moments.products()[0] - (mean**2 if layer.takes_bias else 0.0), mean)


def _blind(layer: Layer) -> Known:
    size = Patches(layer, 1).size
    return Known(layer, np.ones(size), np.zeros(size))
