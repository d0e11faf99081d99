"""Small models of six kinds, settings for quick cells, and Dask's own programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgeort import sample
from edgeort.sweep.cells import Cell
from edgeort.sweep.facts import Row
from tests.models import mlp, model
from tests.readme import ROOT

QUICK = "quick:require=cpu,runs=3,warmup=1"  # no choice of providers, which would build several
PATIENCE_S = 300.0  # with programs that begin, on a machine that is busy
EMULATOR = shutil.which("qemu-aarch64-static")


def _constant(name: str, *shape: int, seed: int = 0) -> onnx.TensorProto:
    return numpy_helper.from_array(np.random.default_rng(seed).standard_normal(shape).astype(np.float32), name)


def convolution() -> onnx.ModelProto:
    """x [1, 3, 12, 12] -> Conv, Relu, GlobalAveragePool, Flatten -> y [1, 8]."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]
    return model(nodes, [("x", [1, 3, 12, 12])], [("y", [1, 8])], [_constant("w", 8, 3, 3, 3)])


def recurrent() -> onnx.ModelProto:
    """x [5, 1, 4] -> LSTM -> y [5, 1, 1, 6]."""
    weights = [_constant("w", 1, 24, 4), _constant("r", 1, 24, 6, seed=1)]
    return model([helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=6)], [("x", [5, 1, 4])],
                 [("y", [5, 1, 1, 6])], weights)  # fmt: skip


def attention() -> onnx.ModelProto:
    """x [1, 4, 8] -> Softmax(x wq (x wk)^T) x -> y [1, 4, 8]."""
    nodes = [
        helper.make_node("MatMul", ["x", "wq"], ["q"]),
        helper.make_node("MatMul", ["x", "wk"], ["k"]),
        helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["s"]),
        helper.make_node("Softmax", ["s"], ["p"], axis=-1),
        helper.make_node("MatMul", ["p", "x"], ["y"]),
    ]
    weights = [_constant("wq", 8, 8), _constant("wk", 8, 8, seed=1)]
    return model(nodes, [("x", [1, 4, 8])], [("y", [1, 4, 8])], weights)


def embedding() -> onnx.ModelProto:
    """ids int64 [1, 6] -> Gather, ReduceMean -> y [1, 1, 16]."""
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["g"]),
        helper.make_node("ReduceMean", ["g"], ["y"], axes=[1]),
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("ids", TensorProto.INT64, [1, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 16])], [_constant("table", 32, 16)],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def write_models(folder: Path) -> list[str]:
    """Six models of six kinds: their paths."""
    shutil.copy(sample.path(), folder / "digits.onnx")
    made = {"mlp": mlp(2), "conv": convolution(), "lstm": recurrent(), "attention": attention(), "words": embedding()}
    for name, proto in made.items():
        onnx.save(proto, folder / f"{name}.onnx")
    return [str(path) for path in sorted(folder.glob("*.onnx"))]


def write_mlp(path: Path, seed: int = 0) -> str:
    """A small model of its own bytes: its path."""
    onnx.save(mlp(2, seed=seed), path)
    return str(path)


@dataclass
class Seen:
    """A watch that remembers: (what, cell's name, what of it)."""

    events: list[tuple[str, str, str]] = field(default_factory=list)

    def at(self, cell: Cell, stage: str, worker: str = "") -> None:
        """Remembers stage and worker."""
        self.events.append(("at", cell.name, f"{stage} {worker}".strip()))

    def again(self, cell: Cell, why: str) -> None:
        """Remembers why."""
        self.events.append(("again", cell.name, why))

    def ended(self, cell: Cell, row: Row) -> None:
        """Remembers the status."""
        self.events.append(("ended", cell.name, row["status"]))

    def of(self, what: str) -> list[str]:
        """Names of the cells to which that happened, in order."""
        return [name for kind, name, _ in self.events if kind == what]


@dataclass
class Farm:
    """A scheduler and its workers: real programs, talking over TCP."""

    address: str
    folder: Path
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *options: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen[bytes]:
        """`dask worker` with that name and one thread, in the folder `cwd`."""
        always = ["--name", name, "--nthreads", "1", "--no-dashboard", "--memory-limit", "0", "--host", "127.0.0.1"]
        place = ["--local-directory", str(self.folder / name)]
        self.workers[name] = _dask(
            ["worker", self.address, *always, *place, *options], self.folder / f"{name}.log", environment, cwd
        )
        return self.workers[name]

    def wait(self) -> None:
        """Until the scheduler knows all workers."""
        end = time.monotonic() + PATIENCE_S
        while not all("Registered to" in (self.folder / f"{name}.log").read_text() for name in self.workers):
            assert time.monotonic() < end
            time.sleep(0.05)


@contextmanager
def farm(folder: Path, **environment: str) -> Iterator[Farm]:
    """A scheduler without workers."""
    told = folder / "scheduler.json"
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(told)]
    scheduler = _dask(["scheduler", *options], folder / "scheduler.log", environment)
    found = Farm("", folder)
    try:
        end = time.monotonic() + PATIENCE_S
        while not told.exists():
            assert scheduler.poll() is None, (folder / "scheduler.log").read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
        found.address = _address(told)
        yield found
    finally:
        for process in (*found.workers.values(), scheduler):
            process.terminate()
        for process in (*found.workers.values(), scheduler):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(file: Path) -> str:
    import json

    while True:
        try:
            return str(json.loads(file.read_text())["address"])
        except ValueError:  # it is being written
            time.sleep(0.05)


def _dask(
    arguments: Sequence[str], log: Path, environment: dict[str, Any], cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )
