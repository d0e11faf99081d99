"""x86-64 without AVX2, which emulators of phones may hide: its kernels give the bits of the level above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edgeort import lowering, toolchain
from edgeort.engine import Engine
from edgeort.passes import PassContext, run_passes
from tests.contract.engines import HOST, levels, library
from tests.fuzz.compressed import compressed
from tests.fuzz.quantised import quantised_network
from tests.kernels.support import same_bits

OLD = replace(HOST, cpu="x86_64_v2")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(HOST.arch != "x86_64", reason="needs an x86-64 CPU")]


def check(model: onnx.ModelProto, shapes: Sequence[tuple[int, ...]], folder: Path) -> None:
    made = ir.from_proto(model)
    run_passes(made, PassContext())
    plan = lowering.lower(made)
    path = folder / "model.plan"
    path.write_bytes(plan.to_bytes())
    old = Engine(toolchain.library(OLD, plan.ops, ("generic",)), path, threads=2)
    new = Engine(library(), path, threads=2, isa=levels()[0])
    assert old.stats.isa == "generic" != new.stats.isa
    rng = np.random.default_rng(0)
    for shape in shapes:
        x = rng.standard_normal(shape).astype(np.float32)
        for one, other in zip([y.copy() for y in old.run([x])], new.run([x]), strict=True):
            assert same_bits(one, other)
    old.close()
    new.close()


def test_quantised_network(tmp_path: Path) -> None:
    check(quantised_network(), [(1, 3, 17, 23), (2, 3, 32, 32)], tmp_path)


def test_compressed_weights(tmp_path: Path) -> None:
    check(compressed(), [(1, 20, 5, 6), (3, 20, 5, 6)], tmp_path)
