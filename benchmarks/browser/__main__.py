"""edgeort against onnxruntime-web in headless Chromium, one thread each.

    python -m benchmarks.browser [MODEL] [--loads 5] [--rounds 8] [--json FILE]

Engine code and JavaScript as they are fetched. A load is from the first fetch of code to the first output, with no file
in the cache: the first load is that of a browser that has just begun, as of a visitor, the next one that of a further
page, where V8 still has the code that it compiled. Latency is of one page that has all engines, which take turns.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import tables
from benchmarks.browser import engine
from benchmarks.browser.serving import chromium, served
from benchmarks.models import MODELS, Model, find
from edgeort.errors import EdgeortError
from edgeort.pipeline import build

HERE = Path(__file__).parent
ENGINES = ("edgeort", "edgeort_plain", "onnxruntime")
TITLES = {
    "edgeort": "edgeort, as the browser takes it",
    "edgeort_plain": "edgeort, without relaxed SIMD",
    "onnxruntime": engine.PACKAGE.replace("@", " "),
}
TURN, WARMUP = 5, 30
PAUSE_S = 0.2
_READY = "new Promise((good) => { const look = () => (globalThis.ready ? good(1) : setTimeout(look, 5)); look(); })"
TOLERANCE = 1e-3  # of the output's largest value


@dataclass
class Entrant:
    """An engine's figures. `difference` is that from onnxruntime-web, relative to the largest value."""

    name: str
    level: str
    code_bytes: int
    gzip_bytes: int
    first_loads_ms: list[float]
    next_loads_ms: list[float]
    latencies_ms: list[float]
    difference: float

    @property
    def times_ms(self) -> tuple[float, ...]:
        """Of first loads, next loads and latencies each the median and the least."""
        of = (self.first_loads_ms, self.next_loads_ms, self.latencies_ms)
        return tuple(value for times in of for value in (statistics.median(times), min(times)))


def site(model: Model, folder: Path) -> None:
    """Everything that the page fetches."""
    import onnx

    build(model.path, "browser", folder / "bundle")
    shutil.copytree(engine.folder(), folder / "ort")
    for name in ("page.html", "contest.js"):
        shutil.copy(HERE / name, folder / name)
    graph = onnx.load(model.path)
    onnx.save(graph, folder / "model.onnx")
    (folder / "inputs").mkdir()
    inputs = []
    for index, (name, array) in enumerate(model.feeds.items()):
        (folder / f"inputs/{index}.bin").write_bytes(np.ascontiguousarray(array).tobytes())
        inputs.append({"name": name, "file": f"{index}.bin", "dtype": array.dtype.name, "shape": array.shape})
    task = {"inputs": inputs, "output": graph.graph.output[0].name}
    (folder / "task.json").write_text(json.dumps(task))


def call(driver: Any, script: str, *arguments: object) -> Any:
    """What a promise of the page's gives. RuntimeError where it is broken."""
    text = f"const done = arguments[arguments.length - 1]; ({script}).then(done, (e) => done({{error: String(e)}}));"
    found = driver.execute_async_script(text, *arguments)
    if isinstance(found, dict) and "error" in found:
        raise RuntimeError(found["error"])
    return found


def open_page(driver: Any, address: str) -> None:
    """A new page, whose script is there, once the last one has ended: V8 compiles on in the background."""
    driver.get("about:blank")
    time.sleep(PAUSE_S)
    driver.get(f"{address}/page.html")
    call(driver, _READY)


def code_of(folder: Path, asked: Sequence[str]) -> tuple[int, int]:
    """Bytes of code among what was fetched, plain and by gzip -9."""
    names = {path for path in asked if path.startswith(("/bundle/lib/", "/ort/"))}
    files = [(folder / name.lstrip("/")).read_bytes() for name in names]
    return sum(map(len, files)), sum(len(gzip.compress(data, 9)) for data in files)


Loads = Mapping[str, list[dict[str, Any]]]  # of each engine, what the page's load() gave


def in_turns(loads: int) -> Iterator[str]:
    """Names of engines, each `loads` times, in an order that rotates."""
    for turn in range(loads):
        yield from (*ENGINES[turn % len(ENGINES) :], *ENGINES[: turn % len(ENGINES)])


def contest(model: Model, loads: int, rounds: int) -> tuple[list[Entrant], str]:
    """The engines on one model, and the browser's version."""
    first: Loads = {name: [] for name in ENGINES}
    following: Loads = {name: [] for name in ENGINES}
    sizes = {}
    with tempfile.TemporaryDirectory(prefix="edgeort-") as scratch:
        folder = Path(scratch)
        site(model, folder)
        with served(folder) as (address, asked):
            for name in in_turns(loads):
                with chromium() as driver:
                    open_page(driver, address)
                    asked.clear()
                    first[name].append(call(driver, "load(arguments[0])", name))
                    sizes[name] = code_of(folder, asked)
            with chromium() as driver:
                for name in (*ENGINES, *in_turns(loads)):
                    open_page(driver, address)
                    following[name].append(call(driver, "load(arguments[0])", name))
                open_page(driver, address)
                for name in ENGINES:
                    call(driver, "load(arguments[0])", name)
                times = call(driver, "latencies(...arguments[0])", [list(ENGINES), rounds, TURN, WARMUP])
                version = driver.capabilities["browserVersion"]
    return [_entrant(name, first, following, sizes[name], times[name]) for name in ENGINES], version


def _entrant(name: str, first: Loads, following: Loads, sizes: tuple[int, int], times: list[float]) -> Entrant:
    want = np.array(first["onnxruntime"][0]["output"])
    got = np.array(first[name][0]["output"])
    difference = float(np.abs(got - want).max() / np.abs(want).max())
    if difference > TOLERANCE:
        raise EdgeortError(f"{name}'s output differs from onnxruntime-web's by {difference:.1e} of its largest value")
    first_ms, next_ms = ([one["ms"] for one in loads[name]] for loads in (first, following))
    return Entrant(name, first[name][0]["level"], *sizes, first_ms, next_ms[1:], times, difference)


def _figures(one: Entrant) -> tuple[float, ...]:
    return one.code_bytes / 1e3, one.gzip_bytes / 1e3, *one.times_ms


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.browser", description=__doc__)
    parser.add_argument("model", nargs="?", default="mobilenetv2_100", metavar="MODEL", help=f"of {', '.join(MODELS)}")
    parser.add_argument("--loads", type=int, default=5, help="browsers begun for each engine, and further pages")
    parser.add_argument("--rounds", type=int, default=8, help=f"turns of {TURN} runs for each engine")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    where = tables.machine()
    try:
        entrants, version = contest(find(options.model), options.loads, options.rounds)
    except EdgeortError as error:
        print(f"error: {error}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)
        return 2
    print(f"{options.model} in Chromium {version}; {tables.describe(where)}")
    kinds = ("first load, ms", "fastest", "next load, ms", "fastest", "latency, ms", "fastest")
    made = tables.new_table("", "engine", "code, kB", "gzip, kB", *kinds, "difference")
    for one in entrants:
        made.add_row(TITLES[one.name], *(f"{value:.1f}" for value in _figures(one)), f"{one.difference:.0e}")
    pairs = zip(_figures(entrants[-1]), _figures(entrants[0]), strict=True)
    made.add_row("onnxruntime-web / edgeort", *(f"{theirs / ours:.2f}" for theirs, ours in pairs), "")
    tables.show(made)
    tables.write_json(
        options.json, {"machine": where, "browser": version, "engines": [asdict(one) for one in entrants]}
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
