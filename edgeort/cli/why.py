"""`edgeort why`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeort.cli.common import Json, command, ms, print_json, print_table, size, stages
from edgeort.errors import InputError

if TYPE_CHECKING:
    from edgeort.bench import Measurement
    from edgeort.bundle import Bundle
    from edgeort.providers import Node

LARGEST_SHOWN = 8


@command
def why(
    bundle: Annotated[Path, typer.Argument(help="A bundle: folder or .zip.")],
    node: Annotated[str | None, typer.Argument(help="A node, by its name or a part of it.")] = None,
    as_json: Json = False,
) -> None:
    """Say why a bundle is as it is: its provider, each node's precision, where its bytes and its milliseconds go."""
    from edgeort.bundle import open_bundle

    with stages() as progress, open_bundle(bundle) as opened:
        progress("measuring each node")
        found = _timed(opened)
        nodes = _nodes(opened, found, node)
        if as_json:
            print_json(_told(opened, found, nodes))
        else:
            _print(opened, found, nodes, node)


def _timed(bundle: Bundle) -> Measurement | None:
    """Times of nodes, where the device is here and its engine tells them."""
    from edgeort.bench import measure
    from edgeort.devices import Job, open_device
    from edgeort.errors import DeviceError

    try:
        device = open_device(None, bundle.manifest)
    except DeviceError:
        return None
    job = Job(bundle.manifest.threads, runs=20, warmup=3, profile=True)
    with device:
        return measure(bundle, device, job) if device.is_real else None


def _nodes(bundle: Bundle, found: Measurement | None, wanted: str | None) -> list[tuple[Node, float | None]]:
    """The nodes that were asked for, each with its milliseconds. InputError where there is no such node."""
    times = {row["name"]: row["ms"] for row in found.profile} if found else {}
    nodes = [(n, times.get(n.name)) for n in bundle.manifest.nodes if wanted is None or wanted in n.name]
    if not nodes and wanted is not None:
        raise InputError(f"{bundle.path} has no node {wanted!r}", hint=f"edgeort why {bundle.path}")
    return nodes


def _told(bundle: Bundle, found: Measurement | None, nodes: list[tuple[Node, float | None]]) -> dict[str, Any]:
    from dataclasses import asdict

    manifest = bundle.manifest
    return {
        "bundle": str(bundle.path),
        "provider": manifest.provider,
        "candidates": list(manifest.candidates),
        "latency_ms": found.latency_ms if found else None,
        "size_bytes": {name: entry.size_bytes for name, entry in manifest.files.items()},
        "nodes": [{**asdict(node), "ms": took} for node, took in nodes],
    }


def _print(
    bundle: Bundle, found: Measurement | None, nodes: list[tuple[Node, float | None]], wanted: str | None
) -> None:
    manifest = bundle.manifest
    if wanted is None:
        rows = [("device", manifest.device), ("provider", f"{manifest.provider}: {_choice(bundle)}")]
        precisions = Counter(node.precision for node in manifest.nodes)
        rows.append(("precision", ", ".join(f"{count} {name}" for name, count in precisions.most_common())))
        if found is not None:
            rows.append(("latency", f"p50 {ms(found.latency_ms['p50'])} ms with {found.threads} thread(s)"))
        print_table(str(bundle.path), rows)
        largest = sorted(manifest.files.items(), key=lambda item: -item[1].size_bytes)[:LARGEST_SHOWN]
        print_table("bytes", [(name, size(entry.size_bytes)) for name, entry in largest], ("file", "size"))
        nodes = [(n, took) for n, took in nodes if took is None or took > 0]
        if manifest.provider != "cpu" and found is not None:
            _print_engine(found)
            return
    total = sum(took or 0.0 for _, took in nodes) or 1.0
    ordered = sorted(nodes, key=lambda pair: -(pair[1] or 0.0))[: None if wanted else 2 * LARGEST_SHOWN]
    table = [
        (_ms(took), _share(took, total), n.provider, n.precision, n.weights, n.op, n.name, n.reason)
        for n, took in ordered
    ]
    headers = ("ms", "share", "provider", "precision", "weights", "kernel", "node", "because")
    print_table("nodes" if wanted else "nodes that take most", table, headers)


def _print_engine(found: Measurement) -> None:
    """The nodes of another engine, which has fused and renamed those of the model."""
    timed = sorted((row for row in found.profile if row["ms"]), key=lambda row: -row["ms"])
    total = sum(row["ms"] for row in timed) or 1.0
    rows = [(_ms(r["ms"]), _share(r["ms"], total), r["op"], r["name"]) for r in timed[: 2 * LARGEST_SHOWN]]
    print_table("the engine's nodes that take most", rows, ("ms", "share", "kernel", "node"))


def _ms(took: float | None) -> str:
    return "" if took is None else f"{took:.4f}"


def _share(took: float | None, total: float) -> str:
    return "" if took is None else f"{took / total:.1%}"


def _choice(bundle: Bundle) -> str:
    """Why this provider, in words."""
    rows = bundle.manifest.candidates
    others = [row for row in rows if not row["chosen"]]
    taken = next((row for row in rows if row["chosen"]), None)
    if taken is None or not others:
        return "; ".join(filter(None, ("the only one that was tried", taken["reason"] if taken else "")))
    told = [f"{row['provider']} {_against(taken, row)}" for row in others]
    raced = any(row["latency_ms"] and not row["predicted"] for row in others)
    return f"{'preferred or fastest' if raced else taken['reason'] or 'no other was measured'}; " + ", ".join(told)


def _against(taken: dict[str, Any], other: dict[str, Any]) -> str:
    if other["latency_ms"] and taken["latency_ms"] and not taken["predicted"] and not other["predicted"]:
        return f"took {other['latency_ms'] / taken['latency_ms']:.2f} of its time"
    return f"({other['reason']})" if other["reason"] else "was not measured"
