"""Makes pruned models from one look at the float model: which channels go may differ from one to the next."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx_ir.passes.common import RemoveUnusedNodesPass

from edgeort.model import infer_shapes
from edgeort.passes.edit import constant, ints, operand
from edgeort.progress import Progress
from edgeort.quantize.layers import Layer, read_layer
from edgeort.quantize.preparing import Prepared, serialize
from edgeort.quantize.pruning import choosing
from edgeort.quantize.pruning.channels import Tied, Tracker
from edgeort.quantize.pruning.fitting import Pair, can_fit, fit
from edgeort.quantize.pruning.statistics import Read
from edgeort.quantize.pruning.tracing import trace
from edgeort.quantize.store import Store


@dataclass(frozen=True)
class Remover:
    """What all pruned models share: the float model, what its layers read, and samples to fit on."""

    prepared: Prepared
    reads: Mapping[str, Read]
    store: Store
    progress: Progress | None = None

    def remove(self, gone: Collection[int], *, refit: bool) -> bytes:
        """The model without the channels of those roots; with `refit` every layer behind is fitted to the samples.

        Without, the layers that read them make up for them, from the covariances.
        """
        model = self.prepared.model.clone()
        tracker = trace(model.graph)
        alive = tracker.alive(gone)
        kept = {tied.layer.name: (tied.layer.node, alive(tied.makes)) for tied in tracker.layers}
        for tied in tracker.layers:
            keep = None if tied.reads is None or tied.layer.groups > 1 else alive(tied.reads)
            if keep is None or keep.all() or (refit and can_fit(tied.layer, self.store.samples)):
                continue
            make_up(tracker, tied, self.reads[tied.layer.name], keep)
        tracker.remove(gone)
        if refit:
            self.store.drop_all_but(value.name for value in self.prepared.inputs)
            reference = self.prepared.model.clone().graph
            layers = {str(node.name): read_layer(node) for node in reference}
            pairs = {
                name: Pair(tracker, node, whole, mask)
                for name, (node, mask) in kept.items()
                if isinstance(whole := layers[name], Layer)
            }
            fit(model, reference, pairs, self.store, self.progress)
        RemoveUnusedNodesPass()(model)
        made = serialize(infer_shapes(model))
        onnx.checker.check_model(made, full_check=True)
        return made


def make_up(tracker: Tracker, tied: Tied, read: Read, keep: np.ndarray) -> None:
    """Moves the weights of the inputs that stay, and the bias, for those that go; they are not removed yet."""
    layer = tied.layer
    rows = choosing.input_rows(layer, layer.weight)
    moved, fall = choosing.without(rows, read, keep)
    whole = np.zeros_like(rows)
    whole[:, keep] = moved
    whole[rows == 0] = 0
    tracker.set_constant(layer.node, 1, choosing.from_input_rows(layer, whole))
    if layer.takes_bias:
        _raise_bias(tracker, layer, fall)


def _raise_bias(tracker: Tracker, layer: Layer, fall: np.ndarray) -> None:
    each = fall.reshape(layer.channels, -1).sum(axis=1)
    if layer.node.op_type == "ConvTranspose":  # an output is reached by every stride-th tap
        each /= np.prod(ints(layer.node, "strides", [1]))
    bias = (0.0 if layer.bias is None else layer.bias) + each
    node, index = layer.bias_operand
    if len(node.inputs) <= index:
        node.resize_inputs(index + 1)
        tied = next(tied for tied in tracker.layers if tied.layer is layer)
        tracker.cut(node, index, 0, tied.makes)
    old = constant(operand(node, index))
    shape = bias.shape if old is None or old.shape[-1] != len(bias) else old.shape
    tracker.set_constant(node, index, bias.astype(np.float32).reshape(shape))
    node.attributes.pop("beta", None)
