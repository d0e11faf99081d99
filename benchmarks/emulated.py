"""Executed instructions and modelled cache traffic of one inference on an emulated Arm core.

    python -m benchmarks.emulated [MODEL...] [--cpu cortex-a72] [--l2-kib 1024] [--nodes] [--json FILE]

The harness of a bundle runs under QEMU with a counting plugin, once with N and once with N + 1 inferences: the
difference is one inference in its steady state. Counts repeat to a few thousand instructions, which the harness takes
to print its times; they say nothing of time by themselves. With --nodes also each node of the last inference: the
harness reads the clock around every one.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks import tables
from benchmarks.counter import Caches, Counts, count, count_between_clocks
from benchmarks.models import MODELS, Model, find, quantised
from edgeort import device_profiles, toolchain
from edgeort.compiling import plan_of
from edgeort.errors import EdgeortError

# QEMU's CPU model -> the profile that plans are made for, and that core's caches. The A72's are those of the
# Raspberry Pi 4; the A76 has 64 KiB, 4 ways (TRM, 100798) and here the same level 2, to compare like with like.
CPUS: dict[str, tuple[str, Caches]] = {
    "cortex-a72": ("raspberrypi4", Caches()),
    "cortex-a76": ("raspberrypi5", Caches(l1_kib=64, l1_ways=4)),
}

# Peers on the emulated Cortex-A72 with 1 MiB of level 2: million instructions and MB over level 2 an inference, as
# measured when the bars were set. Not measured by this command: the peers need an Arm build each.
PEERS: dict[str, dict[str, tuple[float, float]]] = {
    "mobilenetv2_100": {"ONNX Runtime": (211, 98), "ncnn": (103, 206), "LiteRT": (125, 107)},
    "efficientnet_lite0": {"ONNX Runtime": (335, 110), "ncnn": (129, 220), "LiteRT": (161, 123)},
    "resnet18": {"ONNX Runtime": (667, 130), "ncnn": (241, 436)},
    "mobilenetv3_small_100": {"ONNX Runtime": (81, 29), "ncnn": (24, 40)},
}


@dataclass(frozen=True)
class Row:
    """One model: counts of one inference, and the sizes in bytes of the arena and of the stripped library."""

    model: str
    counts: Counts
    arena_bytes: int
    library_bytes: int
    isa: str


@dataclass(frozen=True)
class NodeCounts:
    """One node that runs by itself, or with others that it streams."""

    name: str
    op: str
    counts: Counts


@dataclass(frozen=True)
class Harness:
    """The harness of a bundle, but for its number of runs, and the library's size in bytes."""

    command: list[str]
    library_bytes: int


def _harness(model: Model, cpu: str, folder: Path) -> Harness:
    """What it reads is written to `folder`."""
    profile = device_profiles.load(CPUS[cpu][0])
    target = toolchain.target(profile.target.os, profile.target.arch)
    levels = tuple(level for level in target.levels if level in profile.cpu.isa)
    plan, _ = plan_of(model.path, profile)
    library, harness = toolchain.library_and_harness(target, plan.ops, levels)
    (folder / "model.plan").write_bytes(plan.to_bytes())
    for index, array in enumerate(model.feeds.values()):
        np.save(folder / f"input{index}.npy", array)
    command = [str(harness), str(folder / "model.plan"), "--json", "--threads", "1", "--warmup", "0"]
    return Harness([*command, "--inputs", str(folder), "--runs"], library.stat().st_size)


def measure(model: Model, cpu: str, caches: Caches, runs: int) -> Row:
    """Counts run `runs` + 1 of the model after `runs` others."""
    with tempfile.TemporaryDirectory(prefix="edgeort-") as folder:
        harness = _harness(model, cpu, Path(folder))
        fewer, _ = count([*harness.command, str(runs)], cpu, caches)
        more, told = count([*harness.command, str(runs + 1)], cpu, caches)
    stats = json.loads(told)
    return Row(model.name, more - fewer, stats["arena_bytes"], harness.library_bytes, stats["isa"])


def by_node(model: Model, cpu: str, caches: Caches) -> list[NodeCounts]:
    """Counts of each node of the second inference."""
    with tempfile.TemporaryDirectory(prefix="edgeort-") as folder:
        harness = _harness(model, cpu, Path(folder))
        marks, told = count_between_clocks([*harness.command, "2", "--profile"], cpu, caches)
    nodes = [node for node in json.loads(told)["profile"] if not node["skipped"]]
    # Two marks a node. Others read clocks, too: threads that share work, the harness; not as often from one place.
    (place, _), *_ = Counter(mark.place for mark in marks).most_common(1)
    own = [mark.counts for mark in marks if mark.place == place][-2 * len(nodes) :]
    return [NodeCounts(n["name"], n["op"], own[2 * i + 1] - own[2 * i]) for i, n in enumerate(nodes)]


def table_of_nodes(model: str, nodes: Sequence[NodeCounts]) -> Table:
    """A row a node."""
    counts = ("M instructions", "of them FMA", "MB filled", "MB written back", "M level-1 misses")
    made = tables.new_table(f"{model}, node by node", "node", "operator", *counts)
    for node in nodes:
        c = node.counts
        made.add_row(
            node.name,
            node.op,
            *(f"{n * 1e-6:.2f}" for n in (c.instructions, c.multiply_adds, c.filled_bytes, c.written_back_bytes)),
            f"{c.l1_misses * 1e-6:.2f}",
        )
    return made


def table(rows: Sequence[Row], cpu: str, caches: Caches) -> Table:
    """A row a model; where peers are known, the least of theirs beside."""
    title = f"One inference on an emulated {cpu}, {caches.l2_kib} KiB of level 2, one thread"
    counts = ("M instructions", "of them FMA", "best peer", "M loads", "M stores", "MB filled", "MB written back")
    sizes = ("arena MB", "library KB")
    made = tables.new_table(title, "model", *counts, "MB over L2", "best peer", "ratio", *sizes)
    for row in rows:
        c, peers = row.counts, PEERS.get(row.model, {}) if (cpu, caches) == ("cortex-a72", Caches()) else {}
        instructions, traffic = (min((p[i] for p in peers.values()), default=None) for i in (0, 1))
        made.add_row(
            row.model,
            *(f"{n * 1e-6:.1f}" for n in (c.instructions, c.multiply_adds)),
            "-" if instructions is None else f"{instructions:g}",
            *(f"{n * 1e-6:.1f}" for n in (c.loads, c.stores)),
            *(f"{n * 1e-6:.1f}" for n in (c.filled_bytes, c.written_back_bytes)),
            f"{c.memory_mb:.1f}",
            "-" if traffic is None else f"{traffic:g}",
            "-" if traffic is None else f"{c.memory_mb / traffic:.2f}",
            f"{row.arena_bytes * 1e-6:.2f}",
            f"{row.library_bytes / 1000:.0f}",
        )
    return made


def as_json(rows: Sequence[Row], cpu: str, caches: Caches, where: dict[str, Any]) -> dict[str, Any]:
    """Everything, the peers' figures too."""
    found = [{**asdict(row), "memory_mb": row.counts.memory_mb, "peers": PEERS.get(row.model)} for row in rows]
    return {"machine": where, "cpu": cpu, "caches": asdict(caches), "rows": found}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.emulated", description=__doc__)
    made.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(MODELS)}; default: those with peers")
    made.add_argument("--int8", action="store_true", help="the models as int8")
    made.add_argument("--cpu", choices=CPUS, default="cortex-a72")
    made.add_argument("--l2-kib", type=int, metavar="N", help="size of level 2, a power of two")
    made.add_argument("--runs", type=int, default=1, metavar="N", help="the N of the difference")
    made.add_argument("--nodes", action="store_true", help="each node, too")
    made.add_argument("--json", type=Path, metavar="FILE")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 2 when an argument is at fault or something is missing."""
    args = parser().parse_args(arguments)
    where, caches = tables.machine(), CPUS[args.cpu][1]
    if args.l2_kib:
        caches = Caches(caches.l1_kib, caches.l1_ways, args.l2_kib)
    rows: list[Row] = []
    nodes: dict[str, list[NodeCounts]] = {}
    try:
        for name in args.models or list(PEERS):
            model = (quantised if args.int8 else find)(name)
            rows.append(measure(model, args.cpu, caches, args.runs))
            if args.nodes:
                nodes[name] = by_node(model, args.cpu, caches)
            print(f"{name}: {rows[-1].counts.instructions * 1e-6:.1f} M instructions", file=sys.stderr, flush=True)
        tables.write_json(args.json, as_json(rows, args.cpu, caches, where))
    except EdgeortError as error:
        print(f"{error}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code
    for name, found in nodes.items():
        tables.show(table_of_nodes(name, found))
    tables.show(table(rows, args.cpu, caches), f"ISA level {rows[0].isa}; {where['date']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
