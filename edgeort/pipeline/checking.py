"""The bundle before it stands in its place: run on the golden inputs, and compared with ONNX Runtime."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeort.bench import Measurement, measure
from edgeort.bundle import Bundle, Contents, Manifest, golden, write_bundle
from edgeort.devices import Job, open_device
from edgeort.errors import CheckError, DeviceError, OutputError
from edgeort.session import open_plan
from edgeort.validate import reference_outputs
from edgeort.validate.validation import feeds_of

Model = str | os.PathLike[str] | bytes


def golden_inputs(model: Model, manifest: Manifest) -> list[np.ndarray]:
    """Golden inputs; integers are small where the model looks them up in a table that ends before 127."""
    inputs = list(golden.make_inputs(manifest.inputs).values())
    if any(array.dtype.kind in "iu" and array.itemsize > 1 for array in inputs):
        try:
            reference_outputs(model, feeds_of(manifest, inputs))
        except CheckError:
            return list(golden.make_inputs(manifest.inputs, binary=True).values())
    return inputs


@contextmanager
def trial(out: Path, manifest: Manifest, contents: Contents, inputs: Sequence[np.ndarray]) -> Iterator[Bundle]:
    """The bundle, to be written to `out`, in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="edgeort-") as folder:
        place = Path(folder) / "bundle"
        try:
            write_bundle(place, manifest, {**contents, **golden.files(inputs, {})})
        except OutputError as error:
            raise OutputError(str(error), hint="set TMPDIR to a folder with room") from error
        yield Bundle(out, place, manifest)


@dataclass(frozen=True)
class Ran:
    """A run on the golden inputs. Where nothing here can run the bundle, `where` says why and `outputs` is None."""

    outputs: list[np.ndarray] | None
    where: str
    arena_bytes: int
    measurement: Measurement | None


def run(trial: Bundle, inputs: list[np.ndarray]) -> Ran:
    """The outputs that the bundle gives on the golden inputs.

    From its own harness, here or emulated, where that can be; else, of the cpu provider, from the same plan in a
    library for this CPU, which has to give the same bytes; else from nothing.
    """
    manifest = trial.manifest
    try:
        device = open_device(None, manifest)
    except DeviceError as error:
        if manifest.provider != "cpu":
            return Ran(None, f"not run on hardware: {error}", 0, None)
        return _run_here(trial, inputs, error)
    runs = 10 if device.is_real else 1
    with tempfile.TemporaryDirectory(prefix="edgeort-") as folder:
        results = Path(folder)
        job = Job(threads=manifest.threads, runs=runs, warmup=min(runs - 1, 2), outputs=results)
        found = measure(trial, device, job)
        outputs = [np.load(results / f"output{index}.npy") for index in range(len(found.outputs))]
    return Ran(outputs, device.name, found.arena_bytes, found)


def _run_here(trial: Bundle, inputs: list[np.ndarray], why: DeviceError) -> Ran:
    engine = open_plan(trial.artefact, trial.manifest.kernels, trial.manifest.threads)
    try:
        outputs = engine.run(inputs)
        hint = f" ({why.hint})" if why.hint else ""
        where = f"this machine's build of the same plan; not as built: {why}{hint}"
        return Ran(outputs, where, engine.stats.arena_bytes, None)
    finally:
        engine.close()
