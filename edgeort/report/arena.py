"""The arena over a plan, from the layout that the runtime made: what is in use at each step, and where the peak is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeort.bench import Measurement


def arena(found: Measurement) -> dict[str, Any] | None:
    """`blocks` as `Measurement.memory` has them, `use_bytes` of every step (node of the plan) and the `peak` of those.

    What a result and the operand that it lies over have in common counts once.
    `laid_out_bytes` is what these inputs need of the arena, which is kept for the largest ones where they are bounded.
    None where the harness does not tell.
    """
    if not found.memory or not found.profile:
        return None
    steps = len(found.profile)
    begin: list[list[dict[str, Any]]] = [[] for _ in range(steps)]
    for block in found.memory:
        begin[min(block["first"], steps - 1)].append(block)
    use: list[int] = []
    alive: list[dict[str, Any]] = []
    for step in range(steps):
        alive = [block for block in alive if block["last"] >= step] + begin[step]
        use.append(_covered(alive))
    peak = max(range(steps), key=use.__getitem__)
    alive = [block for block in found.memory if min(block["first"], steps - 1) <= peak <= block["last"]]
    return {
        "arena_bytes": found.arena_bytes,
        "laid_out_bytes": max(block["offset"] + block["bytes"] for block in found.memory),
        "threads": found.threads,
        "use_bytes": use,
        "blocks": found.memory,
        "peak": {
            "step": peak,
            "node": found.profile[peak]["name"],
            "bytes": use[peak],
            "blocks": sorted(alive, key=lambda block: -block["bytes"]),
        },
    }


def _covered(blocks: Sequence[dict[str, Any]]) -> int:
    """Bytes of the arena that lie in any of these."""
    total = end = 0
    for block in sorted(blocks, key=lambda block: block["offset"]):
        total += max(0, block["offset"] + block["bytes"] - max(end, block["offset"]))
        end = max(end, block["offset"] + block["bytes"])
    return total
