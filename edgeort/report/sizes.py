"""Where the bytes of a bundle are: its files by what they are for, and the constants of its plan."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from edgeort.bundle import Bundle
from edgeort.errors import PlanError
from edgeort.lowering.contents import constants

# The beginning of a path in the bundle -> what such files are; the first that fits counts.
SECTIONS = (
    ("model.plan.sig", "signature"),
    ("model.plan", "plan: graph and weights"),
    ("model/", "model of the engine"),
    ("lib/cmake/", "build files for CMake and pkg-config"),
    ("lib/pkgconfig/", "build files for CMake and pkg-config"),
    ("lib/", "library"),
    ("bin/", "harness"),
    ("golden/", "golden inputs and outputs"),
    ("tokenizer/", "tokenizer"),
    ("include/", "C headers"),
    ("licences/", "licences"),
    ("", "other files"),
)


def sizes(bundle: Bundle) -> dict[str, Any]:
    """`sections` and `files`, the largest first, and `plan`: its constants, None for other providers' models."""
    manifest = bundle.manifest
    totals: dict[str, dict[str, Any]] = {}
    for path, entry in manifest.files.items():
        name = _section(path, manifest.library, manifest.provider)
        row = totals.setdefault(name, {"section": name, "size_bytes": 0, "files": 0})
        row["size_bytes"] += entry.size_bytes
        row["files"] += 1
    files = [{"path": path, **asdict(entry)} for path, entry in manifest.files.items()]
    return {
        "total_bytes": bundle.size_bytes,
        "sections": sorted(totals.values(), key=lambda row: -row["size_bytes"]),
        "files": sorted(files, key=lambda row: -row["size_bytes"]),
        "plan": _plan(bundle),
    }


def _section(path: str, library: str, provider: str) -> str:
    """Beside the adapter, which is the library with the C API, lib/ holds libraries of the engine."""
    name = next(name for start, name in SECTIONS if path.startswith(start))
    if name != "library" or provider == "cpu":
        return "library: runtime and kernels" if name == "library" else name
    return "adapter to the engine" if path == library else f"libraries of {provider}"


def _plan(bundle: Bundle) -> list[dict[str, Any]] | None:
    if bundle.manifest.provider != "cpu":
        return None
    try:
        found = constants(bundle.artefact.read_bytes())
    except PlanError:
        return None
    rest = bundle.artefact.stat().st_size - sum(row.size_bytes for row in found)
    nodes = len(bundle.manifest.nodes)
    graph = {"use": "nodes, parameters and padding", "form": "records", "count": nodes, "size_bytes": rest}
    return sorted([*map(asdict, found), graph], key=lambda row: -row["size_bytes"])
