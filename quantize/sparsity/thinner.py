"""Makes models with fewer weights from one look at the float model: which of them go may differ each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import onnx_ir as ir

from edgeort.progress import Progress
from edgeort.quantize import thinning
from edgeort.quantize.layers import Layer, read_layer
from edgeort.quantize.preparing import Prepared, serialize
from edgeort.quantize.pruning.channels import Tracker
from edgeort.quantize.pruning.fitting import Pair, can_fit, fit
from edgeort.quantize.pruning.judging import Judge
from edgeort.quantize.sparsity.allocating import PROBE, balanced
from edgeort.quantize.sparsity.layers import Known
from edgeort.quantize.sparsity.patterns import Pattern, keep
from edgeort.quantize.store import Store

PROBE_SAMPLES = 16

Shares = Mapping[str, float]  # of each layer's weights that go, by its name


@dataclass(frozen=True)
class Thinner:
    """What all those models share: the float model, what its layers read, and samples to fit on."""

    prepared: Prepared
    known: Sequence[Known]
    store: Store
    progress: Progress | None = None
    noises: np.ndarray | None = None  # of each layer alone without PROBE of its weights; None: they were not measured

    def measured(self, judge: Judge) -> Thinner:
        """The same, with the noise that each layer's zeros make in the outputs."""
        noises = []
        for number, one in enumerate(self.known, 1):
            if self.progress:
                self.progress(f"measuring: layer {number} of {len(self.known)}")
            model = self.thin(Pattern(PROBE), {one.layer.name: PROBE}, refit=False)
            noises.append(judge.score(model, PROBE_SAMPLES).noise)
        return replace(self, noises=np.array(noises))

    def shares(self, pattern: Pattern) -> Shares:
        """Each layer's share: the same for all where they were not measured, and of N:M."""
        names, sizes = [one.layer.name for one in self.known], np.array([one.rows.size for one in self.known])
        if pattern.of or self.noises is None:
            return dict.fromkeys(names, pattern.share)
        return dict(zip(names, balanced(sizes, self.noises, pattern.share).tolist(), strict=True))

    def thin(self, pattern: Pattern, shares: Shares, *, refit: bool) -> bytes:
        """The model without those weights of the layers that `shares` names.

        With `refit` each layer is fitted to the samples as it loses them. Without, those that stay make up for the
        others on what the float model's layer reads.
        """
        model = self.prepared.model.clone()
        tracker, nodes = Tracker(model.graph), {str(node.name): node for node in model.graph}
        late = {}
        for one in self.known:
            if (share := shares.get(one.layer.name)) is None:
                continue
            if refit and can_fit(one.layer, self.store.samples):
                late[one.layer.name] = partial(_lose, pattern, share)
                continue
            rows = _lose(pattern, share, one.layer, one.rows, one.covariance)
            pair = _pair(tracker, nodes[one.layer.name], one.layer)
            pair.set_weight(rows[np.newaxis])
            if one.layer.takes_bias:
                pair.set_bias(pair.real_bias + (one.rows - rows) @ one.mean)
        if refit:
            self._fit(model, tracker, late)
        return serialize(model)

    def _fit(self, model: ir.Model, tracker: Tracker, late: Mapping[str, partial[np.ndarray]]) -> None:
        self.store.drop_all_but(value.name for value in self.prepared.inputs)
        reference = self.prepared.model.clone().graph
        layers = {str(node.name): read_layer(node) for node in reference}
        pairs = {
            name: _pair(tracker, node, whole)
            for node in model.graph
            if isinstance(whole := layers[name := str(node.name)], Layer)
        }
        fit(model, reference, pairs, self.store, self.progress, late)


def _pair(tracker: Tracker, node: ir.Node, whole: Layer) -> Pair:
    return Pair(tracker, node, whole, np.ones(whole.channels, bool))


def _lose(pattern: Pattern, share: float, layer: Layer, rows: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    stays = keep(thinning.saliency(rows, covariance), layer, pattern, share)
    return thinning.without(rows, covariance, stays)
