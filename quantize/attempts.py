"""Makes quantised models from one calibration: which nodes stay float may differ from one to the next."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from types import MappingProxyType

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import DeduplicateHashedInitializersPass, RemoveUnusedNodesPass

from edgeort.passes.edit import NAMES
from edgeort.progress import Progress
from edgeort.quantize import dynamic, half_floats, measuring, nbits, qdq
from edgeort.quantize.blocks import BLOCK
from edgeort.quantize.calibration import Calibration
from edgeort.quantize.comparing import Comparison, References, Run
from edgeort.quantize.embeddings import quantize_tables
from edgeort.quantize.forms import NEWER, Form
from edgeort.quantize.measuring import Difference, Outputs
from edgeort.quantize.memory import Memory, marks
from edgeort.quantize.parameters import Quantity
from edgeort.quantize.parts import Part, parts
from edgeort.quantize.preparing import Prepared, newer, serialize
from edgeort.quantize.ranges import Range
from edgeort.quantize.recurrent import quantize_recurrent
from edgeort.quantize.refinement import Reference, Steps, measuring_points, refine
from edgeort.quantize.samples import Sample
from edgeort.quantize.selection import Selection, select
from edgeort.quantize.store import Store
from edgeort.quantize.stored import Stored, stored

NO_STEPS = Steps(gptq=False, bias_correction=False, compensation=False, smoothing=False, equalisation=False)
ROUGH_SAMPLES = 16
JUDGE_AT_LEAST = 32  # samples, apart from all others


@dataclass(frozen=True)
class Attempt:
    """A quantised model, its Gathers of tables, the forms of its recurrent nodes, and how it compares with float."""

    model: bytes
    selection: Selection
    tables: int
    recurrent: Mapping[str, Form]
    comparison: Comparison

    @property
    def differences(self) -> tuple[Difference, ...]:
        """On all samples that attempts are compared on; measured when they are asked for."""
        return self.comparison.differences


@dataclass(frozen=True)
class _Made:
    """A quantised graph before it is finished, and what its tensors became. `points` are those of `Reference`."""

    model: ir.Model
    selection: Selection
    points: dict[str, tuple[str, int]]
    tables: int
    recurrent: dict[str, Form]
    found: dict[str, Quantity]
    quantized: qdq.Quantized


@dataclass(frozen=True)
class Attempts:
    """What all attempts share. `store` has the inputs of the samples to refine on, `judge` others.

    Half of these, where they are many, are kept apart: attempts are compared on all but them, the last one on them.
    """

    prepared: Prepared
    calibration: Calibration
    ranges: Mapping[str, Range]
    store: Store
    judge: Store
    references: References
    steps: Steps
    wanted: Mapping[str, Form]
    block: int = BLOCK
    original: Prepared | None = None  # what to compare with, where `prepared` is not quite the same
    own_runtime: bool = False  # scales for channels, which ONNX Runtime must not fuse
    rows_in_blocks: bool = False  # become bytes where weights in blocks multiply them
    progress: Progress | None = None
    memory: Memory = field(default_factory=Memory)

    def make(self, exclude: Collection[str], forms: Mapping[str, Form] = MappingProxyType({})) -> Attempt:
        """A quantised model in which the nodes of those names stay float, and layers have those forms.

        What stands before the first difference from the last model made is as it was there, the rest is refined.
        """
        self.store.drop_all_but(value.name for value in self.prepared.inputs)
        made = self._inserted(exclude, forms)
        if self.store.samples and replace(self.steps, smoothing=False, equalisation=False) != NO_STEPS:
            floats = self._float_model(forms).graph
            marked = marks(floats, {**self.wanted, **forms, **made.selection.forms}, made.found, exclude)
            done = self.memory.restore_unchanged(marked, made.quantized, made.points, floats)
            reference = Reference(floats, made.points, self.calibration.means)
            refine(
                made.model, made.quantized, reference, self.store, self.steps, self.progress,
                done=done, fuse_qdq=not self.own_runtime,
            )  # fmt: skip
            self.memory.remember(marked, made.quantized)
        return self._finished(made)

    def try_out(self, exclude: Collection[str], forms: Mapping[str, Form] = MappingProxyType({})) -> Attempt:
        """The same without new refinement: layers have the weights and biases of the last model made."""
        made = self._inserted(exclude, forms)
        self.memory.restore(made.quantized)
        return self._finished(made)

    def roughly(
        self, exclude: Collection[str], forms: Mapping[str, Form], samples: int = ROUGH_SAMPLES
    ) -> list[Difference]:
        """The differences on the first samples, few at most, of a model without refinement."""
        made = self._inserted(exclude, forms, with_bias=False)
        finish(made.model, made.quantized, made.selection, rows_in_blocks=self.rows_in_blocks)
        run = measuring.runner(serialize(made.model), fuse_qdq=not self.own_runtime)
        return measuring.differences(self.beside(run, samples), self.joined)

    def noise(self, exclude: Collection[str], samples: int = ROUGH_SAMPLES) -> float:
        """That of the worst output, relative to its signal, as `roughly` finds it."""
        return max((d.noise / d.signal if d.signal else 0.0 for d in self.roughly(exclude, {}, samples)), default=0.0)

    def stored(self, exclude: Collection[str]) -> list[Stored]:
        """What is int8 in attempts beside the layers."""
        return stored(self.prepared.model.graph, exclude)

    def _inserted(self, exclude: Collection[str], forms: Mapping[str, Form], *, with_bias: bool | None = None) -> _Made:
        model = self._float_model(forms)
        selection = select(model.graph, exclude, {**self.wanted, **forms})
        points = measuring_points(selection.layers)
        found = self.quantities(selection)
        with_bias = self.steps.bias_correction if with_bias is None else with_bias
        quantized = qdq.insert(model.graph, selection, found, with_bias=with_bias, block=self.block)
        # last, as layers and tensors are known by the nodes that they are made from
        halves = [one for one in stored(model.graph, exclude) if forms.get(one.name) is Form.HALF]
        others = {*exclude, *(one.name for one in halves)}
        tables = quantize_tables(model.graph, others)
        recurrent = quantize_recurrent(model, others, {**self.wanted, **forms})
        half_floats.store(model.graph, [value for one in halves for value in one.values])
        return _Made(model, selection, points, tables, recurrent, found, quantized)

    def quantities(self, selection: Selection) -> dict[str, Quantity]:
        """Scale and zero point of every selected tensor, by name."""
        reach = self.calibration.reach if self.own_runtime else {}
        return qdq.quantities(selection, self.ranges, reach, self.calibration.extremes)

    def _finished(self, made: _Made) -> Attempt:
        finish(made.model, made.quantized, made.selection, rows_in_blocks=self.rows_in_blocks)
        model = checked(made.model)
        comparison = Comparison(self._compared(model), self.count, self.joined)
        return Attempt(model, made.selection, made.tables, made.recurrent, comparison)

    def _float_model(self, forms: Mapping[str, Form]) -> ir.Model:
        """A copy of the float model, of an opset that has what the forms need."""
        wanted = {*self.wanted.values(), *forms.values()}
        model = (self._newer if wanted & NEWER else self.prepared.model).clone()
        model.graph.meta.pop(NAMES, None)  # clones share the set of names taken, and so would know each other's
        return model

    @cached_property
    def _newer(self) -> ir.Model:
        return newer(self.prepared.model)

    def beside(self, run: Run, samples: int | None = None) -> Iterator[tuple[Outputs, Outputs]]:
        """The float model's outputs and those of `run`, on the first or all samples that attempts are compared on."""
        few = islice(enumerate(self.choosing()), samples)
        return self.references.pairs(lambda: measuring.runner(self._reference), run, few)

    @cached_property
    def joined(self) -> list[Part]:
        return parts((self.original or self.prepared).model.graph)

    @property
    def _reference(self) -> bytes:
        return (self.original or self.prepared).serialized

    @property
    def apart(self) -> int:
        """How many samples have no part in fitting and choosing; 0 where there are too few for that."""
        return self.judge.samples // 2 if self.judge.samples >= 2 * JUDGE_AT_LEAST else 0

    def verdict(self, model: bytes) -> list[Difference]:
        """The differences on the samples that are apart."""
        samples = self._inputs(self.judge, range(1, self.judge.samples, 2))
        return measuring.compare(self._reference, model, samples, joined=self.joined, fuse_qdq=not self.own_runtime)

    def _compared(self, model: bytes) -> Iterator[tuple[Outputs, Outputs]]:
        """Nothing runs before the first pair is asked for."""
        if self.progress:
            self.progress("comparing with the float model")
        yield from self.beside(measuring.runner(model, fuse_qdq=not self.own_runtime))

    @property
    def count(self) -> int:
        """How many samples attempts are compared on."""
        return self.store.samples + self.judge.samples - self.apart

    def choosing(self) -> Iterator[Sample]:
        """The samples that are fitted to and that attempts are compared on."""
        yield from self._inputs(self.store, range(self.store.samples))
        yield from self._inputs(self.judge, range(0, self.judge.samples, 2 if self.apart else 1))

    def _inputs(self, store: Store, indices: Iterable[int]) -> Iterator[Sample]:
        for index in indices:
            yield {value.name: store.get(value.name, index) for value in self.prepared.inputs}


def finish(model: ir.Model, quantized: qdq.Quantized, selection: Selection, *, rows_in_blocks: bool = False) -> None:
    """Puts in what refinement need not know: rows that are quantised as the model runs, and float16 weights.

    `rows_in_blocks`: also those that weights in blocks multiply.
    """
    for layer in quantized.layers:
        if layer.form is Form.DYNAMIC:
            dynamic.call(model, layer)
        elif layer.form is Form.BLOCKS and rows_in_blocks:
            nbits.call(model, layer)
    operands = (layer.node.inputs[1] for layer in selection.halves)
    half_floats.store(model.graph, [value for value in operands if value is not None])


def spread_over(selection: Selection, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """The range of every selected tensor by name, also of those that share another's."""
    return {str(value.name): ranges[str(selection.source.get(value, value).name)] for value in selection.tensors}


def checked(model: ir.Model) -> bytes:
    """The model's bytes, all weights once and none that nothing reads any more, after the ONNX project's checker."""
    RemoveUnusedNodesPass()(model)
    DeduplicateHashedInitializersPass(size_limit=2**31)(model)
    made = serialize(model)
    proto: bytes | onnx.ModelProto = made
    if any(value.shape is None for value in model.graph.outputs):  # as in some that came so; runtimes do without
        proto = onnx.load_model_from_string(made)
        for value in proto.graph.output:
            if value.type.HasField("tensor_type"):
                value.type.tensor_type.shape.SetInParent()
    onnx.checker.check_model(proto)
    return made
