"""How near products of one row come to the speed at which memory is read, by how their weights are stored.

    python -m benchmarks.weights [--size 768 2048 4096] [--threads 1] [--isa LEVEL] [--seconds 2] [--json FILE]

A chain of products with square matrices, as many as make 32 MiB of stored weights, so that a core's own caches hold
nothing of them ("int8 rows" also makes x int8, row by row); edgeort, ONNX Runtime on the same model, and ONNX Runtime
on the float32 weights in turns, the best run of each counts. What is read is the stored weights with their scales.
Beside it: a loop that only reads as much.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks import tables
from benchmarks.compiled import shared_library
from edgeort import device_profiles, toolchain
from edgeort.compiling import plan_of
from edgeort.engine import Engine
from edgeort.errors import EdgeortError
from edgeort.families import held_levels
from edgeort.model import dynamic_products
from edgeort.targets import levels_without

LOOPS = Path(__file__).parent / "loops.cc"
STORED = 32 << 20  # bytes of a model's weights, at least
BLOCK = 32  # rows that share a scale
FORMS = ("float32", "float16", "int8 columns", "int8 rows", "int8 blocks", "int4 blocks")


@dataclass(frozen=True)
class Row:
    """One size and form. Times in microseconds a product, speeds in GB/s; None: ONNX Runtime refuses the model."""

    size: int
    form: str
    weights_bytes: int  # of one product, as edgeort's plan holds them
    microseconds: float
    gigabytes_per_s: float
    read_gigabytes_per_s: float
    onnxruntime_microseconds: float | None
    onnxruntime_float32_microseconds: float


def chain(size: int, form: str) -> onnx.ModelProto:
    """x [1, size] times a matrix of that form, again and again."""
    rng = np.random.default_rng(0)
    weight = (rng.standard_normal((size, size)) / np.sqrt(size)).astype(np.float32)
    bits = dict(zip(FORMS, (32.0, 16.0, 8.0, 8.0, 9.0, 5.0), strict=True))[form]
    layers = max(1, round(STORED * 8 / bits / weight.size))
    stored, first, op, attributes = _stored(weight, form)
    tensors, nodes = [], []
    for layer in range(layers):  # each with a copy of its own, or ONNX Runtime would read the same memory again
        for tensor in stored:
            copied = onnx.TensorProto()
            copied.CopyFrom(tensor)
            copied.name = f"{tensor.name}{layer}"
            tensors.append(copied)
        operands = [tensor.name for tensor in tensors[-len(stored) :]]
        if first is not None:
            own = onnx.NodeProto()
            own.CopyFrom(first)
            own.input[:], own.output[:] = operands, [f"w{layer}"]
            nodes.append(own)
            operands = [f"w{layer}"]
        into, out = f"x{layer}" if layer else "x", f"x{layer + 1}" if layer + 1 < layers else "y"
        domain = {"MatMulNBits": "com.microsoft", dynamic_products.NAME: dynamic_products.DOMAIN}.get(op, "")
        nodes.append(
            helper.make_node(op, [into, *operands], [out], name=f"product{layer}", domain=domain, **attributes)
        )
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "chain", infos[:1], infos[1:], tensors)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    if form != "int8 rows":
        return model
    called = ir.from_proto(model)
    dynamic_products.add_function(called)
    return ir.to_proto(called)


def _stored(weight: np.ndarray, form: str) -> tuple[list[onnx.TensorProto], onnx.NodeProto | None, str, dict[str, int]]:
    """The weights' tensors, the node that makes "w" of them, and the operator that reads them, with its attributes."""
    size = len(weight)
    if form in ("float32", "float16"):
        tensor = numpy_helper.from_array(weight.astype(form), "q")
        widened = helper.make_node("Cast", ["q"], ["w"], to=TensorProto.FLOAT)
        return [tensor], widened if form == "float16" else None, "MatMul", {}
    if form == "int8 columns":
        scale = np.abs(weight).max(axis=0) / 127
        arrays = {"q": np.rint(weight / scale).astype(np.int8), "s": scale}
        restored = helper.make_node("DequantizeLinear", ["q", "s"], ["w"], axis=1)
        return [numpy_helper.from_array(a, n) for n, a in arrays.items()], restored, "MatMul", {}
    if form == "int8 rows":
        scale = np.abs(weight).max(axis=0) / 127
        arrays = {"q": np.rint(weight / scale).astype(np.int8), "s": scale}
        return [numpy_helper.from_array(a, n) for n, a in arrays.items()], None, dynamic_products.NAME, {}
    bits = 8 if form == "int8 blocks" else 4
    middle, parts = 2 ** (bits - 1), weight.T.reshape(size, -1, BLOCK)
    scale = np.abs(parts).max(axis=2) / (middle - 1)
    q = (np.rint(parts / scale[:, :, None]) + middle).astype(np.uint8)
    arrays = {"q": q if bits == 8 else q[:, :, ::2] | q[:, :, 1::2] << 4, "s": scale}
    attributes = {"K": size, "N": size, "bits": bits, "block_size": BLOCK}
    return [numpy_helper.from_array(a, n) for n, a in arrays.items()], None, "MatMulNBits", attributes


class Reader:
    """The reading loop for an ISA level, on so many threads."""

    def __init__(self, isa: str, threads: int) -> None:
        library = ctypes.CDLL(str(shared_library(LOOPS, "-std=c++17", "-O3", f"-mcpu={toolchain.LEVELS[isa]}")))
        self._loop, self._threads = library.edgeort_read, threads
        self._loop.restype, self._loop.argtypes = ctypes.c_float, (ctypes.c_void_p, ctypes.c_long)
        self._pool = ThreadPoolExecutor(threads)
        memory = np.ones(STORED + 64, np.uint8)  # written: pages that are not are all one page of zeros
        self._memory, self._first = memory, -memory.ctypes.data % 64

    def __call__(self) -> None:
        share = STORED // self._threads
        at = [self._memory.ctypes.data + self._first + i * share for i in range(self._threads)]
        list(self._pool.map(lambda address: self._loop(address, share), at))


def best_of(calls: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Seconds of the best run of each, all in turns for that long."""
    best = {name: float("inf") for name in calls}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def session(model: onnx.ModelProto, threads: int) -> Callable[[], object] | None:
    """A run of the model in ONNX Runtime; None where it refuses it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    try:
        opened = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:  # its errors have no common base
        return None
    feed = {"x": np.ones((1, model.graph.input[0].type.tensor_type.shape.dim[1].dim_value), np.float32)}
    return lambda: opened.run(None, feed)


def measure(size: int, form: str, threads: int, levels: tuple[str, ...], seconds: float) -> Row:
    """One row of the table."""
    model, floats = chain(size, form), chain(size, "float32")
    with tempfile.TemporaryDirectory(prefix="edgeort-") as name:
        path = Path(name) / "chain.onnx"
        onnx.save(model, path)
        plan, _ = plan_of(path, device_profiles.load("host"))
        (Path(name) / "model.plan").write_bytes(plan.to_bytes())
        library = toolchain.library(
            toolchain.target("linux", device_profiles.load("host").target.arch), plan.ops, levels
        )
        engine = Engine(library, Path(name) / "model.plan", threads=threads, isa=held_levels(plan.ops, levels)[-1])
        feed = [np.ones((1, size), np.float32)]
        calls = {"edgeort": lambda: engine.run(feed), "read": Reader(levels_without(levels)[-1], threads)}
        for key, each in (("onnxruntime", model), ("float32", floats)):
            if (run := session(each, threads)) is not None:
                calls[key] = run
        best = best_of(calls, seconds)
        engine.close()
    layers, wide = (sum("MatMul" in node.op_type for node in m.graph.node) for m in (model, floats))
    stored = sum(plan.weights(node)[1] for node in plan.nodes)
    theirs = best["onnxruntime"] / layers * 1e6 if "onnxruntime" in best else None
    return Row(
        size,
        form,
        stored // layers,
        best["edgeort"] / layers * 1e6,
        stored / best["edgeort"] * 1e-9,
        STORED / best["read"] * 1e-9,
        theirs,
        best["float32"] / wide * 1e6,
    )


def table(rows: Sequence[Row], threads: int, isa: str) -> tables.Table:
    """A row a size and form."""
    columns = ("kB", "us", "GB/s", "% of reading", "ONNX Runtime us", "on float32 us")
    made = tables.new_table(f"Products of one row, {threads} thread(s), {isa}", "K = N, weights", *columns)
    for row in rows:
        theirs = "refused" if row.onnxruntime_microseconds is None else f"{row.onnxruntime_microseconds:.0f}"
        share = 100 * row.gigabytes_per_s / row.read_gigabytes_per_s
        cells = (
            f"{row.weights_bytes / 1000:.0f}",
            f"{row.microseconds:.0f}",
            f"{row.gigabytes_per_s:.1f}",
            f"{share:.0f}",
        )
        made.add_row(f"{row.size}, {row.form}", *cells, theirs, f"{row.onnxruntime_float32_microseconds:.0f}")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 2 when an argument is at fault or something is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.weights", description=__doc__)
    parser.add_argument("--size", nargs="+", type=int, default=[768, 2048, 4096])
    parser.add_argument("--form", nargs="+", choices=FORMS, default=FORMS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--isa", help="a level of this CPU; default: its best")
    parser.add_argument("--seconds", type=float, default=2, help="for each row")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args(arguments)
    where = tables.machine()
    isa = args.isa or where["isa"][-1]
    levels = (isa,) if args.isa else tuple(where["isa"])
    try:
        rows = [measure(size, form, args.threads, levels, args.seconds) for size in args.size for form in args.form]
        tables.write_json(args.json, {"machine": where, "threads": args.threads, "rows": [asdict(row) for row in rows]})
    except EdgeortError as error:
        print(f"{error}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code
    reading = max(row.read_gigabytes_per_s for row in rows)
    tables.show(table(rows, args.threads, isa), f"reading alone: {reading:.1f} GB/s", tables.describe(where))
    return 0


if __name__ == "__main__":
    sys.exit(main())
