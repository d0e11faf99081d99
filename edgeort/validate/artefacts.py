"""What answers samples: a bundle by its own library or harness, or an ONNX model in ONNX Runtime.

An answer is a dict from outputs to arrays, with channels first as in the ONNX model.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from edgeort.bundle import Manifest
from edgeort.engine import Engine
from edgeort.errors import EdgeortError, InputError, ModelError
from edgeort.model import infer_shapes, load
from edgeort.ort import first_line
from edgeort.quantize.parallel import WORKERS
from edgeort.quantize.parts import Part, parts
from edgeort.quantize.samples import Sample
from edgeort.recipes.front import Front
from edgeort.recipes.hearing import Hearing
from edgeort.validate.reference import reference_session
from edgeort.validate.stream import Stream
from edgeort.values import Value

Answer = dict[str, np.ndarray]


class Artefact(Protocol):
    """Something that answers samples."""

    @property
    def where(self) -> str:
        """For people: what runs."""

    @property
    def basis(self) -> str:
        """Why these answers are those of the device, once all were given; empty where there is nothing to say."""

    def submit(self, sample: Sample) -> Callable[[], Answer]:
        """Begins with a sample; what is given waits for its answer. Answers are asked for in the order of samples."""


class InOnnxRuntime:
    """A model in ONNX Runtime: a file or its bytes. CheckError when it is refused.

    With a `front` samples have a picture or a signal, as those of a bundle with the recipe in its graph.
    """

    where = "ONNX Runtime"
    basis = ""

    def __init__(self, model: str | os.PathLike[str] | bytes, front: Front | Hearing | None = None) -> None:
        self._front, self._path = front, None if isinstance(model, bytes) else model
        self._session = reference_session(model, threads=1)  # one a sample, on all cores at a time
        self.outputs = [output.name for output in self._session.get_outputs()]
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    @cached_property
    def joined(self) -> list[Part]:
        """The parts of outputs that are joined of several; none of a model that edgeort does not read."""
        if self._path is not None:
            with contextlib.suppress(ModelError):
                return parts(infer_shapes(load(self._path)).graph)
        return []

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(WORKERS)

    def submit(self, sample: Sample) -> Callable[[], Answer]:
        """On a thread of its own. InputError when it cannot run the model on the sample."""
        return self._pool.submit(self.answer, sample).result

    def answer(self, sample: Sample) -> Answer:
        """The answer to one sample. Several threads may call it."""
        try:
            found = self._session.run(self.outputs, self._front.prepared(sample) if self._front else sample)
        except EdgeortError:
            raise
        except Exception as error:  # its exceptions have no common base
            raise InputError(f"ONNX Runtime cannot run the model on a sample: {first_line(error)}") from error
        return {name: np.asarray(array) for name, array in zip(self.outputs, found, strict=True)}


@dataclass
class ByLibrary:
    """A plan in a library loaded here: the bundle's own, or one for this CPU that gives the same bytes."""

    engine: Engine
    manifest: Manifest
    where: str
    basis: str = ""

    def submit(self, sample: Sample) -> Callable[[], Answer]:
        """When it is waited for: its threads would share the cores with those of the reference."""
        return lambda: named(self.manifest, self.outputs(sample))

    def outputs(self, sample: Sample) -> list[np.ndarray]:
        """In the order and the layout of the bundle."""
        return self.engine.run(arrays_of(self.manifest, sample))


@dataclass
class ByHarness:
    """A bundle's harness on a device, which keeps running."""

    stream: Stream
    manifest: Manifest
    where: str
    basis: str = ""

    def submit(self, sample: Sample) -> Callable[[], Answer]:
        """Sends it at once."""
        outputs = self.outputs(sample)
        return lambda: named(self.manifest, outputs())

    def outputs(self, sample: Sample) -> Callable[[], list[np.ndarray]]:
        """What waits for those, in the order and the layout of the bundle."""
        return self.stream.submit(arrays_of(self.manifest, sample))


def arrays_of(manifest: Manifest, sample: Sample) -> list[np.ndarray]:
    """A sample's arrays in the order and the layout of the bundle's inputs."""
    arrays = [sample[value.name] for value in manifest.inputs]
    return [_channels_last(array) for array in arrays] if manifest.io_layout == "nhwc" else arrays


def sample_inputs(manifest: Manifest) -> list[Value]:
    """The bundle's inputs with channels first: what a sample has to have."""
    if manifest.io_layout == "nchw":
        return list(manifest.inputs)
    return [_value_channels_first(value) for value in manifest.inputs]


def named(manifest: Manifest, outputs: Sequence[np.ndarray]) -> Answer:
    """The model's outputs by name, with channels first; not what post-processing made of them."""
    is_nhwc, values = manifest.io_layout == "nhwc", manifest.own_outputs
    own = outputs[len(outputs) - len(values) :]
    return {value.name: channels_first(array, is_nhwc) for value, array in zip(values, own, strict=True)}


def channels_first(array: np.ndarray, is_nhwc: bool) -> np.ndarray:
    """The array as the ONNX model has it: --io-layout nhwc turns the inputs and outputs of rank 4."""
    return np.ascontiguousarray(array.transpose(0, 3, 1, 2)) if is_nhwc and array.ndim == 4 else array


def _channels_last(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1)) if array.ndim == 4 else array


def _value_channels_first(value: Value) -> Value:
    shape = value.shape
    if shape is None or len(shape) != 4:
        return value
    return Value(value.name, value.dtype, (shape[0], shape[3], shape[1], shape[2]))
