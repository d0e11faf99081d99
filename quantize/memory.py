"""What refinement found in one attempt, for others in which layers stand on the same ground.

Refinement goes through a graph in its order, so what it does to a layer depends on what stands before that layer and on
what its means are measured behind. `marks` say of every node what was chosen there: up to the first one that differs,
two attempts are the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from edgeort.quantize.blocks import Grid
from edgeort.quantize.forms import Form
from edgeort.quantize.parameters import Quantity
from edgeort.quantize.qdq import Quantized, QuantizedLayer

Mark = tuple[object, ...]


def marks(
    graph: ir.Graph, forms: Mapping[str, Form], found: Mapping[str, Quantity], exclude: Collection[str]
) -> list[Mark]:
    """Of the float graph's inputs, then of each node."""
    chosen: list[Mark] = [tuple(_key(found.get(str(value.name))) for value in graph.inputs)]
    for node in graph:
        made = (_key(found.get(str(value.name))) for value in node.outputs)
        chosen.append((node.name, forms.get(str(node.name)), str(node.name) in exclude, *made))
    return chosen


def _key(quantity: Quantity | None) -> tuple[bytes, int] | None:
    return None if quantity is None else (np.asarray(quantity.scale).tobytes(), quantity.zero)


@dataclass(frozen=True)
class _Layer:
    """As it is after refinement."""

    kind: Mark
    arrays: list[np.ndarray]
    grid: Grid | None


@dataclass
class Memory:
    """The layers of the last attempt that was refined, and of the first one, which had no promotions."""

    _marks: list[Mark] = field(default_factory=list)
    _layers: dict[str, _Layer] = field(default_factory=dict)
    _first: dict[str, _Layer] = field(default_factory=dict)

    def remember(self, marked: list[Mark], quantized: Quantized) -> None:
        """Forgets what was before, but for the first."""
        self._marks = marked
        self._layers = {
            layer.layer.name: _Layer(_kind(layer), [_array(value) for value in layer.initializers], layer.grid)
            for layer in quantized.layers
        }
        self._first = self._first or self._layers

    def restore(self, quantized: Quantized) -> None:
        """Gives layers the numbers that they had in the same form, in the last attempt or else in the first."""
        for layer in quantized.layers:
            for layers in (self._layers, self._first):
                known = layers.get(layer.layer.name)
                if known is not None and known.kind == _kind(layer):
                    layer.restore(known.arrays, known.grid)
                    break

    def restore_unchanged(
        self, marked: list[Mark], quantized: Quantized, points: Mapping[str, tuple[str, int]], graph: ir.Graph
    ) -> set[str]:
        """The same for layers with nothing new before them or their `points`; returns their names."""
        same = next((i for i, (a, b) in enumerate(zip(self._marks, marked, strict=False)) if a != b), len(self._marks))
        known = {str(value.name) for node in list(graph)[: max(same - 1, 0)] for value in node.outputs}
        chosen = [
            layer
            for layer in quantized.layers
            if {str(layer.layer.result.name), *points.get(layer.layer.name, ())[:1]} <= known
        ]
        self.restore(Quantized(chosen, {}))
        return {layer.layer.name for layer in chosen}


def _kind(layer: QuantizedLayer) -> Mark:
    return layer.form, _key(layer.quantity), layer.weight_scales.tobytes(), layer.bias is None


def _array(value: ir.Value) -> np.ndarray:
    assert value.const_value is not None
    return value.const_value.numpy()
