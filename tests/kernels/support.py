"""Builds a small ONNX model for this machine's CPU and runs it in our runtime and in a reference."""

from __future__ import annotations

import functools
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

from edgeort import lowering, toolchain
from edgeort.engine import Engine
from edgeort.families import families_of
from edgeort.lowering.plan import PlanBuilder
from edgeort.passes import PassContext, run_passes

LEVELS = ("v3", "v4") if platform.machine() in ("x86_64", "AMD64") else ("neon",)

INTEGERS = tuple(np.dtype(name) for name in ("u1", "i1", "u2", "i2", "i4", "i8", "u4", "u8"))
NUMBERS = (*INTEGERS, np.dtype("f8"), np.dtype("f4"))


def parse(
    text: str, constants: Mapping[str, np.ndarray] | None = None, ir_version: int = 9, opset: int = 17
) -> onnx.ModelProto:
    """A model from the text of its graph, `name (inputs) => (outputs) { nodes }`, with `constants` as initializers."""
    model = onnx.parser.parse_model(f'<ir_version: {ir_version}, opset_import: ["": {opset}]> {text}')
    for name, array in (constants or {}).items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
    return model


def model_of(
    nodes: Sequence[onnx.NodeProto], inputs: Mapping[str, np.ndarray], constants: Mapping[str, np.ndarray]
) -> onnx.ModelProto:
    """A float32 model whose output is that of the last node, of unknown shape."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, array.shape) for name, array in inputs.items()],
        [helper.make_tensor_value_info(nodes[-1].output[0], onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def plan_of(model: onnx.ModelProto) -> PlanBuilder:
    """The model's plan, after all passes."""
    graph = ir.from_proto(model)
    run_passes(graph, PassContext())
    return lowering.lower(graph)


def library(ops: Iterable[str]) -> Path:
    """All that the families of these operators hold: the tests of a family share one, and no other one is compiled."""
    return _library(tuple(families_of(ops)))


@functools.cache
def _library(families: tuple[str, ...]) -> Path:
    host = toolchain.target(
        "linux", {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    )
    # micro-operations stand in none: they are elementwise
    family_of = {op: toolchain.families().get(op, "elementwise") for op in toolchain.all_kernels()}
    return toolchain.library(host, [op for op, family in family_of.items() if family in families])


def open_plan(plan: PlanBuilder, folder: Path, *, threads: int = 1, isa: str | None = None) -> Engine:
    """The plan in our runtime; the test is skipped when this CPU lacks the ISA level."""
    if isa == "v4" and "avx512f" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this CPU has no AVX-512")
    # A new file each time: an engine that is still open has its own mapped.
    path = folder / f"{len(list(folder.iterdir()))}.plan"
    path.write_bytes(plan.to_bytes())
    return Engine(library(plan.ops), path, threads=threads, isa=isa)


@functools.lru_cache(maxsize=1)
def _last_plan(model: bytes) -> PlanBuilder:
    """Tests open a model at each level and number of threads."""
    return plan_of(onnx.load_model_from_string(model))


def engine(
    model: onnx.ModelProto, folder: Path, *, threads: int = 1, isa: str | None = None, ram_limit: int = 0
) -> Engine:
    """The model in our runtime, as `open_plan` opens it."""
    plan = _last_plan(model.SerializeToString())
    plan.ram_limit = ram_limit
    return open_plan(plan, folder, threads=threads, isa=isa)


def reference(model: onnx.ModelProto, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """ONNX Runtime's outputs, without its graph optimisations."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1  # the others would spin, for longer than they work
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {value.name: array for value, array in zip(session.get_inputs(), inputs, strict=True)})


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal shape, dtype and bytes; NaN equals NaN whatever its payload."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype == object:  # strings
        return np.array_equal(a, b)
    if a.dtype.kind == "f":
        a, b = (np.where(np.isnan(x), x.dtype.type(np.nan), x) for x in (a, b))
    return a.tobytes() == b.tobytes()


def everywhere(model: onnx.ModelProto, folder: Path) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """Runs the model, as often as wanted, at every ISA level of this CPU, with one and two threads: the same bits."""
    has_v4 = "avx512f" in Path("/proc/cpuinfo").read_text()
    levels = [isa for isa in LEVELS if isa != "v4" or has_v4]
    engines = {f"{isa} with {n} threads": engine(model, folder, threads=n, isa=isa) for isa in levels for n in (1, 2)}

    def run(inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        results = {name: opened.run(inputs) for name, opened in engines.items()}
        first = next(iter(results.values()))
        for name, outputs in results.items():
            for index, (a, b) in enumerate(zip(first, outputs, strict=True)):
                assert same_bits(a, b), f"output {index}: {name} differs"
        return first

    return run


def run_everywhere(model: onnx.ModelProto, inputs: Sequence[np.ndarray], folder: Path) -> list[np.ndarray]:
    """Our outputs, checked to have the same bits at every ISA level of this CPU and with one and two threads."""
    return everywhere(model, folder)(inputs)


def run_both(
    model: onnx.ModelProto, inputs: Sequence[np.ndarray], folder: Path, *, rtol: float = 1e-5, atol: float = 1e-5
) -> list[np.ndarray]:
    """Our outputs at every level and thread count, compared with ONNX Runtime's."""
    got = run_everywhere(model, inputs, folder)
    for ours, want in zip(got, reference(model, inputs), strict=True):
        assert ours.dtype == want.dtype and ours.shape == want.shape, (ours.dtype, ours.shape, want.dtype, want.shape)
        np.testing.assert_allclose(ours, want, rtol=rtol, atol=atol)
    return got
