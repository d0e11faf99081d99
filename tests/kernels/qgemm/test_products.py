"""QGemm: every tile, and what is around it, against the integers of the reference."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest

from edgeort import toolchain
from edgeort.lowering.typed import CODES
from tests.contract.engines import HOST, int8_levels, rows
from tests.contract.test_emulated import bench
from tests.kernels.qgemm.cases import GEMMS
from tests.kernels.qgemm.support import KERNELS, UOPS, Case, check

TILES = [
    (int(count), int(columns))
    for level, count, columns in rows("qgemm", "TILE")
    if level in (*int8_levels(), "neon", "dotprod", "i8mm")
]


@pytest.mark.parametrize(("tile_rows", "columns"), sorted(set(TILES)))
@pytest.mark.parametrize("k", [1, 6, 63, 132])
def test_tiles(tile_rows: int, columns: int, k: int, tmp_path: Path) -> None:
    for n in sorted({columns - 1, columns, 2 * columns + 3}):
        heights = sorted({1, max(1, tile_rows - 1), tile_rows, tile_rows + 1, 5 * tile_rows + 2})
        check(Case(k, n), tmp_path, *((m,) for m in heights))


@pytest.mark.parametrize("name", GEMMS)
def test_products(name: str, tmp_path: Path) -> None:
    check(GEMMS[name], tmp_path, (1,), (7,), (50,))


@pytest.mark.parametrize("n", [8, 24, 40, 72, 1000])
@pytest.mark.parametrize("m", [1, 7, 12])
def test_nothing_behind_the_weights_is_read(m: int, n: int, tmp_path: Path) -> None:
    """The weights end the plan's last page, behind which there is no memory."""
    case = Case(1280, n)
    plan = case.plan()
    weights = next(index for index, tensor in enumerate(plan.tensors) if tensor.name == "y.w")
    node = next(node for node in plan.nodes if node.op == "QGemm")
    node.inputs[1] = plan.constant("last", plan.tensors[weights].data, CODES["i8"])
    filler = plan.tensors[weights]
    filler.data, filler.dims = np.zeros(0, np.int8), (0,)
    filler.data = np.zeros(-len(plan.to_bytes()) % mmap.PAGESIZE, np.int8)
    filler.dims = filler.data.shape
    path = tmp_path / "model.plan"
    path.write_bytes(plan.to_bytes())
    assert path.stat().st_size % mmap.PAGESIZE == 0
    for level in int8_levels():
        bench([toolchain.harness(HOST, [*KERNELS, *UOPS])], path, "--shape", f"x={m}x1280", "--isa", level, threads=1)
