"""How long single operators take, against ONNX Runtime.

    python -m benchmarks.operators [CASE ...] [--threads 1] [--seconds 0.5] [--below 0.9] [--json FILE]

The cases stand in cases.txt; a CASE takes all whose names begin with it. The engines take turns in one process, both
with inputs that are bound and outputs that nobody copies;
the fastest run of each counts, which other programs disturb least. `ratio` is ONNX Runtime's time over edgeort's:
above 1, edgeort is ahead. A difference is the largest one, relative to the largest value of the output.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks import tables
from benchmarks.contest import difference
from benchmarks.operators import cases
from edgeort import InferenceSession
from edgeort.errors import EdgeortError

TURNS = 12
LEAST_RUNS = 3


@dataclass(frozen=True)
class Row:
    """One case. Times in milliseconds, of the fastest run."""

    case: str
    edgeort_ms: float
    onnxruntime_ms: float
    difference: float

    @property
    def ratio(self) -> float:
        """How many times as fast as ONNX Runtime."""
        return self.onnxruntime_ms / self.edgeort_ms


def measure(case: cases.Case, threads: int, seconds: float) -> Row:
    """Both engines on one case. EdgeortError where edgeort refuses it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    onnxruntime.set_default_logger_severity(3)
    theirs = onnxruntime.InferenceSession(case.model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    ours = InferenceSession(case.model, threads=threads)
    binding = theirs.io_binding()
    for name, array in case.feeds.items():
        binding.bind_cpu_input(name, np.ascontiguousarray(array))
    for value in theirs.get_outputs():
        binding.bind_output(value.name, "cpu")
    calls = {
        "edgeort": lambda: ours.engine.run_again(copy=False),
        "onnxruntime": lambda: theirs.run_with_iobinding(binding),
    }
    gap = difference(ours.run(None, case.feeds), theirs.run(None, case.feeds))
    ms = fastest(calls, seconds)
    return Row(case.name, ms["edgeort"], ms["onnxruntime"], gap)


def fastest(calls: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Milliseconds of the fastest run of each, which take turns for so long in all."""
    each = seconds / TURNS / len(calls)
    found = dict.fromkeys(calls, math.inf)
    for turn in range(TURNS + 1):
        for name, call in calls.items():
            end, runs = time.perf_counter() + each * bool(turn), 0
            while runs < LEAST_RUNS or time.perf_counter() < end:
                begin = time.perf_counter()
                call()
                found[name] = min(found[name], (time.perf_counter() - begin) * 1e3)
                runs += 1
    return found


def table(rows: Sequence[Row], threads: int) -> tables.Table:
    """A row a case."""
    made = tables.new_table(
        f"Operators, {threads} thread(s)", "case", "edgeort ms", "ONNX Runtime ms", "ratio", "difference"
    )
    for row in rows:
        made.add_row(
            row.case, f"{row.edgeort_ms:.3f}", f"{row.onnxruntime_ms:.3f}", f"{row.ratio:.2f}", f"{row.difference:.0e}"
        )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 2 when an argument is at fault."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.operators", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each case")
    parser.add_argument("--below", type=float, help="only rows whose ratio is below that")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args(arguments)
    every = cases.names()
    asked = [name for name in every if not args.cases or any(name.startswith(each) for each in args.cases)]
    if not asked:
        parser.error(f"no case begins with {args.cases[0]!r}; there are: {'; '.join(every)}")
    where, rows = tables.machine(), list[Row]()
    for name in asked:
        try:
            rows.append(measure(cases.load(name), args.threads, args.seconds))
        except EdgeortError as error:
            print(f"{name}: {error}", file=sys.stderr)
    rows = [row for row in rows if args.below is None or row.ratio < args.below]
    tables.write_json(args.json, {"machine": where, "threads": args.threads, "rows": [asdict(row) for row in rows]})
    tables.show(table(rows, args.threads), tables.describe(where))
    if len(rows) > 1:
        print(f"geometric mean {statistics.geometric_mean(row.ratio for row in rows):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
