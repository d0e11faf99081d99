"""How long LSTM and GRU take at batch 1: in float32, with int8 weights, on integers; and how near the latter come.

    python -m benchmarks.recurrent [--case LSTM:256:200 ...] [--threads 1] [--seconds 2] [--json FILE]

A case is operator:hidden:steps, with :2 behind it for both directions; as many inputs as hidden values, random weights
in the range that PyTorch begins with. edgeort with float32 weights, with int8 ones (edgeort quantize), and ONNX Runtime
with float32 ones take turns; so do both with what ONNX Runtime's dynamic quantiser makes of LSTM, and of GRU, for which
that has nothing, edgeort alone with what its own makes. Medians count. SQNR is that of edgeort's output, against ONNX
Runtime's in float32.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

from benchmarks import tables
from edgeort import InferenceSession, device_profiles
from edgeort.compiling import plan_of
from edgeort.errors import EdgeortError
from edgeort.quantize.forms import Form
from edgeort.quantize.recurrent import quantize_recurrent

GATES = {"LSTM": 4, "GRU": 3}
CASES = ("LSTM:64:100", "LSTM:128:100", "LSTM:256:50", "LSTM:256:200", "LSTM:512:50", "GRU:128:100", "GRU:256:100")
CASES += ("LSTM:128:100:2", "LSTM:256:100:2")
ROUNDS = 9


@dataclass(frozen=True)
class Row:
    """One case. Times in milliseconds a run, plans in bytes, SQNR in dB. `dynamic`: input and state are rounded."""

    case: str
    float_ms: float
    int8_ms: float
    onnxruntime_ms: float
    float_bytes: int
    int8_bytes: int
    sqnr_db: float
    dynamic_ms: float
    dynamic_sqnr_db: float
    onnxruntime_dynamic_ms: float | None  # of operators that it has


def model_of(case: str) -> onnx.ModelProto:
    """x [steps, 1, hidden] through one operator. ValueError where the text is no case."""
    op, hidden, steps, *rest = case.split(":")
    size, directions = int(hidden), int(rest[0]) if rest else 1
    rng, bound, rows = np.random.default_rng(0), 1 / np.sqrt(size), GATES[op] * size
    shapes = {"w": (directions, rows, size), "r": (directions, rows, size), "b": (directions, 2 * rows)}
    constants = [
        numpy_helper.from_array(rng.uniform(-bound, bound, shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    attributes = {"hidden_size": size, "direction": "bidirectional" if directions == 2 else "forward"}
    if op == "GRU":
        attributes["linear_before_reset"] = 1  # as PyTorch has it
    node = helper.make_node(op, ["x", *shapes], ["y"], name="cell", **attributes)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [int(steps), 1, size])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [int(steps), directions, 1, size])
    graph = helper.make_graph([node], "recurrent", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def in_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same with int8 weights."""
    made = ir.from_proto(model)
    quantize_recurrent(made)
    for name in ("w", "r"):
        made.graph.initializers.pop(name)
    return ir.to_proto(made)


def on_integers(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """The same by ONNX Runtime's dynamic quantiser, or where that has nothing for the operator, by edgeort's."""
    if model.graph.node[0].op_type != "LSTM":
        made = ir.from_proto(model)
        quantize_recurrent(made, wanted={"": Form.DYNAMIC})
        return ir.to_proto(made)
    source, target = folder / "source.onnx", folder / "quantised.onnx"
    onnx.save(model, source)
    with _without_advice():
        quantize_dynamic(source, target)
    return onnx.load(target)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Without the advice that its quantiser logs."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def medians(calls: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Milliseconds a call, which take turns for so long in all."""
    each = seconds / ROUNDS / len(calls)
    found: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(ROUNDS):
        for name, call in calls.items():
            count, begin = 0, time.perf_counter()
            while (passed := time.perf_counter() - begin) < each or not count:
                call()
                count += 1
            found[name].append(passed / count * 1e3)
    return {name: float(np.median(times)) for name, times in found.items()}


def measure(case: str, model: onnx.ModelProto, threads: int, seconds: float) -> Row:
    """One row of the table."""
    feed = {"x": np.random.default_rng(1).standard_normal(_shape(model)).astype(np.float32)}
    theirs = _onnxruntime(model, threads)
    calls: dict[str, Callable[[], object]] = {"onnxruntime": lambda: theirs.run(None, feed)}
    sizes, answers = {}, {"onnxruntime": theirs.run(None, feed)[0]}
    with tempfile.TemporaryDirectory(prefix="edgeort-") as folder:
        models = {"float": model, "int8": in_int8(model), "dynamic": on_integers(model, Path(folder))}
        if not models["dynamic"].functions:
            of_dynamic = _onnxruntime(models["dynamic"], threads)
            calls["onnxruntime dynamic"] = lambda: of_dynamic.run(None, feed)
        for name, each in models.items():
            path = Path(folder) / f"{name}.onnx"
            onnx.save(each, path)
            session = InferenceSession(path, threads=threads)
            sizes[name] = len(plan_of(path, device_profiles.load("host"))[0].to_bytes())
            answers[name] = session.run(None, feed)[0]
            calls[name] = lambda session=session: session.run(None, feed)  # type: ignore[misc]
        ms = medians(calls, seconds)
    want = answers["onnxruntime"]
    return Row(
        case,
        *(ms[name] for name in ("float", "int8", "onnxruntime")),
        sizes["float"],
        sizes["int8"],
        _sqnr(want, answers["int8"]),
        ms["dynamic"],
        _sqnr(want, answers["dynamic"]),
        ms.get("onnxruntime dynamic"),
    )


def _onnxruntime(model: onnx.ModelProto, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _sqnr(reference: np.ndarray, found: np.ndarray) -> float:
    """In dB."""
    want = reference.astype(np.float64)
    return float(10 * np.log10((want**2).sum() / ((want - found) ** 2).sum()))


def _shape(model: onnx.ModelProto) -> list[int]:
    return [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]


def table(rows: Sequence[Row], threads: int) -> tables.Table:
    """A row a case."""
    columns = ("float32 ms", "int8 ms", "ONNX Runtime ms", "float32 kB", "int8 kB", "SQNR dB")
    columns += ("integers ms", "ONNX Runtime's ms", "integers' SQNR dB")
    made = tables.new_table(f"Recurrent operators, {threads} thread(s)", "operator:hidden:steps", *columns)
    for row in rows:
        times = (f"{ms:.3f}" for ms in (row.float_ms, row.int8_ms, row.onnxruntime_ms))
        plans = (f"{size / 1000:.0f}" for size in (row.float_bytes, row.int8_bytes))
        theirs = row.onnxruntime_dynamic_ms
        integers = f"{row.dynamic_ms:.3f}", "-" if theirs is None else f"{theirs:.3f}", f"{row.dynamic_sqnr_db:.1f}"
        made.add_row(row.case, *times, *plans, f"{row.sqnr_db:.1f}", *integers)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 2 when an argument is at fault or something is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recurrent", description=__doc__)
    parser.add_argument("--case", nargs="+", default=CASES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2, help="for each row")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args(arguments)
    where = tables.machine()
    try:
        models = {case: model_of(case) for case in args.case}
    except (ArithmeticError, KeyError, ValueError):
        parser.error(f"--case takes OPERATOR:HIDDEN:STEPS, of {' or '.join(GATES)}, such as {CASES[0]}")
    try:
        rows = [measure(case, model, args.threads, args.seconds) for case, model in models.items()]
        tables.write_json(args.json, {"machine": where, "threads": args.threads, "rows": [asdict(row) for row in rows]})
    except EdgeortError as error:
        print(f"{error}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code
    tables.show(table(rows, args.threads), tables.describe(where))
    return 0


if __name__ == "__main__":
    sys.exit(main())
