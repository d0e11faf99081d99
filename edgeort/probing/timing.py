"""Times of the blocks on a device, by the harness that every bundle has."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeort import lowering, model, passes, toolchain
from edgeort.device_profiles import Profile
from edgeort.devices import Transport
from edgeort.lowering.costs import Cost, costs
from edgeort.lowering.where_int8 import rates_of
from edgeort.probing import blocks
from edgeort.probing.programs import printed
from edgeort.probing.rates import Timed
from edgeort.progress import Progress

_HARNESS = "bin/edgeort_bench"
_REPEATS, _RUNS = 8, 3  # a block's best of so many medians counts: something else can only make it slower
_SLOW_REPEATS = 3  # of one run each, where that alone takes as long as a measurement should
_WARMUP = 2


@dataclass(frozen=True)
class Plan:
    """Blocks side by side as one plan: its bytes, the kernels that it needs, each node's name, operator and cost."""

    raw: bytes
    ops: tuple[str, ...]
    nodes: tuple[tuple[str, str, Cost], ...]

    def kernels(self, branch: str) -> tuple[tuple[str, Cost], ...]:
        """What a block calls, and what each call costs."""
        return tuple((op, cost) for name, op, cost in self.nodes if branch_of(name) == branch)


def plan(quantised: bool, profile: Profile, *, all_int8: bool = False) -> Plan:
    """All blocks for a device, in float32 or int8; with `all_int8` also where its cores are faster in float32."""
    graph = model.infer_shapes(blocks.network(quantised).model())  # there is nothing to clean
    passes.run_passes(graph, passes.PassContext(profile=profile))
    lowered = lowering.lower(graph, None if all_int8 else rates_of(profile))
    shapes = {str(value.name): tuple(int(dim) for dim in value.shape or ()) for value in graph.graph.inputs}  # type: ignore[arg-type]
    found = zip(lowered.nodes, costs(lowered, graph, shapes), strict=True)
    return Plan(lowered.to_bytes(), tuple(lowered.ops), tuple((node.name, node.op, cost) for node, cost in found))


class Stopwatch:
    """The blocks on a device, ready to be timed."""

    def __init__(self, transport: Transport, profile: Profile, milliseconds: int) -> None:
        self._transport, self._milliseconds = transport, milliseconds
        self.plans = {name: plan(name == "int8", profile) for name in ("float32", "int8")}
        ops = sorted({op for made in self.plans.values() for op in made.ops})
        target = toolchain.target(profile.target.os, profile.target.arch)
        levels = toolchain.held_levels(ops, [level for level in target.levels if level in profile.cpu.isa])
        with tempfile.TemporaryDirectory(prefix="edgeort-") as name:
            files = {_HARNESS: toolchain.harness(target, ops, levels)}
            for kind, made in self.plans.items():
                files[f"{kind}.plan"] = Path(name) / f"{kind}.plan"
                files[f"{kind}.plan"].write_bytes(made.raw)
            self._folder = transport.push(files, keep=False)

    def time(self, threads: int, say: Progress) -> list[Timed]:
        """Every block in float32 and int8 with so many threads; `say` hears how long it takes."""
        return [block for kind in self.plans for block in self._time(kind, threads, say)]

    def _time(self, kind: str, threads: int, say: Progress) -> list[Timed]:
        what = f"timing {kind} kernels with {threads} thread(s)"
        say(what)
        once = self._run(kind, threads, 1)["latency_ms"]["p50"]
        repeats, runs = effort(once, self._milliseconds)
        say(f"{what}: about {math.ceil(repeats * (runs + _WARMUP) * once * 1e-3)} s")
        found: dict[str, float] = {}
        for _ in range(repeats):
            for branch, us in self._by_branch(kind, self._run(kind, threads, runs)["profile"]).items():
                found[branch] = min(us, found.get(branch, us))
        return [Timed(f"{kind}/{branch}", self.plans[kind].kernels(branch), us) for branch, us in found.items()]

    def _by_branch(self, kind: str, profile: list[Mapping[str, Any]]) -> dict[str, float]:
        """Microseconds of each branch: a node may be timed as a part of another one's run, but of its own branch's."""
        found: dict[str, float] = {}
        for (name, _, _), row in zip(self.plans[kind].nodes, profile, strict=True):
            assert row["name"] == name, (row["name"], name)
            branch = branch_of(name)
            found[branch] = found.get(branch, 0.0) + row["ms"] * 1e3
        return found

    def _run(self, kind: str, threads: int, runs: int) -> dict[str, Any]:
        arguments = [f"{self._folder}/{_HARNESS}", f"{self._folder}/{kind}.plan", "--json", "--profile"]
        options = {"--threads": threads, "--runs": runs, "--warmup": _WARMUP}
        arguments += [str(part) for pair in options.items() for part in pair]
        return printed(self._transport, arguments, "the harness")


def effort(once_ms: float, milliseconds: float) -> tuple[int, int]:
    """How often, and how many runs each time, blocks are timed of which a run takes that: for about `milliseconds`.

    Slow devices take longer, as little as gives a best and a median.
    """
    if once_ms >= milliseconds:
        return _SLOW_REPEATS, 1
    return _REPEATS, max(_RUNS, min(1000, round(milliseconds / _REPEATS / max(once_ms, 1e-3))))


def branch_of(node: str) -> str:
    """The block that a node belongs to."""
    return node.partition("/")[0]
