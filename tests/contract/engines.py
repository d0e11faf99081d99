"""Runs a model at every ISA level of this CPU and with several threads, and compares bits."""

from __future__ import annotations

import functools
import platform
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper

from edgeort import device_profiles, lowering, toolchain
from edgeort.engine import Engine
from edgeort.passes import PassContext, run_passes
from edgeort.targets import INT8_LEVELS
from tests.kernels.support import same_bits

HOST = toolchain.target("linux", {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine()))
LANES = {"v3": 8, "v4": 16, "neon": 4, "neon32": 4}
THREADS = (1, 2, 3)


@functools.cache
def library() -> Path:
    """A library of every kernel."""
    return toolchain.library(HOST, toolchain.all_kernels())


@functools.cache
def levels() -> tuple[str, ...]:
    """The ISA levels of float32 kernels that this CPU can run."""
    return tuple(level for level in int8_levels() if level not in INT8_LEVELS)


@functools.cache
def int8_levels() -> tuple[str, ...]:
    """All ISA levels that this CPU can run."""
    has = device_profiles.load("host").cpu.isa
    return tuple(level for level in HOST.levels if level in has)


def rows(family: str, macro: str) -> list[tuple[str, ...]]:
    """The arguments of each row `MACRO(...)` of a family's kernels.inc."""
    text = (toolchain.RUNTIME / "kernels" / family / "kernels.inc").read_text()
    return [
        tuple(part.strip() for part in row.split(",")) for row in re.findall(rf"^{macro}\((.*)\)", text, re.MULTILINE)
    ]


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, Sequence[int | str]],
    outputs: Sequence[str],
    constants: dict[str, np.ndarray] | None = None,
    opset: int = 18,
) -> onnx.ModelProto:
    """A model of float32 inputs whose outputs' shapes are inferred."""
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    initializers = [numpy_helper.from_array(np.ascontiguousarray(a), n) for n, a in (constants or {}).items()]
    made = helper.make_graph(list(nodes), "g", infos, results, initializers)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def plan_of(model: onnx.ModelProto) -> bytes:
    """The model's plan."""
    made = ir.from_proto(model)
    run_passes(made, PassContext())
    return lowering.lower(made).to_bytes()


def engines(model: onnx.ModelProto, folder: Path) -> Iterator[tuple[str, Engine]]:
    """The model at every level and number of threads, with what to call it in a message."""
    path = folder / "model.plan"
    path.write_bytes(plan_of(model))
    for level in levels():
        for threads in THREADS:
            engine = Engine(library(), path, threads=threads, isa=level)
            yield f"{level} with {threads} threads", engine
            engine.close()


def check(model: onnx.ModelProto, folder: Path, *runs: tuple[Sequence[np.ndarray], np.ndarray]) -> None:
    """Each run is (inputs, the wanted first output); all of them on one engine a level, so that shapes may change."""
    for where, engine in engines(model, folder):
        for inputs, want in runs:
            got = engine.run([np.ascontiguousarray(array) for array in inputs])[0]
            assert got.shape == want.shape, (where, got.shape, want.shape)
            if not same_bits(got, want):
                different = np.argwhere(
                    ~((got == want) & (np.signbit(got) == np.signbit(want))) & ~(np.isnan(got) & np.isnan(want))
                )
                at = tuple(different[0])
                raise AssertionError(
                    f"{where}, shapes {[i.shape for i in inputs]}: {len(different)} of {want.size} differ, "
                    f"the first at {at}: "
                    f"{float(got[at]).hex()}, not {float(want[at]).hex()}"
                )


def values(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Floats of both signs over a few binades, with zeros of both signs among them."""
    x = (rng.standard_normal(shape) * np.exp2(rng.integers(-6, 3, shape))).astype(np.float32)
    x[rng.random(shape) < 0.02] = 0.0
    x[rng.random(shape) < 0.02] = -0.0
    return x


def nchw(x: np.ndarray) -> np.ndarray:
    """Channels last -> channels first."""
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))
