"""Every node: who runs it and why so, and what it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from edgeort.bench import Measurement
from edgeort.bundle import Manifest

_TIMED = ("ms", "gflops", "share_of_peak")


def nodes(manifest: Manifest, found: Measurement | None) -> list[dict[str, Any]]:
    """The nodes of the manifest in order: its fields, `skipped`, `ms`, `share` of the time of all, and work per time.

    `part_of` names the node in whose run a skipped one is done, None where it is not run at all.

    What is not known is None: times of an emulator, and those of an engine that has renamed its nodes.
    """
    rows = found.profile if found and _same_names(manifest, found.profile) else []
    timed = bool(found and found.is_real and rows)
    total = sum(row["ms"] for row in rows) or 1.0
    made = []
    for index, node in enumerate(manifest.nodes):
        row = rows[index] if rows else {}
        known = {key: row.get(key) if timed else None for key in _TIMED}
        known["macs"] = row.get("macs") if timed else node.macs  # with those that run within it
        share = row["ms"] / total if timed else None
        told = {"skipped": row.get("skipped"), "part_of": _part_of(index, rows)}
        made.append({"index": index, **asdict(node), **told, **known, "share": share})
    return made


def _part_of(index: int, rows: Sequence[dict[str, Any]]) -> str | None:
    at = rows[index].get("run_of", index) if rows else index
    return rows[at]["name"] if 0 <= at < len(rows) and at != index else None


def engine_nodes(manifest: Manifest, found: Measurement | None) -> list[dict[str, Any]]:
    """The nodes of an engine that has fused and renamed those of the model, where it tells their times."""
    if found is None or not found.is_real or _same_names(manifest, found.profile):
        return []
    total = sum(row["ms"] for row in found.profile) or 1.0
    return [{"index": index, **row, "share": row["ms"] / total} for index, row in enumerate(found.profile)]


def counts(manifest: Manifest) -> dict[str, dict[str, int]]:
    """Nodes by provider, precision, and how their weights are stored; the most frequent first."""
    fields = ("provider", "precision", "weights")
    found = {field: Counter(getattr(node, field) for node in manifest.nodes) for field in fields}
    return {field: {name: n for name, n in counter.most_common() if name} for field, counter in found.items()}


def _same_names(manifest: Manifest, profile: Sequence[dict[str, Any]]) -> bool:
    return [node.name for node in manifest.nodes] == [row["name"] for row in profile]
