"""build(): from an ONNX model and a device's profile to a checked bundle. Reads top to bottom as the list of stages."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgeort import model, toolchain
from edgeort.bench import enforce, judge
from edgeort.bundle import Vocabulary, golden, write_bundle
from edgeort.bundle.writing import check_writable
from edgeort.compiling import signature
from edgeort.device_profiles import Profile
from edgeort.errors import InputError
from edgeort.passes.context import IoLayout
from edgeort.pipeline import accuracy as accuracies
from edgeort.pipeline import checking, packing
from edgeort.pipeline.accuracy import Accuracy
from edgeort.pipeline.behind import Behind
from edgeort.pipeline.choosing import Wish, check_any, choose, recorded, rivals
from edgeort.pipeline.place import Place
from edgeort.pipeline.pruning import prune
from edgeort.pipeline.recording import record
from edgeort.pipeline.result import BuildResult
from edgeort.pipeline.trying import Workshop
from edgeort.pipeline.unquantised import Unquantised
from edgeort.pipeline.walk import Walk
from edgeort.progress import Progress
from edgeort.providers import Request
from edgeort.recipes.front import bind
from edgeort.recipes.hearing import hear
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
    tokenizer, with `signatures` it can refuse plans that a key did not sign. `model_licence` is an SPDX expression.
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
    parts = (*((toolchain.TEXT,) if vocabulary else ()), *((toolchain.SIGNATURE,) if signatures else ()))
    request = Request(
        device, io_layout, threads or device.runtime.threads, ram_limit, walk, parts, dict(wanted.options)
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
    front = bind(preprocess, signature(graph)[0], built_in=True) if isinstance(preprocess, Recipe) else None
    hearing = hear(preprocess, signature(graph)[0]) if isinstance(preprocess, Sound) else None
    request = replace(request, front=front)
    sets = accuracies.open_sets(asked, graph, front or hearing)
    options = record(build, {**called, "profile": device, "postprocess": recipe.written if recipe else None})
    pruned = None if not asked.prunes else prune(path, shapes, asked, sets, walk)
    graph, reference = (graph, path) if pruned is None else (pruned.graph, pruned.model)
    quantised, unquantised = None, Unquantised(graph, hearing, recipe)
    if asked.precision != "float32":
        left = None if pruned is None else pruned.model
        quantised = accuracies.quantise(path, shapes, asked, sets, device, walk, others, left)
        graph, reference = quantised.graph, quantised.model
    preprocessing = accuracies.preprocessing_of(front, sets)
    if hearing is not None:
        hearing.attach(graph)
        walk.keep("preprocess", graph)
    behind = None if recipe is None else Behind.attached_to(recipe, graph, front, walk)
    with ExitStack() as trials, Place(on, device) as place:
        workshop = Workshop(
            path,
            out,
            graph,
            reference,
            request,
            walk,
            vocabulary,
            preprocessing,
            inputs or {},
            place,
            model_licence,
            behind,
            hearing,
        )
        attempt, candidates = choose(wanted, workshop, trials)
        made, ran = attempt.made, attempt.ran
        float32 = None
        if quantised is not None and quantised.is_int8:
            float32 = unquantised.prediction(attempt, request)
        evaluation = None
        if sets.judging:
            there = checking.where_to_judge(attempt.bundle, attempt.inputs, ran, place)
            evaluation = accuracies.judge(attempt.bundle, path, asked, sets, there, walk)
    with walk.stage("bundle"):
        contents = {**attempt.contents, **workshop.golden(attempt)}
        sizes = packing.sizes_of(contents)
        verdicts = judge(attempt.manifest.budgets, sum(sizes.values()), ran.measurement) if ran.measurement else []
        enforce(verdicts)
        shares = None if pruned is None else pruned.shares
        manifest = replace(
            attempt.manifest,
            quantization=accuracies.record(asked, quantised, evaluation, shares),
            candidates=recorded(candidates),
            options=options,
        )
        write_bundle(out, manifest, contents)
    return BuildResult(
        bundle=out,
        model=path.stem,
        device=device.name,
        provider=made.provider,
        candidates=candidates,
        bundle_bytes=sum(sizes.values()),
        library_bytes=sum(size for name, size in sizes.items() if re.fullmatch(r"lib/[^/]+(?<!\.lib)", name)),
        harness_bytes=sizes.get(made.harness, 0),
        model_bytes=sum(size for name, size in sizes.items() if name == made.model or name.startswith("model/")),
        arena_bytes=ran.arena_bytes,
        ram_limit=ram_limit,
        nodes=len(made.nodes),
        precisions=dict(Counter(node.precision for node in made.nodes)),
        weights=dict(Counter(node.weights for node in made.nodes if node.weights)),
        not_int8={node.name: node.reason for node in made.nodes if node.reason},
        checked_on=ran.where,
        requirements=made.requirements,
        comparisons=tuple(attempt.comparisons),
        samples=sets.told,
        preprocess=hearing.sound.text if hearing else "" if front is None else front.text(),
        postprocessing=None if behind is None else behind.about,
        pruning=None if pruned is None else pruned.result,
        sparse=made.sparse,
        quantization=None if quantised is None else quantised.result,
        form="" if quantised is None else quantised.told(keeps=walk.keeps),
        evaluation=evaluation,
        measurement=ran.measurement,
        prediction=attempt.prediction,
        float32=float32,
        unpredicted=attempt.expected.reason,
        sizes=golden.chosen_sizes(attempt.manifest.inputs, attempt.inputs),
        budgets=tuple(verdicts),
        rewrites=dict(made.rewrites),
        refusals=made.refused,
        seconds=walk.seconds,
    )


def _load_profile(profile: Profile | str) -> Profile:
    from edgeort import device_profiles

    return device_profiles.load(profile) if isinstance(profile, str) else profile
