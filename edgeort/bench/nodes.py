"""What the nodes of a profile achieve: multiply-adds, GFLOP/s, and their share of what the device can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgeort.bundle.manifest import INT8, Manifest

# Precision of a node -> the profile's figure for it. The half types are storage: products compute in float32.
_RATES = {INT8: "int8_gops", **dict.fromkeys(("f32", "f16", "bf16"), "float32_gflops")}


def with_work(
    rows: Sequence[Mapping[str, Any]], manifest: Manifest, threads: int, *, is_real: bool
) -> list[dict[str, Any]]:
    """The rows of the harness's profile with `macs`, `gflops` and `share_of_peak`; each None where it is not known.

    `macs` are the multiply-adds that the model asks for on the golden inputs, whatever the kernel saves (Winograd,
    zeros that are left out), so that a share may exceed 1; those of nodes that run as a part of another one are
    counted there. A multiply-add is two operations. Nothing is known of other engines, which have nodes of their own,
    and no rates are where times are not the device's.
    """
    nodes = manifest.nodes
    if len(rows) != len(nodes) or any(row["name"] != node.name for row, node in zip(rows, nodes, strict=True)):
        return [{**row, "macs": None, "gflops": None, "share_of_peak": None} for row in rows]
    totals: list[int | None] = [0] * len(rows)
    for row, node in zip(rows, nodes, strict=True):
        if row["run_of"] >= 0:
            before = totals[row["run_of"]]
            totals[row["run_of"]] = None if before is None or node.macs is None else before + node.macs
    made = []
    for row, node, macs in zip(rows, nodes, totals, strict=True):
        rate = 2e-6 * macs / row["ms"] if macs and row["ms"] and is_real else None
        peak = _peak(manifest, node.precision, threads)
        share = rate / peak if rate is not None and peak else None
        made.append({**row, "macs": None if row["skipped"] else macs, "gflops": rate, "share_of_peak": share})
    return made


def _peak(manifest: Manifest, precision: str, threads: int) -> float | None:
    """What the device was measured to reach at most in that precision with so many threads, GFLOP/s or Gop/s."""
    measured, name = manifest.measured, _RATES.get(precision)
    if measured is None or name is None or threads not in (1, measured.threads):
        return None
    rate: float = getattr(measured, name if threads == 1 else f"{name}_all")
    return rate
