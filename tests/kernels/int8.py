"""What tests of int8 kernels share: plans at every level and number of threads, and what they are refused for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgeort.engine import Engine
from edgeort.lowering.plan import PlanBuilder
from edgeort.lowering.typed import CODES
from tests.contract.engines import THREADS, int8_levels

# Parameters of a node whose result is quantised, and what is said of them.
HOSTILE: dict[str, tuple[dict[str, int], str]] = {
    "zero point": ({"zero_point": 128}, "a zero point or limit is out of range"),
    "input's zero point": ({"x_zero_point": -129}, "a zero point or limit is out of range"),
    "limits": ({"lo": 5, "hi": 4}, "a zero point or limit is out of range"),
    "type of a program's result": ({"quantised": 0}, "its program does not make the type of its result"),
}


def same_everywhere(
    library: Path, plan: PlanBuilder, folder: Path, runs: Sequence[tuple[np.ndarray, np.ndarray]]
) -> None:
    """Each run is (input, the wanted output), at every level and number of threads."""
    path = folder / f"{len(list(folder.iterdir()))}.plan"
    path.write_bytes(plan.to_bytes())
    for level in int8_levels():
        for threads in THREADS:
            engine = Engine(library, path, threads=threads, isa=level)
            for x, want in runs:
                got = engine.run([x])[0]
                where = f"{level}, {threads} threads, {x.shape}"
                assert got.shape == want.shape and got.dtype == want.dtype, where
                wrong = np.argwhere(got != want)
                assert not wrong.size, f"{where}: {len(wrong)} of {want.size} differ, first {wrong[0]}"
            engine.close()


def damage(plan: PlanBuilder, index: int, fault: str) -> None:
    """Makes a constant of node 1 "short", of another "type" or "absent"."""
    tensor = plan.tensors[plan.nodes[1].inputs[index]]
    assert tensor.data is not None
    if fault == "short":
        tensor.data = tensor.data[:-1]
        tensor.dims = tensor.data.shape
    elif fault == "type":
        tensor.dtype, tensor.data = CODES["i64"], tensor.data.astype(np.int64)
    else:
        plan.nodes[1].inputs[index] = -1
