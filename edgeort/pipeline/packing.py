"""What goes into the bundle."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import onnx_ir as ir

import edgeort
from edgeort import toolchain
from edgeort.bundle import Contents, Manifest, Vocabulary, notices
from edgeort.bundle import manifest as manifests
from edgeort.bundle import vocabulary as vocabularies
from edgeort.compiling import signature
from edgeort.device_profiles import Profile
from edgeort.lowering.plan import PlanBuilder
from edgeort.passes.context import IoLayout
from edgeort.validate.assessment import sha256_of

_TOOLS = ("onnx", "onnx-ir", "onnxruntime", "onnxscript", "ziglang")


def compile_for(profile: Profile, plan: PlanBuilder, vocabulary: Vocabulary | None) -> tuple[Path, Path]:
    """The library and the harness with the plan's kernels; with a vocabulary, the library has its tokenizer, too."""
    target = toolchain.target(profile.target.os, profile.target.arch)
    parts = toolchain.TEXT if vocabulary else ()
    return toolchain.library_and_harness(target, plan.ops, _isa_levels(profile, target, plan), parts)


def _isa_levels(profile: Profile, target: toolchain.Target, plan: PlanBuilder) -> tuple[str, ...]:
    """The levels of the profile that the runtime has kernels of the plan for."""
    levels = tuple(level for level in target.levels if level in profile.cpu.isa)
    return toolchain.held_levels(plan.ops, levels)


def make_manifest(
    path: Path, profile: Profile, graph: ir.Model, plan: PlanBuilder, io_layout: IoLayout, threads: int | None
) -> Manifest:
    """The manifest of a build of the model in `path`. ModelError where that cannot be read any more."""
    target = toolchain.target(profile.target.os, profile.target.arch)
    levels, (inputs, outputs) = _isa_levels(profile, target, plan), signature(graph)
    budgets = {name: value for name, value in asdict(profile.budget).items() if value is not None}
    return Manifest(
        edgeort=edgeort.__version__,
        model=path.stem,
        model_sha256=sha256_of(path),
        device=profile.name,
        target=manifests.Target(target.os, target.arch, target.triple, levels, profile.cpu.qemu),
        threads=threads or profile.runtime.threads,
        ram_limit=plan.ram_limit,
        io_layout=io_layout,
        inputs=inputs,
        outputs=outputs,
        nodes=tuple(
            manifests.Node(
                node.name,
                node.op,
                "cpu",
                plan.precision(node),
                plan.reasons.get(node.name, ""),
                plan.weights(node)[0],
            )
            for node in plan.nodes
        ),
        kernels=tuple(plan.ops),
        budgets=budgets,
        tools={name: version(name) for name in _TOOLS},
        library=f"lib/{target.library}",
        harness=f"bin/{target.exe}",
    )


def make_contents(
    manifest: Manifest, plan: PlanBuilder, library: Path, harness: Path, vocabulary: Vocabulary | None
) -> dict[str, bytes | Path]:
    """Everything but golden/."""
    text: dict[str, bytes | Path] = {}
    if vocabulary:
        text = {vocabularies.PLACE: vocabulary.path, vocabularies.HEADER: toolchain.RUNTIME / vocabularies.HEADER}
    return {
        **text,
        "model.plan": plan.to_bytes(),
        manifest.library: library,
        manifest.harness: harness,
        "include/edgeort.h": toolchain.RUNTIME / "include/edgeort.h",
        **notices.files(),
    }


def sizes_of(contents: Contents) -> dict[str, int]:
    """Bytes of every file."""
    return {name: len(c) if isinstance(c, bytes) else c.stat().st_size for name, c in contents.items()}
