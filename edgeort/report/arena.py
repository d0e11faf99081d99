"""The arena over a plan, from the layout that the runtime made: what is in use at each step, and where the peak is."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from edgeort.bench import Measurement


def arena(found: Measurement) -> dict[str, Any] | None:
    """`blocks` as `Measurement.memory` has them, `use_bytes` of every step (node of the plan) and the `peak` of those.

    `laid_out_bytes` is what these inputs need of the arena, which is kept for the largest ones where they are bounded.
    None where the harness does not tell.
    """
    if not found.memory or not found.profile:
        return None
    steps = len(found.profile)
    change = [0] * (steps + 1)
    for block in found.memory:
        change[min(block["first"], steps - 1)] += block["bytes"]
        change[min(block["last"], steps - 1) + 1] -= block["bytes"]
    use = list(accumulate(change[:steps]))
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
