"""The bundle before it stands in its place: run on the golden inputs, and compared with ONNX Runtime."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeort.bench import Measurement, measure
from edgeort.bundle import Bundle, Contents, Manifest, golden, golden_picture, write_bundle
from edgeort.devices import Job
from edgeort.errors import CheckError, DeviceError, InputError, OutputError, ShapeError, ToolchainError
from edgeort.pipeline.place import Place
from edgeort.session import checked, open_plan
from edgeort.validate import reference_outputs
from edgeort.validate.choosing import Where, no_promise
from edgeort.validate.validation import feeds_of
from edgeort.values import listed, shapes_text

Model = str | os.PathLike[str] | bytes

_OTHER_DATA = "where random data do not suit the model: --input NAME=FILE.npy, or --shape"
_OTHER_SIZES = "sizes that are free were {}: --shape NAME=1x224 sets others, --input NAME=FILE.npy gives data"


def golden_inputs(model: Model, manifest: Manifest, given: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Golden inputs: those `given`, in the bundle's layout, and random ones for the rest.

    Random integers are small where the model looks them up in a table that ends before 127. InputError for what is
    given and does not fit.
    """
    for name in given:
        if name not in {value.name for value in manifest.inputs}:
            raise InputError(f"the model has no input {name!r}; its inputs are {listed(manifest.inputs)}")
    own = {value.name: checked(value, given[value.name]) for value in manifest.inputs if value.name in given}
    try:
        inputs = _filled(manifest, own)
    except MemoryError as error:
        raise ShapeError(
            f"the inputs are too large for this machine: {error}", hint="--shape makes them smaller"
        ) from error
    if any(array.dtype.kind in "iu" and array.itemsize > 1 for array in inputs):
        try:
            reference_outputs(model, feeds_of(manifest, inputs))
        except CheckError:
            return _filled(manifest, own, binary=True)
    return inputs


def _filled(manifest: Manifest, given: Mapping[str, np.ndarray], *, binary: bool = False) -> list[np.ndarray]:
    made, front = golden.make_inputs(manifest.inputs, binary=binary), manifest.built_in
    if front is not None:
        made[front.form.name] = golden_picture.picture(front)
    if manifest.hearing is not None:
        made[manifest.hearing.value.name] = manifest.hearing.golden()
    return list({**made, **given}.values())


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


def run(trial: Bundle, inputs: list[np.ndarray], place: Place) -> Ran:
    """The outputs that the bundle gives on the golden inputs.

    From its own harness, where that can be: on the device that was asked for, here, or emulated; else, of the cpu
    provider, from the same plan in a library for this CPU, which has to give the same bytes; else from nothing.
    DeviceError where the device asked for cannot run it.
    """
    manifest = trial.manifest
    try:
        device = place.device(manifest)
    except DeviceError as error:
        if place.on is not None:
            raise
        if manifest.provider != "cpu":
            return Ran(None, f"not run on hardware: {error}", 0, None)
        return _run_here(trial, inputs, error)
    runs = 10 if device.is_real else 1
    with tempfile.TemporaryDirectory(prefix="edgeort-") as folder:
        results = Path(folder)
        job = Job(threads=manifest.threads, runs=runs, warmup=min(runs - 1, 2), outputs=results)
        try:
            found = measure(trial, device, job)
        except DeviceError as error:
            raise DeviceError(str(error), hint=error.hint or _help(manifest, inputs)) from error
        outputs = [
            golden.array_of((results / f"output{index}.npy").read_bytes()) for index in range(len(found.outputs))
        ]
    return Ran(outputs, device.name, found.arena_bytes, found)


def where_to_judge(trial: Bundle, inputs: list[np.ndarray], ran: Ran, place: Place) -> Where:
    """Where samples are judged: on the device that was asked for, or here where it gives the bytes of this machine.

    The golden outputs are not in the bundle yet: they are what ran there.
    """
    if place.on is None:
        return Where(golden_passed=True)
    device = place.device(trial.manifest)
    if no_promise(trial.manifest) is not None or ran.outputs is None:
        return Where(device=device, all_there=True)
    try:
        engine = open_plan(trial.artefact, trial.manifest.kernels, trial.manifest.threads)
    except ToolchainError:
        return Where(device=device, all_there=True)
    with closing(engine):
        pairs = zip(trial.manifest.outputs, engine.run(inputs), ran.outputs, strict=True)
        same = all(golden.digest(a, value.dtype) == golden.digest(b, value.dtype) for value, a, b in pairs)
    return Where(device=device, all_there=not same, golden_passed=True)


def _help(manifest: Manifest, inputs: Sequence[np.ndarray]) -> str:
    """What may help where the harness fails."""
    if manifest.requirements:
        return f"on the device: pip install {' '.join(manifest.requirements)}"
    sizes = golden.chosen_sizes(manifest.inputs, inputs)
    return _OTHER_SIZES.format(shapes_text(sizes)) if sizes else _OTHER_DATA


def _run_here(trial: Bundle, inputs: list[np.ndarray], why: DeviceError) -> Ran:
    engine = open_plan(trial.artefact, trial.manifest.kernels, trial.manifest.threads)
    try:
        outputs = engine.run(inputs)
        hint = f" ({why.hint})" if why.hint else ""
        where = f"this machine's build of the same plan; not as built: {why}{hint}"
        return Ran(outputs, where, engine.stats.arena_bytes, None)
    finally:
        engine.close()
