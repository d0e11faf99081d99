"""Every node: who runs it and why so, and what it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from edgeort.bench import Measurement
from edgeort.bundle import Manifest

_TIMED = ("ms", "macs", "gflops", "share_of_peak")


def nodes(manifest: Manifest, found: Measurement | None) -> list[dict[str, Any]]:
    """The nodes of the manifest in order: its fields, `skipped`, `ms`, `share` of the time of all, and work per time.

    What is not known is None: times of an emulator, and those of an engine that has renamed its nodes.
    """
    rows = found.profile if found and _same_names(manifest, found.profile) else []
    timed = bool(found and found.is_real and rows)
    total = sum(row["ms"] for row in rows) or 1.0
    made = []
    for index, node in enumerate(manifest.nodes):
        row = rows[index] if rows else {}
        known = {key: row.get(key) if timed or key == "macs" else None for key in _TIMED}
        share = row["ms"] / total if timed else None
        made.append({"index": index, **asdict(node), "skipped": row.get("skipped"), **known, "share": share})
    return made


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
    return {field: dict((name, n) for name, n in counter.most_common() if name) for field, counter in found.items()}


def _same_names(manifest: Manifest, profile: Sequence[dict[str, Any]]) -> bool:
    return [node.name for node in manifest.nodes] == [row["name"] for row in profile]
