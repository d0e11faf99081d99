"""What goes into the bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import edgeort
from edgeort import toolchain
from edgeort.bundle import Contents, Manifest, Vocabulary, development, notices, python_module, readme
from edgeort.bundle import manifest as manifests
from edgeort.bundle import vocabulary as vocabularies
from edgeort.providers import Made, Request
from edgeort.validate.assessment import sha256_of

_TOOLS = ("onnx", "onnx-ir", "onnxruntime", "onnxscript", "ziglang")


def make_manifest(path: Path, request: Request, made: Made, model_licence: str = "") -> Manifest:
    """The manifest of a build of the model in `path`, of that licence. ModelError where it cannot be read any more."""
    profile = request.profile
    budgets = {name: value for name, value in asdict(profile.budget).items() if value is not None}
    return Manifest(
        edgeort=edgeort.__version__,
        model=path.stem,
        model_sha256=sha256_of(path),
        device=profile.name,
        provider=made.provider,
        artefact=made.model,
        target=manifests.Target(profile.target.os, profile.target.arch, made.triple, made.levels, profile.cpu.qemu),
        threads=request.threads,
        ram_limit=request.ram_limit or 0,
        io_layout=request.io_layout,
        inputs=made.inputs,
        outputs=made.outputs,
        nodes=made.nodes,
        kernels=made.kernels,
        budgets=budgets,
        tools={name: version(name) for name in _TOOLS} | dict(made.tools),
        library=made.library,
        harness=made.harness,
        min_sqnr_db=made.min_sqnr_db,
        requirements=made.requirements,
        model_licence=model_licence,
        measured=None if profile.measured is None else replace(profile.measured, engines=()),
    )


def make_contents(
    manifest: Manifest, made: Made, parts: Sequence[str], vocabulary: Vocabulary | None
) -> dict[str, bytes | Path]:
    """Everything but golden/; `parts` of the runtime have a header each."""
    headers = [f"edgeort_{part}.h" for part in parts]
    text: dict[str, bytes | Path] = {f"include/{name}": toolchain.RUNTIME / "include" / name for name in headers}
    if vocabulary:
        text[vocabularies.PLACE] = vocabulary.path
    if made.requirements:
        text["requirements.txt"] = "".join(f"{line}\n" for line in made.requirements).encode()
    about = {
        **development.files(manifest, ("edgeort.h", *headers), static=f"lib/{toolchain.STATIC}" in made.files),
        **python_module.files(manifest),
        **notices.files(manifest, made.notices),
    }
    contents = {**text, **made.files, **about}
    return {**contents, **readme.files(manifest, contents)}


def sizes_of(contents: Contents) -> dict[str, int]:
    """Bytes of every file."""
    return {name: len(c) if isinstance(c, bytes) else c.stat().st_size for name, c in contents.items()}
