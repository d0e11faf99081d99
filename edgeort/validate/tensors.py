"""Where the error enters: the noise of every quantised tensor of a QDQ model, against the float model's tensor.

Both run in ONNX Runtime with those tensors as outputs. A quantised tensor is what DequantizeLinear makes of
QuantizeLinear's result; the float model's tensor has the name that QuantizeLinear reads, or, in models of `edgeort
quantize`, the one that DequantizeLinear's output starts with. `drop_db` is the SQNR that is lost on the way from the
quantised tensors that it is computed from.

Where channels were evened out (quantize/evening.py, quantize/equalisation.py), the QDQ model's tensor is the float
model's times a factor for each channel, which the layers behind it take back: that is no error. Such a tensor is known
by its name, or by those layers, which are nearer to the float model's than it is, and compared behind the factors of
the least squares. One whose factors these cannot tell, a matrix, is left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx_ir as ir

from edgeort import model as models
from edgeort.errors import ModelError
from edgeort.passes.edit import integer
from edgeort.progress import Progress
from edgeort.quantize.calibration import with_outputs
from edgeort.quantize.parallel import ordered_map
from edgeort.quantize.preparing import prepare, serialize
from edgeort.quantize.qdq import DEQUANTIZED, EVENED
from edgeort.quantize.samples import Samples
from edgeort.validate.artefacts import InOnnxRuntime
from edgeort.validate.metrics.sqnr import Energies

MARKED = 3  # the largest drops
STEPS = 10  # of progress
TAKEN_BACK_DB = 10.0  # by which factors, and what is behind them, are nearer at least: noise alone does not go away
_CHANNELS = 1  # the axis, as convolutions have it
_MATRIX = 2  # its rank
_EVENED = re.compile(rf"({EVENED}(_\d+)?)+$")  # names are made unique by a number


@dataclass(frozen=True)
class TensorNoise:
    """A quantised tensor; `made_by` is operator and node. `drop_db` is None where nothing noisy is before it.

    `is_evened` says that its channels have factors, and that the figures are those behind them.
    """

    tensor: str
    made_by: str
    sqnr_db: float
    drop_db: float | None
    is_marked: bool = False
    is_evened: bool = False


@dataclass(frozen=True)
class _Pair:
    """A tensor's names in both models, the names, in the QDQ model, of the quantised tensors it is made from, and the
    axis of its channels."""

    float_name: str
    name: str
    made_by: str
    before: frozenset[str]
    is_evened: bool = False
    axis: int = _CHANNELS


@dataclass
class _Compared:
    """A tensor's energies as they are, and of each channel sum q^2 and sum r q, of which factors are found.

    Both have no entries where there are no factors: an axis that changes from sample to sample has no channels, and in
    a matrix a channel's factor would take up its noise.
    """

    axis: int
    plain: Energies = field(default_factory=Energies)
    squares: np.ndarray | None = None
    products: np.ndarray | None = None

    def add(self, reference: np.ndarray, found: np.ndarray) -> None:
        self.plain.add(reference, found)
        if reference.ndim <= max(self.axis, -self.axis - 1, _MATRIX):
            self.squares = self.products = np.zeros(0)
            return
        r, q = (
            np.moveaxis(x.astype(np.float64), self.axis, 0).reshape(x.shape[self.axis], -1) for x in (reference, found)
        )
        squares, products = (q * q).sum(1), (r * q).sum(1)
        if self.squares is None or self.products is None:
            self.squares, self.products = squares, products
        elif self.squares.shape == squares.shape:
            self.squares, self.products = self.squares + squares, self.products + products
        else:
            self.squares = self.products = np.zeros(0)

    @property
    def has_factors(self) -> bool:
        """Whether they can be told from noise."""
        return self.squares is not None and self.squares.size > 0

    @property
    def behind_factors_db(self) -> float:
        """The SQNR of `a q` with the best a > 0 of each channel: noise is sum r^2 - (sum r q)^2 / sum q^2."""
        if self.squares is None or self.products is None or not self.has_factors:
            return -math.inf
        squares, products = self.squares, np.maximum(self.products, 0.0)
        explained = np.divide(products**2, squares, out=np.zeros_like(squares), where=squares > 0)
        noise = max(self.plain.signal - float(explained.sum()), 0.0)
        return Energies(self.plain.signal, noise).db if math.isfinite(noise) else -math.inf


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
    compared = {pair.name: _Compared(pair.axis) for pair in pairs}
    answers = ordered_map(lambda sample: [one.answer(sample) for one in both], samples)
    step = max((samples.count or 0) // STEPS, 1)
    for done, (want, found) in enumerate(answers, 1):
        for pair in pairs:
            compared[pair.name].add(want[pair.float_name], found[pair.name])
        if progress and (done % step == 0 or done == samples.count):
            progress(f"comparing tensors: {done} of {samples.count or '?'} samples")
    pairs = [pair for pair in pairs if not pair.is_evened or compared[pair.name].has_factors]  # else nothing is known
    compared = {pair.name: compared[pair.name] for pair in pairs}
    evened = {pair.name for pair in pairs if pair.is_evened or _is_taken_back(pair, pairs, compared)}
    levels = {name: one.behind_factors_db if name in evened else one.plain.db for name, one in compared.items()}
    return _marked([_noise(pair, levels, pair.name in evened) for pair in pairs])


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
        plain = own if own in names else _EVENED.sub("", own)
        float_name = plain if plain in names and own != name else read
        if float_name in names:
            producer = source.producer()
            made_by = "input" if producer is None else f"{producer.op_type} {producer.name}"
            axis = (
                _CHANNELS if producer is None or producer.op_type != "Concat" else integer(producer, "axis", _CHANNELS)
            )
            yield _Pair(float_name, name, made_by, frozenset(_before(source)), plain not in (own, read), axis)
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


def _is_taken_back(pair: _Pair, pairs: Sequence[_Pair], compared: Mapping[str, _Compared]) -> bool:
    """Whether the channels have factors that what is computed from them is without."""
    enough = compared[pair.name].plain.db + TAKEN_BACK_DB
    behind = [compared[other.name].plain.db for other in pairs if pair.name in other.before]
    return max(behind, default=-math.inf) > enough and compared[pair.name].behind_factors_db > enough


def _noise(pair: _Pair, levels: Mapping[str, float], is_evened: bool) -> TensorNoise:
    own = levels[pair.name]
    before = [levels[name] for name in pair.before if name in levels]
    worst = min(before, default=math.inf)
    drop = worst - own if math.isfinite(own) and math.isfinite(worst) else None
    return TensorNoise(pair.float_name, pair.made_by, own, drop, is_evened=is_evened)


def _marked(found: Sequence[TensorNoise]) -> list[TensorNoise]:
    drops = sorted((noise.drop_db for noise in found if noise.drop_db is not None and noise.drop_db > 0), reverse=True)
    least = drops[:MARKED][-1] if drops else math.inf
    return [replace(n, is_marked=n.drop_db is not None and n.drop_db >= least) for n in found]
