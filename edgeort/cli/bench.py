"""`edgeort bench`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeort.cli.common import Json, On, Threads, command, print_json, print_table, size, stages

if TYPE_CHECKING:
    from edgeort.bench import Measurement, Verdict


@command
def bench(
    bundle: Annotated[Path, typer.Argument(help="A bundle: folder or .zip.")],
    on: On = None,
    threads: Threads = None,
    runs: Annotated[int, typer.Option("--runs", min=1, help="Timed runs.")] = 50,
    warmup: Annotated[int, typer.Option("--warmup", min=0, help="Runs before those.")] = 5,
    isa: Annotated[str | None, typer.Option("--isa", help="Use the kernels of a lower ISA level.")] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Time every node.")] = False,
    as_json: Json = False,
) -> None:
    """Measure a bundle with its own harness, and judge it by the budgets of its profile."""
    from edgeort import bench as benches
    from edgeort.bundle import open_bundle
    from edgeort.devices import Job, open_device

    with stages() as progress, open_bundle(bundle) as opened:
        manifest = opened.manifest
        job = Job(threads or manifest.threads, runs, warmup, check=True, isa=isa, profile=profile)
        with open_device(on, manifest) as device:
            progress(f"measuring on {device.name}")
            found = benches.measure(opened, device, job)
        verdicts = benches.judge(manifest.budgets, opened.size_bytes, found)
    if as_json:
        print_json({"bundle": str(bundle), **asdict(found), "budgets": [asdict(verdict) for verdict in verdicts]})
    else:
        _print(bundle, found, verdicts)
    benches.enforce(verdicts)


def _print(bundle: Path, found: Measurement, verdicts: list[Verdict]) -> None:
    latency = ", ".join(f"{name} {found.latency_ms[name]:.3f}" for name in ("p50", "p90", "p99", "min", "mean"))
    caution = "" if found.is_real else " (emulated: says nothing about the device)"
    rows = [
        ("device", f"{found.device}, ISA level {found.isa}, {found.threads} thread(s)"),
        ("load", f"{found.load_ms:.2f} ms, first run {found.first_run_ms:.3f} ms{caution}"),
        ("latency", f"{latency} ms{caution}"),
        (
            "memory",
            f"weights {size(found.weights_bytes)}, arena {size(found.arena_bytes)}, "
            f"peak {size(found.peak_rss_bytes)}{'' if found.is_real else ' with the emulator'}",
        ),
        ("digest", f"{found.digest}, golden outputs {found.check}"),
    ]
    for v in verdicts:
        measured = "not judged here" if v.measured is None else f"{v.measured:.4g} {v.unit}"
        rows.append((v.budget, f"{measured}, budget {v.limit:g} {v.unit}"))
    print_table(str(bundle), rows)
    timed = [node for node in found.profile if not node["skipped"]]
    total = sum(node["ms"] for node in timed) or 1.0
    if timed:
        nodes = [(f"{n['ms']:.4f}", f"{n['ms'] / total:.1%}", n["op"], n["name"]) for n in timed]
        print_table("nodes", nodes, ("ms", "share", "kernel", "node"))
