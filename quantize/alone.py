"""The noise of a layer alone in int8, on few samples: only what stands behind the layer runs again.

The float model is cut at the layer's input, whose tensors are kept (segments.py). The layer by itself, quantised as in
the whole model, makes its result; from there on the rest runs in float, in one session for all forms of the layer.
Weights are rounded, not refined.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice

import numpy as np
import onnx
import onnx_ir as ir

from edgeort.ort import open_session
from edgeort.passes.edit import opset
from edgeort.quantize import measuring, qdq
from edgeort.quantize.attempts import ROUGH_SAMPLES, Attempts, finish
from edgeort.quantize.forms import NEWER, Form
from edgeort.quantize.layers import Layer
from edgeort.quantize.measuring import Difference, Outputs
from edgeort.quantize.preparing import WIDE_OPSET, serialize
from edgeort.quantize.segments import Prefix, between, model_of, reads
from edgeort.quantize.selection import select
from edgeort.quantize.store import Store

Arrays = Mapping[str, np.ndarray]
Run = Callable[[Arrays], Outputs]


class Alone:
    """Layers of the float model, one after the other in the graph's order. `store` receives tensors of few samples."""

    def __init__(self, attempts: Attempts, exclude: Collection[str], store: Store) -> None:
        model = attempts.prepared.model.clone()
        self._attempts, self._graph, self._opset = attempts, model.graph, opset(model)
        self._domains = {domain: version for domain, version in model.graph.opset_imports.items() if domain}
        selection = select(model.graph, exclude, attempts.wanted)
        self.layers = {layer.name: layer for layer in selection.layers}
        self._found = attempts.quantities(selection)
        for place, sample in enumerate(islice(attempts.choosing(), ROUGH_SAMPLES)):
            store.samples = place + 1
            for name, array in sample.items():
                store.put(name, place, array)
        self._reference = [outputs for outputs, _ in attempts.beside(lambda _: {}, ROUGH_SAMPLES)]
        self._prefix = Prefix(model.graph, self._opset, store)

    def differences(self, name: str, forms: Sequence[Form]) -> list[list[Difference]]:
        """To the float model's outputs with the layer in each of the forms, all others in float."""
        layer = self.layers[name]
        self._prefix.advance(layer.input)
        rest, read = self._behind(layer)
        found = []
        for form in forms:
            made = self._prefix.over_samples(read, _one_after_the_other(self._by_itself(layer, form), rest))
            pairs = ((reference, {**reference, **own}) for reference, own in zip(self._reference, made, strict=True))
            found.append(measuring.differences(pairs, self._attempts.joined))
        return found

    def _behind(self, layer: Layer) -> tuple[Run, list[ir.Value]]:
        """What makes outputs of the tensors at the cut, the layer's result among them; and those that are read there.

        The outputs are those that the layer may change.
        """
        known, floats = self._prefix.boundary, [v for v in self._graph.outputs if v.dtype == ir.DataType.FLOAT]
        nodes = {node for value in floats for node in between([*known, layer.result], value)}
        order = [node for node in self._graph if node in nodes]
        made = {value for node in order for value in node.outputs}
        outputs = [value for value in floats if value in made]
        read = {value for node in order for value in reads(node)}
        inputs = [value for value in (*known, layer.result) if value in read]
        direct = [str(value.name) for value in floats if value in (layer.result, layer.input)]
        rest = (
            _runner(model_of(order, inputs, outputs, self._opset, self._domains), inputs, outputs) if outputs else None
        )

        def run(tensors: Arrays) -> Outputs:
            return (rest(tensors) if rest else {}) | {name: tensors[name] for name in direct}

        return run, [value for value in known if value in read or value is layer.input]

    def _by_itself(self, layer: Layer, form: Form) -> Run:
        """What makes the layer's result of its input as in the whole model, and the input as others read it."""
        nodes, version = between([layer.input], layer.result), WIDE_OPSET if form in NEWER else self._opset
        made = model_of(nodes, [layer.input], [layer.result], max(version, self._opset), self._domains)
        model = ir.from_proto(onnx.load_model_from_string(made))
        graph, source = model.graph, model.graph.inputs[0]
        source.shape, graph.outputs[0].shape = layer.input.shape, layer.result.shape
        selection, attempts = select(graph, (), {layer.name: form}), self._attempts
        found = {
            name: found if name not in self._found or form is Form.WIDE else self._found[name]
            for name, found in attempts.quantities(selection).items()
        }
        quantized = qdq.insert(graph, selection, found, with_bias=False, block=attempts.block)
        finish(model, quantized, selection, rows_in_blocks=attempts.rows_in_blocks)
        results = [layer.result]
        if str(source.name) in quantized.tensors:
            graph.outputs.append(quantized.tensors[str(source.name)].after)
            results.append(layer.input)
        return _runner(serialize(model), [layer.input], results, fuse_qdq=not attempts.own_runtime)


def _runner(model: bytes, inputs: Sequence[ir.Value], outputs: Sequence[ir.Value], *, fuse_qdq: bool = True) -> Run:
    """A function from tensors to the model's outputs, which get the names of `outputs`, on one thread."""
    session = open_session(model, threads=1, fuse_qdq=fuse_qdq)
    read, made = [str(value.name) for value in inputs], [str(value.name) for value in outputs]

    def run(tensors: Arrays) -> Outputs:
        return dict(zip(made, session.run(None, {name: tensors[name] for name in read}), strict=True))

    return run


def _one_after_the_other(first: Run, second: Run) -> Run:
    """The second reads what the first one makes beside what both were given."""
    return lambda tensors: second({**tensors, **first(tensors)})
