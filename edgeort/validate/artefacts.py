"""What answers samples: a bundle by its own library or harness, or an ONNX model in ONNX Runtime.

An answer is a dict from outputs to arrays, with channels first as in the ONNX model.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from edgeort import providers
from edgeort.bench import call_harness
from edgeort.bundle import Bundle, Manifest, golden
from edgeort.devices import Device, Job, open_device
from edgeort.devices.local import Local
from edgeort.engine import Engine
from edgeort.errors import DeviceError, InputError, OutputError
from edgeort.ort import first_line
from edgeort.quantize.parallel import ordered_map
from edgeort.quantize.samples import Sample
from edgeort.session import open_plan
from edgeort.validate.reference import reference_session
from edgeort.values import Value

BATCH = 16  # samples that a call of the harness gets: their inputs and outputs lie in files meanwhile

Answer = dict[str, np.ndarray]


class Artefact(Protocol):
    """Something that answers samples."""

    @property
    def where(self) -> str:
        """For people: what ran."""

    def run(self, samples: Sequence[Sample]) -> list[Answer]:
        """The answers, in the order of the samples."""


class InOnnxRuntime:
    """A model in ONNX Runtime: a file or its bytes. CheckError when it is refused."""

    where = "ONNX Runtime"

    def __init__(self, model: str | os.PathLike[str] | bytes) -> None:
        self._session = reference_session(model, threads=1)  # one a sample, on all cores at a time
        self.outputs = [output.name for output in self._session.get_outputs()]
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, samples: Sequence[Sample]) -> list[Answer]:
        """The answers. InputError when it cannot run the model on a sample."""
        return list(ordered_map(self.answer, samples))

    def answer(self, sample: Sample) -> Answer:
        """The answer to one sample. Several threads may call it."""
        try:
            found = self._session.run(self.outputs, sample)
        except Exception as error:  # its exceptions have no common base
            raise InputError(f"ONNX Runtime cannot run the model on a sample: {first_line(error)}") from error
        return {name: np.asarray(array) for name, array in zip(self.outputs, found, strict=True)}


@dataclass
class ByLibrary:
    """A plan in a library loaded here: the bundle's own, or one for this CPU that gives the same bytes."""

    engine: Engine
    manifest: Manifest
    where: str

    def run(self, samples: Sequence[Sample]) -> list[Answer]:
        """The answers."""
        return [named(self.manifest, self.engine.run(arrays_of(self.manifest, sample))) for sample in samples]


@dataclass
class ByHarness:
    """A bundle's harness on a device, one call for `BATCH` samples."""

    bundle: Bundle
    device: Device

    @property
    def where(self) -> str:
        """The device."""
        return self.device.name

    def run(self, samples: Sequence[Sample]) -> list[Answer]:
        """The answers."""
        manifest = self.bundle.manifest
        found = self.run_arrays([arrays_of(manifest, sample) for sample in samples])
        return [named(manifest, arrays) for arrays in found]

    def run_arrays(self, inputs: Sequence[Sequence[np.ndarray]]) -> list[list[np.ndarray]]:
        """Outputs for inputs, both in the order and the layout of the bundle."""
        return [outputs for at in range(0, len(inputs), BATCH) for outputs in self._batch(inputs[at : at + BATCH])]

    def _batch(self, samples: Sequence[Sequence[np.ndarray]]) -> Iterator[list[np.ndarray]]:
        with _folders(len(samples)) as (inputs, outputs):
            for index, arrays in enumerate(samples):
                _write(inputs / str(index), arrays)
            job = Job(threads=self.bundle.manifest.threads, inputs=inputs, outputs=outputs, each=len(samples))
            call_harness(self.bundle, self.device, job)
            count = len(self.bundle.manifest.outputs)
            for index in range(len(samples)):
                yield [self._load(outputs / f"{index}/output{i}.npy") for i in range(count)]

    def _load(self, path: Path) -> np.ndarray:
        try:
            return np.asarray(np.load(path, allow_pickle=False))
        except (OSError, ValueError) as error:
            raise DeviceError(f"the harness on {self.device.name} wrote no output: {error}") from error


@contextmanager
def open_artefact(bundle: Bundle, on: str | None = None) -> Iterator[Artefact]:
    """What answers for a bundle: its own library here, its harness elsewhere (`on` is a device's name).

    Where nothing runs the bundle, and no device was asked for, the same plan in a library for this CPU, which gives the
    same bytes. DeviceError when the device asked for cannot run it.
    """
    manifest = bundle.manifest
    try:
        device = open_device(on, manifest)
    except DeviceError as error:
        if on is not None or manifest.provider != "cpu":
            raise
        engine = open_plan(bundle.artefact, manifest.kernels, manifest.threads)
        where = f"this machine's build of the same plan; not as built: {error}"
    else:
        if device.name != Local.name or not _loads_here(manifest):
            with device:
                yield ByHarness(bundle, device)
            return
        engine, where = Engine(bundle.library, bundle.artefact, threads=manifest.threads), device.name
    with contextlib.closing(engine):
        yield ByLibrary(engine, manifest, where)


def _loads_here(manifest: Manifest) -> bool:
    """Whether the bundle's library can be loaded into this process.

    Android's links against another libc; an engine beside the bundle is found by the variables of a new process.
    """
    return manifest.target.os != "android" and not providers.provider(manifest.provider).environment()


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
    """The bundle's outputs by name, with channels first."""
    is_nhwc = manifest.io_layout == "nhwc"
    return {value.name: channels_first(array, is_nhwc) for value, array in zip(manifest.outputs, outputs, strict=True)}


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


@contextmanager
def _folders(count: int) -> Iterator[tuple[Path, Path]]:
    """Two folders, each with `count` in it called 0, 1, ..."""
    with tempfile.TemporaryDirectory(prefix="edgeort-") as folder:
        places = Path(folder) / "inputs", Path(folder) / "outputs"
        for place in places:
            for index in range(count):
                (place / str(index)).mkdir(parents=True)
        yield places


def _write(folder: Path, arrays: Sequence[np.ndarray]) -> None:
    try:
        for index, array in enumerate(arrays):
            (folder / f"input{index}.npy").write_bytes(golden.npy_bytes(array))
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written: {error.strerror}", hint="set TMPDIR to a folder with room"
        ) from error
