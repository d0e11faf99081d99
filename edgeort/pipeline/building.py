"""build(): from an ONNX model and a device's profile to a checked bundle. Reads top to bottom as the list of stages."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import onnx_ir as ir

from edgeort import lowering, model, passes, toolchain
from edgeort.bench import enforce, judge
from edgeort.bundle import golden, write_bundle
from edgeort.bundle.writing import check_writable
from edgeort.device_profiles import Profile
from edgeort.errors import InputError
from edgeort.lowering.where_int8 import rates_of
from edgeort.passes.context import IoLayout
from edgeort.pipeline import accuracy as accuracies
from edgeort.pipeline import checking, packing
from edgeort.pipeline.accuracy import Accuracy
from edgeort.pipeline.pruning import prune
from edgeort.pipeline.result import BuildResult
from edgeort.pipeline.walk import Walk
from edgeort.progress import Progress
from edgeort.validate.validation import compare_with_reference


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
    keep_stages: bool = False,
    progress: Progress | None = None,
) -> BuildResult:
    """Builds the bundle `out` (a folder, or one archive when it ends in .zip) for a device.

    `shapes` fixes dimensions of inputs; `io_layout` is that of rank-4 inputs and outputs; `threads` is the bundle's
    default, the profile's when None. `ram_limit` is what activations may take, in bytes: the runtime works in smaller
    strips to keep it, or BudgetError says the least that it needs. `accuracy` asks for pruning, int8 and a verdict on
    samples. With `keep_stages`, `<out>.stages/` gets the ONNX model after every stage.
    Raises an EdgeortError; then nothing stands at `out` that was not there before.
    """
    if ram_limit is not None and not 0 < ram_limit < 2**63:
        raise InputError(f"ram_limit is {ram_limit}; it is a number of bytes, 1 or more")
    path, out, device = Path(model_path), Path(out), _load_profile(profile)
    asked = (accuracy or Accuracy()).checked(device)
    toolchain.target(device.target.os, device.target.arch)  # before any work: is there one?
    check_writable(out)
    walk = Walk(progress, out.with_name(f"{out.name}.stages") if keep_stages else None)

    with walk.stage("load"):
        graph = walk.keep("load", model.load(path, shapes=shapes))
    with walk.stage("clean"):
        graph = walk.keep("clean", model.clean(graph))
    sets = accuracies.open_sets(asked, graph)
    pruned = None if asked.prune is None else prune(path, shapes, asked, sets, walk)
    graph, reference = (graph, path) if pruned is None else (pruned.graph, pruned.model)
    quantised = None
    if asked.precision != "float32":
        left = None if pruned is None else pruned.model
        quantised = accuracies.quantise(path, shapes, asked, sets, device, walk, left)
        graph, reference = quantised.graph, quantised.model
    with walk.stage("passes"):
        context = _run_passes(graph, device, io_layout, walk)
    with walk.stage("lower"):
        plan = lowering.lower(graph, None if ram_limit else rates_of(device))
        plan.ram_limit = ram_limit or 0
    with walk.stage("compile"):
        library, harness = packing.compile_for(device, plan)
    manifest = packing.make_manifest(path, device, graph, plan, io_layout, threads)
    manifest = replace(manifest, preprocessing=accuracies.preprocessing_of(asked, sets))
    contents = packing.make_contents(manifest, plan, library, harness)
    inputs = checking.golden_inputs(reference, manifest)
    with checking.trial(out, manifest, contents, inputs) as trial:
        with walk.stage("check"):
            ran = checking.run(trial, inputs)
            comparisons = compare_with_reference(reference, manifest, inputs, ran.outputs)
        evaluation = accuracies.judge(trial, path, asked, sets, walk) if sets.judging else None
    with walk.stage("bundle"):
        contents |= golden.files(inputs, dict(zip(manifest.outputs, ran.outputs, strict=True)))
        sizes = packing.sizes_of(contents)
        verdicts = judge(manifest.budgets, sum(sizes.values()), ran.measurement) if ran.measurement else []
        enforce(verdicts)
        ratio = None if pruned is None else pruned.result.ratio
        manifest = replace(manifest, quantization=accuracies.record(asked, quantised, evaluation, ratio))
        write_bundle(out, manifest, contents)
    return BuildResult(
        bundle=out,
        model=path.stem,
        device=device.name,
        bundle_bytes=sum(sizes.values()),
        library_bytes=sizes[manifest.library],
        harness_bytes=sizes[manifest.harness],
        plan_bytes=sizes["model.plan"],
        arena_bytes=ran.arena_bytes,
        ram_limit=ram_limit,
        nodes=len(plan.nodes),
        precisions=dict(Counter(node.precision for node in manifest.nodes)),
        not_int8={node.name: node.reason for node in manifest.nodes if node.reason},
        checked_on=ran.where,
        comparisons=tuple(comparisons),
        samples=sets.told,
        pruning=None if pruned is None else pruned.result,
        quantization=None if quantised is None else quantised.result,
        evaluation=evaluation,
        measurement=ran.measurement,
        budgets=tuple(verdicts),
        rewrites=dict(context.counts),
        refusals=tuple(map(str, context.log)),
        seconds=walk.seconds,
    )


def _load_profile(profile: Profile | str) -> Profile:
    from edgeort import device_profiles

    return device_profiles.load(profile) if isinstance(profile, str) else profile


def _run_passes(graph: ir.Model, profile: Profile, io_layout: IoLayout, walk: Walk) -> passes.PassContext:
    context = passes.PassContext(profile=profile, io_layout=io_layout)
    if walk.folder is None:
        passes.run_passes(graph, context)
        return context
    for step in passes.PASSES:
        passes.run_passes(graph, context, (step,))
        walk.keep(step.__name__, graph)
    return context
