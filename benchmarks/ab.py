"""Does `edgeort bench --compare` tell a difference where there is one, and none where there is none?

    python -m benchmarks.ab [--trials 20] [--threads 1] [--layers 20] [--json FILE]

The bundle is a chain of equal products of matrices, the slower one has one layer more: of 20 layers, 5 % more work.
Each trial is a comparison as the command makes it: of the bundle with itself, then with the slower one.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from rich.table import Table

import edgeort
from benchmarks import tables
from edgeort.bench import Contender, Difference, in_turns, measure
from edgeort.bundle import open_bundle
from edgeort.devices import Job, open_device
from edgeort.errors import EdgeortError
from edgeort.pipeline import Wish

WIDTH, ROWS = 128, 64


@dataclass(frozen=True)
class Trials:
    """Comparisons of one pair of bundles."""

    pair: str
    expected: str  # "no difference" or "faster"
    found: Sequence[Difference]
    seconds: float

    @property
    def right(self) -> int:
        """How many of them said what is so."""
        return sum(self.expected == verdict(one) for one in self.found)


def verdict(found: Difference) -> str:
    """What is said of the first bundle."""
    return "no difference" if not found.is_significant else "faster" if found.estimate < 0 else "slower"


def chain(layers: int) -> onnx.ModelProto:
    """y = x W1 W2 ..., float32, x and y [ROWS, WIDTH], each W [WIDTH, WIDTH] and orthogonal."""
    rng = np.random.default_rng(0)
    weights = [np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0].astype(np.float32) for _ in range(layers)]
    names = ["x", *(f"t{index}" for index in range(1, layers)), "y"]
    nodes = [helper.make_node("MatMul", [names[i], f"w{i}"], [names[i + 1]], name=f"m{i}") for i in range(layers)]
    ends = [[helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [ROWS, WIDTH])] for name in ("x", "y")]
    constants = [numpy_helper.from_array(weight, f"w{i}") for i, weight in enumerate(weights)]
    graph = helper.make_graph(nodes, "chain", *ends, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def build(folder: Path, layers: int) -> Path:
    """The bundle of a chain for this machine, and its path."""
    model, out = folder / f"chain{layers}.onnx", folder / f"chain{layers}"
    onnx.save(chain(layers), model)
    edgeort.build(model, "host", out, wish=Wish(provider="cpu"))
    return out


def try_pair(paths: tuple[Path, Path], expected: str, trials: int, threads: int) -> Trials:
    """Compares the two bundles so many times."""
    job = Job(threads=threads, runs=50)
    start = time.perf_counter()
    found = []
    with ExitStack() as stack:
        pair = []
        for path in paths:
            opened = stack.enter_context(open_bundle(path))
            device = stack.enter_context(open_device("local", opened.manifest))
            pair.append(Contender(opened, device, measure(opened, device, job)))
        for _ in range(trials):
            found.append(in_turns(*pair, job, lambda _: None).difference)
            print(f"{paths[0].name} against {paths[1].name}: {told(found[-1])}", file=sys.stderr, flush=True)
    return Trials(" against ".join(path.name for path in paths), expected, found, time.perf_counter() - start)


def told(found: Difference) -> str:
    """In a line."""
    return f"{verdict(found)}, {found.estimate:+.2%} ({found.low:+.2%} to {found.high:+.2%}) in {found.rounds} rounds"


def table(results: Sequence[Trials]) -> Table:
    """A row a pair."""
    made = tables.new_table("A/B", "pair", "expected", "said so", "median difference", "rounds", "seconds each")
    for one in results:
        middle = statistics.median(found.estimate for found in one.found)
        rounds = sorted(found.rounds for found in one.found)
        each = one.seconds / len(one.found)
        said = f"{one.right} of {len(one.found)}"
        made.add_row(one.pair, one.expected, said, f"{middle:+.2%}", f"{rounds[0]} to {rounds[-1]}", f"{each:.1f}")
    return made


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks.ab", description=str(__doc__).split("\n")[0])
    made.add_argument("--trials", type=int, default=20)
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--layers", type=int, default=20, help="of the faster one; the other has one more")
    made.add_argument("--json", type=Path, help="write the result there, too")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    where = tables.machine()
    try:
        with tempfile.TemporaryDirectory(prefix="edgeort-") as name:
            one, more = (build(Path(name), layers) for layers in (options.layers, options.layers + 1))
            results = [
                try_pair((one, one), "no difference", options.trials, options.threads),
                try_pair((one, more), "faster", options.trials, options.threads),
            ]
    except EdgeortError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    tables.show(table(results), f"{tables.describe(where)}; {options.threads} thread(s)")
    tables.write_json(options.json, {"where": where, "results": [asdict(one) for one in results]})
    return 0


if __name__ == "__main__":
    sys.exit(main())
