"""A provider's bundle on trial.

It is made, run on the golden inputs where something here can run it, and compared with ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from edgeort.bench import Measurement, Prediction
from edgeort.bundle import Bundle, Contents, Manifest, Vocabulary, golden, golden_picture
from edgeort.comparison import Comparison
from edgeort.elements import NAMES
from edgeort.errors import UnsupportedError
from edgeort.pipeline import checking, expecting, packing
from edgeort.pipeline.behind import Behind
from edgeort.pipeline.checking import Model, Ran
from edgeort.pipeline.expecting import Expected, with_costs
from edgeort.pipeline.place import Place
from edgeort.pipeline.walk import Walk
from edgeort.providers import Made, Provider, Request
from edgeort.recipes.hearing import Hearing
from edgeort.validate import reference_outputs
from edgeort.validate.validation import compare_with_reference, feeds_of


@dataclass(frozen=True)
class Attempt:
    """A provider's bundle, not yet in its place. `expected` is what the profile's rates let expect."""

    made: Made
    manifest: Manifest
    contents: Contents
    bundle: Bundle
    inputs: list[np.ndarray]
    ran: Ran
    comparisons: list[Comparison]
    size_bytes: int
    expected: Expected

    @property
    def prediction(self) -> Prediction | None:
        """What the profile's rates let expect, where they do."""
        return self.expected.prediction

    @property
    def measurement(self) -> Measurement | None:
        """What the device itself measured, if it is here."""
        found = self.ran.measurement
        return found if found is not None and found.is_real else None


@dataclass(frozen=True)
class Workshop:
    """What all attempts start from: the model in `path`, cleaned (`graph`), as ONNX Runtime runs it (`reference`)."""

    path: Path
    out: Path
    graph: ir.Model
    reference: Model
    request: Request
    walk: Walk
    vocabulary: Vocabulary | None
    preprocessing: dict[str, Any] | None
    inputs: Mapping[str, np.ndarray]  # golden ones that are given
    place: Place
    model_licence: str = ""
    behind: Behind | None = None
    hearing: Hearing | None = None

    def attempt(self, provider: Provider, trials: ExitStack) -> Attempt:
        """The provider's bundle in a folder that lasts as long as `trials`. Raises an EdgeortError."""
        made = provider.make(self.graph, self.request)
        _check_types(made)
        manifest = packing.make_manifest(self.path, self.request, made, self.model_licence)
        tokenizer = self.vocabulary.about if self.vocabulary else None
        about = None if self.behind is None else self.behind.about
        sound = None if self.hearing is None else self.hearing.to_dict()
        preprocessing = self.preprocessing
        if preprocessing is not None and not made.takes_pictures:
            preprocessing = {**preprocessing, "built_in": False}
        manifest = replace(
            manifest, preprocessing=preprocessing, sound=sound, postprocessing=about, tokenizer=tokenizer
        )
        contents = packing.make_contents(manifest, made, self.request.parts, self.vocabulary)
        contents |= {} if self.behind is None else self.behind.files
        inputs = checking.golden_inputs(self.reference, manifest, self.inputs)
        manifest = replace(manifest, nodes=with_costs(made.nodes, made.costs, made.inputs, inputs))
        bundle = trials.enter_context(checking.trial(self.out, manifest, contents, inputs))
        with self.walk.stage("check"):
            ran = checking.run(bundle, inputs, self.place)
            comparisons = []
            if ran.outputs is not None:
                comparisons = compare_with_reference(self.reference, manifest, inputs, ran.outputs)
                if self.behind is not None:
                    comparisons = [*self.behind.compare(manifest, inputs, ran.outputs), *comparisons]
        size = sum(packing.sizes_of(contents).values())
        expected = expecting.of(made.provider, manifest.nodes, self.graph, self.request, inputs, made.outputs)
        return Attempt(made, manifest, contents, bundle, inputs, ran, comparisons, size, expected)

    def golden(self, attempt: Attempt) -> dict[str, bytes]:
        """The content of golden/: the bundle's own answers, or ONNX Runtime's where nothing here ran it."""
        manifest, outputs = attempt.manifest, attempt.ran.outputs
        if outputs is None:
            outputs = reference_outputs(self.reference, feeds_of(manifest, attempt.inputs))
            if self.behind is not None:
                outputs = [*self.behind.expected(manifest, attempt.inputs, outputs), *outputs]
        by_value = dict(zip(manifest.outputs, outputs, strict=True))
        found = golden.files(attempt.inputs, by_value, whole=manifest.min_sqnr_db is not None)
        front = manifest.built_in
        if front is None:
            return found
        index = [value.name for value in manifest.inputs].index(front.form.name)
        return found | golden_picture.files(front, attempt.inputs[index])


def _check_types(made: Made) -> None:
    """UnsupportedError where an input or output is of a type that nothing here can make or compare."""
    for value in (*made.inputs, *made.outputs):
        if value.dtype not in NAMES or (value.dtype == "string" and made.provider != "cpu"):
            raise UnsupportedError(
                f"{value.name!r} has the element type {value.dtype}, which {made.provider} cannot be fed"
            )
