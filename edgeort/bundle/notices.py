"""licences/: what a bundle consists of besides the model, each with its licence and where it comes from.

NOTICE.txt is for people, sbom.cdx.json the same as CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/), without times
and random numbers.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import Any

from edgeort.bundle.manifest import Manifest
from edgeort.providers import Part

NOTICE, SBOM = "licences/NOTICE.txt", "licences/sbom.cdx.json"

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://onnx.ai/edgeort/sbom")
_RUNTIME = Part(
    "edgeort",
    "Apache-2.0",
    "edgeort in PyPI; text: LICENSE of that distribution",
    "the runtime, its kernels, the harness",
)
_MUSL = Part(
    "musl",
    "MIT",
    "https://musl.libc.org, file COPYRIGHT",
    "the C library inside bin/edgeort_bench",
)
_COMPILER = (
    Part(
        "LLVM compiler-rt",
        "Apache-2.0 WITH LLVM-exception",
        "https://llvm.org, file compiler-rt/LICENSE.TXT",
        "helper functions",
    ),
    Part("Zig compiler_rt", "MIT", "https://ziglang.org, file LICENSE", "helper functions of the compiler"),
)
_MINGW = Part(
    "MinGW-w64 runtime",
    "ZPL-2.1",
    "https://www.mingw-w64.org, file COPYING.MinGW-w64-runtime",
    "start-up code",
)
_WASI = Part(
    "wasi-libc",
    "MIT AND Apache-2.0 WITH LLVM-exception",
    "https://github.com/WebAssembly/wasi-libc, file LICENSE",
    "the C library inside the modules",
)
_OF_SYSTEMS = {"linux": (_MUSL,), "android": (_MUSL,), "windows": (_MINGW,), "browser": (_WASI,), "none": (_MUSL,)}


def files(manifest: Manifest, others: Iterable[Part] = (), *, with_harness: bool = True) -> dict[str, bytes]:
    """The content of licences/; `others` are parts that are in this bundle only."""
    own = ()
    if manifest.library:
        system = _OF_SYSTEMS.get(manifest.target.os, ()) if with_harness else ()
        linked = () if manifest.library.endswith(".a") else _COMPILER  # an archive has the runtime's objects alone
        own = (_RUNTIME._replace(version=manifest.edgeort), *system, *linked)
    parts = (*own, *others)
    return {NOTICE: _notice(manifest, parts).encode(), SBOM: _sbom(manifest, parts)}


def _notice(manifest: Manifest, parts: Iterable[Part]) -> str:
    lines = ["Software in this bundle, and the terms it comes under.", ""]
    for part in parts:
        name = f"{part.name} {part.version}".rstrip()
        lines += [name, f"  licence: {part.licence}", f"  source:  {part.source}", f"  used as: {part.use}", ""]
    if manifest.model_licence:
        lines += [f"The model {manifest.model} and its weights: {manifest.model_licence}.", ""]
    else:
        lines += ["The model and its weights keep the licence of whoever made them.", ""]
    return "\n".join(lines)


def _sbom(manifest: Manifest, parts: Iterable[Part]) -> bytes:
    model: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": manifest.model,
        "hashes": [{"alg": "SHA-256", "content": manifest.model_sha256}],
    }
    if manifest.model_licence:
        model["licenses"] = [{"expression": manifest.model_licence}]
    components = [model, *map(_component, parts)]
    tools = [{"type": "application", "name": name, "version": found} for name, found in sorted(manifest.tools.items())]
    bundle = {"type": "application", "bom-ref": "bundle", "name": f"{manifest.model}-{manifest.device}"}
    document: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": bundle, "tools": {"components": tools}},
        "components": components,
        "dependencies": [{"ref": "bundle", "dependsOn": [component["bom-ref"] for component in components]}],
    }
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(_NAMESPACE, json.dumps(document, sort_keys=True))}"
    return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()


def _component(part: Part) -> dict[str, Any]:
    component = {
        "type": "library",
        "bom-ref": part.name,
        "name": part.name,
        "licenses": [{"expression": part.licence}],
        "description": f"{part.use}; source: {part.source}",
    }
    return {**component, "version": part.version} if part.version else component
