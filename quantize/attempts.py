"""Makes quantised models from one calibration: which nodes stay float may differ from one to the next."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from types import MappingProxyType

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from edgeort.progress import Progress
from edgeort.quantize import dynamic, half_floats, qdq
from edgeort.quantize.blocks import BLOCK
from edgeort.quantize.calibration import Calibration
from edgeort.quantize.embeddings import quantize_tables
from edgeort.quantize.forms import NEWER, Form
from edgeort.quantize.measuring import Difference, compare
from edgeort.quantize.parameters import Quantity
from edgeort.quantize.preparing import Prepared, newer, serialize
from edgeort.quantize.ranges import Range
from edgeort.quantize.refinement import Reference, Steps, measuring_points, refine
from edgeort.quantize.samples import Sample
from edgeort.quantize.selection import Selection, select
from edgeort.quantize.store import Store

NO_STEPS = Steps(gptq=False, bias_correction=False, compensation=False, smoothing=False, equalisation=False)


@dataclass(frozen=True)
class Attempt:
    """A quantised model, how many Gathers of tables are in it, and its differences to float on the samples kept."""

    model: bytes
    selection: Selection
    tables: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Attempts:
    """What all attempts share. `store` has the inputs of the samples to refine on, `judge` more to compare on."""

    prepared: Prepared
    calibration: Calibration
    ranges: Mapping[str, Range]
    store: Store
    judge: Store
    steps: Steps
    wanted: Mapping[str, Form]
    block: int = BLOCK
    original: Prepared | None = None  # what to compare with, where `prepared` is not quite the same
    own_runtime: bool = False  # scales for channels, which ONNX Runtime must not fuse
    progress: Progress | None = None

    def make(self, exclude: Collection[str], forms: Mapping[str, Form] = MappingProxyType({})) -> Attempt:
        """A quantised model in which the nodes of those names stay float, and layers have those forms."""
        self.store.drop_all_but(value.name for value in self.prepared.inputs)
        model, floats = self._float_model(forms), self._float_model(forms).graph
        selection = select(model.graph, exclude, {**self.wanted, **forms})
        points = measuring_points(selection.layers)
        tables = quantize_tables(model.graph, exclude)
        found = self._quantities(selection)
        quantized = qdq.insert(model.graph, selection, found, with_bias=self.steps.bias_correction, block=self.block)
        if self.store.samples and replace(self.steps, smoothing=False, equalisation=False) != NO_STEPS:
            reference = Reference(floats, points, self.calibration.means)
            refine(model, quantized, reference, self.store, self.steps, self.progress, fuse_qdq=not self.own_runtime)
        finish(model, quantized, selection)
        made = checked(model)
        if self.progress and self.calibration.samples:
            self.progress("comparing with the float model")
        return Attempt(made, selection, tables, tuple(self._differences(made)))

    def roughly(self, exclude: Collection[str], forms: Mapping[str, Form], samples: int) -> list[Difference]:
        """The differences on some samples of a model without refinement."""
        model = self._float_model(forms)
        selection = select(model.graph, exclude, {**self.wanted, **forms})
        quantize_tables(model.graph, exclude)
        found = self._quantities(selection)
        quantized = qdq.insert(model.graph, selection, found, with_bias=False, block=self.block)
        finish(model, quantized, selection)
        return self._differences(serialize(model), samples)

    def _quantities(self, selection: Selection) -> dict[str, Quantity]:
        channels = self.calibration.channels if self.own_runtime else {}
        return qdq.quantities(selection, self.ranges, channels, self.calibration.extremes)

    def _float_model(self, forms: Mapping[str, Form]) -> ir.Model:
        """A copy of the float model, of an opset that has what the forms need."""
        wanted = {*self.wanted.values(), *forms.values()}
        return (self._newer if wanted & NEWER else self.prepared.model).clone()

    @cached_property
    def _newer(self) -> ir.Model:
        return newer(self.prepared.model)

    def _differences(self, made: bytes, samples: int | None = None) -> list[Difference]:
        if not self.store.samples + self.judge.samples:
            return []
        reference = self.original or self.prepared
        return compare(reference.serialized, made, islice(self._inputs(), samples), fuse_qdq=not self.own_runtime)

    def _inputs(self) -> Iterator[Sample]:
        for store in (self.store, self.judge):
            for index in range(store.samples):
                yield {value.name: store.get(value.name, index) for value in self.prepared.inputs}


def finish(model: ir.Model, quantized: qdq.Quantized, selection: Selection) -> None:
    """Puts in what refinement need not know: rows that are quantised as the model runs, and float16 weights."""
    for layer in quantized.layers:
        if layer.form is Form.DYNAMIC:
            dynamic.call(model, layer)
    operands = (layer.node.inputs[1] for layer in selection.halves)
    half_floats.store(model.graph, [value for value in operands if value is not None])


def spread_over(selection: Selection, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """The range of every selected tensor by name, also of those that share another's."""
    return {str(value.name): ranges[str(selection.source.get(value, value).name)] for value in selection.tensors}


def checked(model: ir.Model) -> bytes:
    """The model's bytes without what nothing reads any more, after the ONNX project's checker."""
    RemoveUnusedNodesPass()(model)
    made = serialize(model)
    onnx.checker.check_model(made)
    return made
