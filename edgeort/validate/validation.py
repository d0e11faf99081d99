"""A bundle on a device: golden vectors, and ONNX Runtime on the model it was made from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from edgeort.bench import measure
from edgeort.bundle import Bundle, Manifest, golden, golden_picture
from edgeort.bundle.manifest import INT8
from edgeort.comparison import Comparison, accept, compare_all
from edgeort.devices import Device, Job
from edgeort.errors import BundleError, InputError, ModelError
from edgeort.model import load
from edgeort.quantize.preparing import is_quantised
from edgeort.session import checked
from edgeort.validate.artefacts import channels_first, named
from edgeort.validate.assessment import sha256_of
from edgeort.validate.reference import reference_outputs
from edgeort.validate.stream import Stream
from edgeort.values import listed

_OTHER_INDEX = 1000  # random inputs of a validation are not the golden ones


@dataclass(frozen=True)
class Validation:
    """What was checked where. `golden` is the digest of all outputs on the golden inputs, which agreed.

    They are the same bytes where `min_sqnr_db` is None, else so near.
    """

    device: str
    golden: str
    min_sqnr_db: float | None
    comparisons: tuple[Comparison, ...]


def validate(
    bundle: Bundle,
    device: Device,
    *,
    model: str | os.PathLike[str] | None = None,
    feeds: Mapping[str, np.ndarray] | None = None,
) -> Validation:
    """Checks the golden outputs bit for bit, and with `model` the outputs on `feeds` (or random data) by ONNX Runtime.

    `feeds` are in the layout of the bundle's inputs. Raises CheckError for a difference, InputError for feeds that do
    not fit, ModelError when `model` is not the bundle's.
    """
    if feeds and model is None:
        raise InputError("inputs are compared with ONNX Runtime, which needs the model", hint="add --model MODEL.onnx")
    near = bundle.manifest.min_sqnr_db
    if model is not None:
        _check_comparable(bundle, Path(model))  # before the device is at work
    found = measure(bundle, device, Job(threads=bundle.manifest.threads, runs=1, warmup=0, check=True))
    if model is None:
        return Validation(device.name, found.digest, near, ())
    inputs = _inputs(bundle.manifest, feeds)
    with Stream(bundle, device) as stream:
        ours = stream.submit(inputs)()
    comparisons = compare_with_reference(model, bundle.manifest, inputs, ours)
    return Validation(device.name, found.digest, near, tuple(comparisons))


def compare_with_reference(
    model: str | os.PathLike[str] | bytes, manifest: Manifest, inputs: Sequence[np.ndarray], ours: Sequence[np.ndarray]
) -> list[Comparison]:
    """Compares a model's outputs with ONNX Runtime's on the same data, in the bundle's layout. Raises CheckError.

    `ours` are all outputs of the bundle; those of post-processing are not compared here.
    """
    answer = named(manifest, ours)
    feeds, names, found = feeds_of(manifest, inputs), list(answer), list(answer.values())
    want = reference_outputs(model, feeds)
    if len(want) != len(found):
        raise BundleError(
            f"the manifest has {len(found)} outputs of the model, which has {len(want)}", hint="build the bundle again"
        )
    is_far = any(result.problem for result in compare_all(names, found, want))
    # A quantised model may have no node of ours in int8: what it rounds as it runs there may be float here.
    if any(node.precision == INT8 for node in manifest.nodes) or (is_far and _is_quantised(model)):
        other = reference_outputs(model, feeds, optimised=False)
        return accept(compare_all(names, found, want, other, quantised=True, least_db=manifest.min_sqnr_db))
    if is_far:
        # Is it us, or is the model so badly conditioned that the reference does not agree with itself either?
        return accept(compare_all(names, found, want, reference_outputs(model, feeds, optimised=False)))
    return compare_all(names, found, want)


def _is_quantised(model: str | os.PathLike[str] | bytes) -> bool:
    return is_quantised(ir.from_proto(onnx.ModelProto.FromString(model)) if isinstance(model, bytes) else load(model))


def feeds_of(manifest: Manifest, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """The inputs by name, as the ONNX model has them: of a picture or a signal, what the recipe makes."""
    nhwc, front = manifest.io_layout == "nhwc", manifest.built_in
    feeds = {value.name: channels_first(array, nhwc) for value, array in zip(manifest.inputs, inputs, strict=True)}
    if manifest.hearing is not None:
        return manifest.hearing.prepared(feeds)
    return feeds if front is None else front.prepared(feeds)


def _inputs(manifest: Manifest, feeds: Mapping[str, np.ndarray] | None) -> list[np.ndarray]:
    values = manifest.inputs
    if not feeds:
        shapes, front = golden.choose_shapes(values), manifest.built_in
        if front is not None:
            shapes[front.form.name] = golden_picture.picture(front).shape
        if manifest.hearing is not None:
            shapes[manifest.hearing.value.name] = manifest.hearing.golden().shape
        return [golden.random_input(v, _OTHER_INDEX + i, shapes[v.name]) for i, v in enumerate(values)]
    names = {value.name for value in values}
    if names != set(feeds):
        wrong = sorted(names ^ set(feeds))[0]
        what = f"input {wrong!r} is missing" if wrong in names else f"the model has no input {wrong!r}"
        raise InputError(f"{what}; the inputs are {listed(values)}")
    return [checked(value, feeds[value.name]) for value in values]


def _check_comparable(bundle: Bundle, model: Path) -> None:
    """ModelError where the bundle was built from another file, InputError where its weights are not the model's."""
    if sha256_of(model) != bundle.manifest.model_sha256:
        raise ModelError(
            f"{model} is not the model that {bundle.path} was built from", hint="build the bundle again from this model"
        )
    precision = (bundle.manifest.quantization or {}).get("precision", "float32")
    if precision != "float32":
        raise InputError(
            f"{bundle.path} was made with {precision} weights from {model}: random data tell nothing of the difference",
            hint=f"edgeort validate {bundle.path} --model {model} --data DIR",
        )
