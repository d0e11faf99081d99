"""Quantised products on emulated Arm cores give the bytes that they give here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeort import toolchain
from tests.contract.engines import HOST
from tests.contract.test_emulated import ARM, bench, qemu
from tests.kernels.qgemm.cases import CONVS, GEMMS, STEMS
from tests.kernels.qgemm.support import CORES, KERNELS, UOPS, Case, run


@pytest.mark.slow
@pytest.mark.parametrize("name", [*GEMMS, *CONVS, *STEMS])
def test_emulated(name: str, tmp_path: Path) -> None:
    case = ({**GEMMS, **CONVS, **STEMS})[name]
    plan = tmp_path / "model.plan"
    plan.write_bytes(case.plan().to_bytes())
    kernels = [*KERNELS, *UOPS]
    commands: list[list[Any]] = [[toolchain.harness(HOST, kernels)]]
    commands += [[qemu(), "-cpu", core, toolchain.harness(ARM, kernels)] for core in CORES]
    for size in ("2x9x7", "1x6x40") if case.kernel else ("1", "13"):
        shape = f"x={size}x{case.k}"
        found = {
            str(command[:-1]): bench(command, plan, "--shape", shape, threads=threads)
            for command in commands
            for threads in (1, 2)
        }
        assert len(set(found.values())) == 1, found


@pytest.mark.slow
@pytest.mark.parametrize("k", [4, 24, 28, 32, 1100])
def test_emulated_steps(k: int, tmp_path: Path) -> None:
    """Three quads whose weights are 255 in sum are multiplied by -128 and added in 16 bits; those of 256 are not."""
    case = Case(k, 40, zero_points=(-128, 0))
    case.weight[:] = -85
    case.weight[::3, 8:16] = case.weight[4:8, 24:27] = -86
    case.weight[:, 32:] = 85
    case.weight[1:, 33] = 86
    x = np.full((13, k), -128, np.int8)
    x[3:5] = 127
    plan = case.plan()
    run(plan, tmp_path, [(x, case.want(x))])
    path = tmp_path / "model.plan"
    path.write_bytes(plan.to_bytes())
    np.save(tmp_path / "input0.npy", x)
    kernels = [*KERNELS, *UOPS]
    commands: list[list[Any]] = [[toolchain.harness(HOST, kernels)]]
    commands += [[qemu(), "-cpu", core, toolchain.harness(ARM, kernels)] for core in CORES]
    found = [bench(command, path, "--inputs", tmp_path, threads=1) for command in commands]
    assert len(set(found)) == 1, dict(zip(("this machine", *CORES), found, strict=True))
