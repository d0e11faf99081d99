"""How near each kernel comes to the core's peak, at every shape that the models use.

    python -m benchmarks.kernels [MODEL...] [--isa v3 v4] [--json FILE]

Each convolution and matrix product runs alone, on one thread, with warm caches; its best run counts. The peak is
measured beside it, by a loop of multiply-adds in registers compiled for the same ISA level.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx
from rich.progress import track
from rich.table import Table

from benchmarks import tables
from benchmarks.compiled import shared_library
from benchmarks.models import MODELS, find
from benchmarks.shapes import Product, products
from edgeort import device_profiles, toolchain
from edgeort.compiling import plan_of
from edgeort.device_profiles import Profile
from edgeort.engine import Engine
from edgeort.errors import EdgeortError
from edgeort.targets import levels_without

LOOPS = Path(__file__).parent / "loops.cc"
_PEAK_STEPS = 200_000
_LEAST_RUNS = 5
_BUDGET_S = 0.02  # for each shape


@dataclass(frozen=True)
class Row:
    """One shape at one ISA level. `uses`: how often it stands in each model; `peak`: GFLOP/s as measured then."""

    product: str
    uses: dict[str, int]
    isa: str
    ops: tuple[str, ...]
    multiply_adds: int
    microseconds: float
    gflops: float
    gigabytes_per_s: float
    peak: float


class Peak:
    """The multiply-add loop for an ISA level."""

    def __init__(self, isa: str) -> None:
        library = ctypes.CDLL(str(shared_library(LOOPS, "-std=c++17", "-O3", f"-mcpu={toolchain.LEVELS[isa]}")))
        self._loop = library.edgeort_peak
        self._loop.restype, self._loop.argtypes = ctypes.c_double, (ctypes.c_long,)
        self.best = 0.0

    def measure(self) -> float:
        """The best so far in GFLOP/s: a busy machine can only make a run slower."""
        for _ in range(3):
            start = time.perf_counter()
            operations = self._loop(_PEAK_STEPS)
            self.best = max(self.best, operations / (time.perf_counter() - start) * 1e-9)
        return self.best


def fastest(product: Product, isa: str, profile: Profile) -> tuple[float, tuple[str, ...]]:
    """Seconds of the best run of the product's nodes, the transposes at the borders left out; their operators."""
    with tempfile.TemporaryDirectory(prefix="edgeort-") as name:
        path = Path(name) / "product.onnx"
        onnx.save(product.model(), path)
        plan, _ = plan_of(path, profile)
        (Path(name) / "model.plan").write_bytes(plan.to_bytes())
        target = toolchain.target(profile.target.os, profile.target.arch)
        library = toolchain.library(target, plan.ops, (isa,))
        engine = Engine(library, Path(name) / "model.plan", threads=1, isa=isa, profile=True)
        feeds, best, runs = product.feeds(), float("inf"), 0
        engine.run(feeds)
        before, end = _spent(engine), time.perf_counter() + _BUDGET_S
        while runs < _LEAST_RUNS or time.perf_counter() < end:
            engine.run(feeds)
            after = _spent(engine)
            best, before, runs = min(best, after - before), after, runs + 1
        ops = tuple(dict.fromkeys(node.op for node in engine.nodes if node.op != "Transpose" and not node.skipped))
        engine.close()
        return best, ops


def _spent(engine: Engine) -> float:
    return sum(node.ns for node in engine.nodes if node.op != "Transpose") * 1e-9


def measure(names: Sequence[str], levels: Sequence[str]) -> list[Row]:
    """A row for each product of the models and each level."""
    uses: dict[Product, dict[str, int]] = {}
    for name in names:
        for product, count in products(find(name)).items():
            uses.setdefault(product, {})[name] = count
    host = device_profiles.load("host")
    peaks = {isa: Peak(isa) for isa in levels}
    rows = []
    for product in track(uses, description="products", disable=not sys.stderr.isatty(), console=tables.errors()):
        for isa in levels:
            seconds, ops = fastest(product, isa, host)
            flops, moved = 2 * product.multiply_adds / seconds * 1e-9, product.moved_bytes / seconds * 1e-9
            peak = peaks[isa].measure()
            rows.append(
                Row(product.text(), uses[product], isa, ops, product.multiply_adds, seconds * 1e6, flops, moved, peak)
            )
    return rows


def table(rows: Sequence[Row]) -> Table:
    """A row a product and level. A share over 100 % is an algorithm that multiplies less."""
    columns = ("level", "kernel", "M multiply-adds", "us", "GFLOP/s", "% of peak", "GB/s", "in")
    made = tables.new_table("Best run of each product, one thread", "product", *columns)
    for row in rows:
        made.add_row(
            row.product,
            row.isa,
            " ".join(row.ops),
            f"{row.multiply_adds * 1e-6:.2f}",
            f"{row.microseconds:.1f}",
            f"{row.gflops:.1f}",
            f"{100 * row.gflops / row.peak:.0f}",
            f"{row.gigabytes_per_s:.1f}",
            ", ".join(f"{name} x{count}" if count > 1 else name for name, count in row.uses.items()),
        )
    return made


def summary(rows: Sequence[Row]) -> Table:
    """A row a model and level: the time of all its products, one after the other, and what part of the peak that is."""
    made = tables.new_table(
        "All products of a model", "model", "level", "M multiply-adds", "ms", "ms at peak", "% of peak"
    )
    for model in dict.fromkeys(name for row in rows for name in row.uses):
        for isa in dict.fromkeys(row.isa for row in rows):
            own = [row for row in rows if row.isa == isa and model in row.uses]
            peak = max(row.peak for row in own)
            adds = sum(row.multiply_adds * row.uses[model] for row in own)
            spent, least = sum(row.microseconds * row.uses[model] for row in own) * 1e-3, 2 * adds / peak * 1e-6
            shares = (f"{adds * 1e-6:.1f}", f"{spent:.3f}", f"{least:.3f}", f"{100 * least / spent:.0f}")
            made.add_row(model, isa, *shares)
    return made


def as_json(rows: Sequence[Row], where: dict[str, Any]) -> dict[str, Any]:
    """Everything."""
    return {"machine": where, "rows": [asdict(row) for row in rows]}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description=__doc__)
    made.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(MODELS)}; default: all")
    made.add_argument("--isa", nargs="+", metavar="LEVEL", help="levels of this CPU; default: its best")
    made.add_argument("--summary", action="store_true", help="one row a model only")
    made.add_argument("--json", type=Path, metavar="FILE")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 2 when an argument is at fault or something is missing."""
    args = parser().parse_args(arguments)
    where = tables.machine()
    try:
        rows = measure(args.models or list(MODELS), args.isa or levels_without(where["isa"])[-1:])
        tables.write_json(args.json, as_json(rows, where))
    except EdgeortError as error:
        print(f"{error}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code
    if not args.summary:
        tables.show(table(rows))
    peaks = ", ".join(
        f"{isa} {max(r.peak for r in rows if r.isa == isa):.0f} GFLOP/s" for isa in {r.isa: 0 for r in rows}
    )
    tables.show(summary(rows), f"measured peak: {peaks}", tables.describe(where))
    return 0


if __name__ == "__main__":
    sys.exit(main())
