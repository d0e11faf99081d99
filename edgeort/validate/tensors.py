"""Where the error enters: the noise of every quantised tensor of a QDQ model, against the float model's tensor.

Both run in ONNX Runtime with those tensors as outputs. A quantised tensor is what DequantizeLinear makes of
QuantizeLinear's result; the float model's tensor has the name that QuantizeLinear reads, or, in models of `edgeort
quantize`, the one that DequantizeLinear's output starts with. `drop_db` is the SQNR that is lost on the way from the
quantised tensors that it is computed from.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from edgeort import model as models
from edgeort.errors import ModelError
from edgeort.progress import Progress
from edgeort.quantize.calibration import with_outputs
from edgeort.quantize.parallel import ordered_map
from edgeort.quantize.preparing import prepare, serialize
from edgeort.quantize.qdq import DEQUANTIZED
from edgeort.quantize.samples import Samples
from edgeort.validate.artefacts import InOnnxRuntime
from edgeort.validate.metrics.sqnr import Energies

MARKED = 3  # the largest drops


@dataclass(frozen=True)
class TensorNoise:
    """A quantised tensor; `made_by` is operator and node. `drop_db` is None where nothing noisy is before it."""

    tensor: str
    made_by: str
    sqnr_db: float
    drop_db: float | None
    is_marked: bool = False


@dataclass(frozen=True)
class _Pair:
    """A tensor's names in both models, and the names, in the QDQ model, of the quantised tensors it is made from."""

    float_name: str
    name: str
    made_by: str
    before: frozenset[str]


def tensor_noise(
    float_model: Path, quantised: Path, samples: Samples, progress: Progress | None = None
) -> list[TensorNoise]:
    """The noise of quantised tensors and of outputs, in the graph's order. ModelError when the models share none."""
    graph = models.load(quantised)
    reference, pairs = _reference(float_model, quantised, graph)
    both = [
        InOnnxRuntime(with_outputs(proto, sorted(names)))
        for proto, names in (
            (serialize(reference), {pair.float_name for pair in pairs}),
            (serialize(graph), {pair.name for pair in pairs}),
        )
    ]
    energies = {pair.name: Energies() for pair in pairs}
    answers = ordered_map(lambda sample: [one.answer(sample) for one in both], samples)
    for done, (want, found) in enumerate(answers, 1):
        for pair in pairs:
            energies[pair.name].add(want[pair.float_name], found[pair.name])
        if progress:
            progress(f"comparing tensors: {done} of {samples.count or '?'} samples")
    return _marked([_noise(pair, energies) for pair in pairs])


def _reference(path: Path, quantised: Path, graph: ir.Model) -> tuple[ir.Model, list[_Pair]]:
    """The float model as it is or as the quantiser prepares it: the one that shares more tensors with the QDQ model."""
    found = []
    for model in (models.load(path), prepare(path).model):
        names = {str(value.name) for value in _values(model.graph) if value.dtype == ir.DataType.FLOAT}
        found.append((model, list(_pairs(graph.graph, names))))
    model, pairs = max(found, key=lambda one: len(one[1]))
    if all(pair.made_by == "output" for pair in pairs):
        raise ModelError(
            f"{quantised}: it has no quantised tensor that {path} has too",
            hint=f"edgeort quantize {path} -o int8.onnx --data DIR",
        )
    return model, pairs


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    for node in graph:
        yield from node.outputs


def _pairs(graph: ir.Graph, names: Collection[str]) -> Iterator[_Pair]:
    """The QDQ model's quantised tensors, and its outputs, that the float model has too."""
    for node in graph:
        source = _quantised(node)
        if source is None:
            continue
        name, read = str(node.outputs[0].name), str(source.name)
        own = name.removesuffix(DEQUANTIZED)
        float_name = own if own in names and own != name else read
        if float_name in names:
            producer = source.producer()
            made_by = "input" if producer is None else f"{producer.op_type} {producer.name}"
            yield _Pair(float_name, name, made_by, frozenset(_before(source)))
    for value in graph.outputs:
        if value.name in names and value.dtype == ir.DataType.FLOAT:
            yield _Pair(str(value.name), str(value.name), "output", frozenset(_before(value)))


def _quantised(node: ir.Node | None) -> ir.Value | None:
    """What QuantizeLinear reads, for a DequantizeLinear behind one."""
    if node is None or node.op_type != "DequantizeLinear" or node.inputs[0] is None:
        return None
    quantize = node.inputs[0].producer()
    return quantize.inputs[0] if quantize is not None and quantize.op_type == "QuantizeLinear" else None


def _before(value: ir.Value) -> Iterator[str]:
    """The nearest quantised tensors that `value` is computed from."""
    pending, seen = [value], {value}
    while pending:
        node = pending.pop().producer()
        if node is None:
            continue
        for read in node.inputs:
            if read is None or read in seen:
                continue
            seen.add(read)
            if _quantised(read.producer()) is not None:
                yield str(read.name)
            else:
                pending.append(read)


def _noise(pair: _Pair, energies: Mapping[str, Energies]) -> TensorNoise:
    own = energies[pair.name].db
    before = [energies[name].db for name in pair.before if name in energies]
    worst = min(before, default=math.inf)
    drop = worst - own if math.isfinite(own) and math.isfinite(worst) else None
    return TensorNoise(pair.float_name, pair.made_by, own, drop)


def _marked(found: Sequence[TensorNoise]) -> list[TensorNoise]:
    drops = sorted((noise.drop_db for noise in found if noise.drop_db is not None and noise.drop_db > 0), reverse=True)
    least = drops[:MARKED][-1] if drops else math.inf
    return [
        TensorNoise(n.tensor, n.made_by, n.sqnr_db, n.drop_db, n.drop_db is not None and n.drop_db >= least)
        for n in found
    ]
