"""build(): from an ONNX model and a device's profile to a checked bundle. Reads top to bottom as the list of stages."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgeort import model, toolchain
from edgeort.bench import enforce, judge
from edgeort.bundle import Vocabulary, write_bundle
from edgeort.bundle.writing import check_writable
from edgeort.device_profiles import Profile
from edgeort.errors import InputError
from edgeort.passes.context import IoLayout
from edgeort.pipeline import accuracy as accuracies
from edgeort.pipeline import checking, packing
from edgeort.pipeline.accuracy import Accuracy
from edgeort.pipeline.around import Around
from edgeort.pipeline.choosing import Wish, check_any, choose, recorded, rivals
from edgeort.pipeline.compressing import compress
from edgeort.pipeline.place import Place
from edgeort.pipeline.recording import record
from edgeort.pipeline.result import BuildResult
from edgeort.pipeline.trying import Workshop
from edgeort.pipeline.unquantised import unquantised_prediction
from edgeort.pipeline.walk import Walk
from edgeort.progress import Progress
from edgeort.providers import Request
from edgeort.recipes.picture import Recipe
from edgeort.recipes.postprocessing import read_postprocessing
from edgeort.recipes.sound import Sound
from edgeort.recipes.written import Written


def build(
    model_path: str | os.PathLike[str],
    profile: Profile | str,
    out: str | os.PathLike[str],
    *,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    io_layout: IoLayout = "nchw",
    threads: int | None = None,
    ram_limit: int | None = None,
    accuracy: Accuracy | None = None,
    preprocess: Recipe | Sound | None = None,
    vocabulary: Vocabulary | None = None,
    postprocess: str | Written | None = None,
    signatures: bool = False,
    embed_model: bool = False,
    static: bool = False,
    model_licence: str = "",
    wish: Wish | None = None,
    inputs: Mapping[str, np.ndarray] | None = None,
    keep_stages: bool = False,
    on: str | None = None,
    progress: Progress | None = None,
) -> BuildResult:
    """Builds the bundle `out` (a folder, or one archive when it ends in .zip) for a device.

    `shapes` fixes dimensions of inputs; `io_layout` is that of rank-4 inputs and outputs; `threads` is the bundle's
    default, the profile's when None. `ram_limit` is what activations may take, in bytes: the runtime works in smaller
    strips to keep it, or BudgetError says the least that it needs. `accuracy` asks for pruning, int8 and a verdict on
    samples. With `preprocess` the bundle takes pictures or sound, of which that makes the model's input; with
    `postprocess` what that recipe makes of the model's outputs comes before them. With a `vocabulary` the library has a
    tokenizer, with `signatures` it can refuse plans that a key did not sign, with `embed_model` it holds the model;
    with `static` there is a static one beside it. `model_licence` is an SPDX expression.
    `wish` says which provider is wanted; by default the fastest of the profile's, where the device is here to measure.
    `inputs` are golden ones by name, for models that random data do not suit. With `keep_stages`, `<out>.stages/` gets
    the ONNX model after every stage. `on` is the device that checks and measures, as --on has it: then every provider
    that could serve it is tried; None is this machine or an emulator.
    Raises an EdgeortError; then nothing stands at `out` that was not there before.
    """
    called = locals()
    if ram_limit is not None and not 0 < ram_limit < 2**63:
        raise InputError(f"ram_limit is {ram_limit}; it is a number of bytes, 1 or more")
    path, out, device, wanted = Path(model_path), Path(out), _load_profile(profile), wish or Wish()
    asked = (accuracy or Accuracy()).checked(device)
    recipe = None if postprocess is None else read_postprocessing(postprocess)
    walk = Walk(progress, out.with_name(f"{out.name}.stages") if keep_stages else None)
    wishes = {toolchain.TEXT: vocabulary, toolchain.SIGNATURE: signatures, toolchain.EMBEDDED: embed_model}
    parts = tuple(part for part, wanted_here in wishes.items() if wanted_here)
    request = Request(
        device,
        io_layout,
        threads or device.runtime.threads,
        ram_limit,
        walk,
        parts,
        dict(wanted.options),
        static=static,
    )
    check_any(wanted, request)
    with Place(on, device) as early:  # what comes before it is needed may take long
        others = rivals(wanted, request, measures=early.measures)
    check_writable(out)
    if vocabulary:
        vocabulary.check()

    with walk.stage("load"):
        graph = walk.keep("load", model.load(path, shapes=shapes))
    with walk.stage("clean"):
        graph = walk.keep("clean", model.clean(graph))
    around = Around.bound(graph, preprocess, recipe)
    request = replace(request, front=around.front)
    sets = accuracies.open_sets(asked, graph, around.maker)
    options = record(build, {**called, "profile": device, "postprocess": recipe.written if recipe else None})
    compressed = compress(path, graph, shapes, asked, sets, device, walk, others)
    preprocessing = accuracies.preprocessing_of(around.front, sets)
    behind = around.attach(compressed.graph, walk)
    with ExitStack() as trials, Place(on, device) as place:
        workshop = Workshop(
            path=path,
            out=out,
            graph=compressed.graph,
            reference=compressed.reference,
            request=request,
            walk=walk,
            vocabulary=vocabulary,
            preprocessing=preprocessing,
            inputs=inputs or {},
            place=place,
            model_licence=model_licence,
            hearing=around.hearing,
            behind=behind,
        )
        attempt, candidates = choose(wanted, workshop, trials)
        float32 = unquantised_prediction(compressed, around, attempt, request)
        evaluation = None
        if sets.judging:
            there = checking.where_to_judge(attempt.bundle, attempt.inputs, attempt.ran, place)
            evaluation = accuracies.judge(attempt.bundle, path, asked, sets, there, walk)
    with walk.stage("bundle"):
        contents = {**attempt.contents, **workshop.golden(attempt)}
        sizes, found = packing.sizes_of(contents), attempt.ran.measurement
        verdicts = judge(attempt.manifest.budgets, sum(sizes.values()), found) if found else []
        enforce(verdicts)
        quantization = accuracies.record(asked, compressed.quantised, evaluation, compressed.shares)
        manifest = replace(
            attempt.manifest, quantization=quantization, candidates=recorded(candidates), options=options
        )
        write_bundle(out, manifest, contents)
    return BuildResult.of(
        workshop,
        around,
        compressed,
        attempt,
        candidates=candidates,
        files=sizes,
        verdicts=verdicts,
        samples=sets.told,
        evaluation=evaluation,
        float32=float32,
    )


def _load_profile(profile: Profile | str) -> Profile:
    from edgeort import device_profiles

    return device_profiles.load(profile) if isinstance(profile, str) else profile
