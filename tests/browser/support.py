"""The harness compiled to WebAssembly, in Node, and what this machine's own gives for the same plan and inputs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgeort import toolchain
from edgeort.bundle.golden import array_of
from edgeort.devices.node import Node, find, flags
from edgeort.errors import DeviceError
from tests.contract.engines import HOST

WASM = toolchain.target("browser", "wasm32")
MANY = Path(__file__).parent / "many.mjs"


def node() -> str:
    """Node; the test is skipped without one that is new enough."""
    try:
        Node()
    except DeviceError as error:
        pytest.skip(f"{error}: {error.hint}")
    return str(find())


@dataclass(frozen=True)
class Run:
    """A call of the harness: its plan and further options."""

    plan: Path
    options: tuple[str, ...] = ()

    def arguments(self, outputs: Path) -> list[str]:
        """With the outputs written to a folder, which is made."""
        outputs.mkdir()
        fixed = ["--runs", "1", "--warmup", "0", "--threads", "1", "--json", "--outputs", str(outputs)]
        return [str(self.plan), *fixed, *self.options]


@dataclass(frozen=True)
class Answer:
    """What a harness gave: the digest, and the outputs as the files have them. `failed`: what it said instead."""

    digest: str
    outputs: list[np.ndarray]
    failed: str = ""


def native(runs: Sequence[Run], ops: Sequence[str], folder: Path) -> list[Answer]:
    """The answers of this machine."""
    folder.mkdir()
    program = toolchain.harness(HOST, ops)

    def one(job: tuple[int, Run]) -> Answer:
        index, run = job
        outputs = folder / str(index)
        done = subprocess.run([program, *run.arguments(outputs)], capture_output=True, text=True, timeout=100)
        return _answer(done.returncode, done.stdout, done.stderr, outputs)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, enumerate(runs)))


def wasm(
    runs: Sequence[Run], ops: Sequence[str], folder: Path, isa: str, levels: Sequence[str] = WASM.levels
) -> list[Answer]:
    """The answers of WebAssembly at a level, of a program that has `levels`."""
    program = node()
    folder.mkdir()
    jobs = [
        {"arguments": [*run.arguments(folder / str(index)), "--isa", isa], "stdout": str(folder / f"{index}.txt")}
        for index, run in enumerate(runs)
    ]
    (folder / "jobs.json").write_text(json.dumps(jobs))
    command = [
        program,
        *flags(program),
        str(MANY),
        str(toolchain.harness(WASM, ops, levels)),
        str(folder / "jobs.json"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    answers = []
    for index in range(len(runs)):
        said = (folder / f"{index}.txt").read_text(errors="replace")
        status = int((folder / f"{index}.txt.status").read_text())
        answers.append(_answer(status, said, said, folder / str(index)))
    return answers


def _answer(status: int, stdout: str, stderr: str, outputs: Path) -> Answer:
    if status:
        return Answer("", [], f"status {status}: {stderr[-300:]}")
    files = sorted(outputs.glob("output*.npy"), key=lambda path: int(path.stem.removeprefix("output")))
    return Answer(json.loads(stdout)["digest"], [array_of(path.read_bytes()) for path in files])


def distance(got: np.ndarray, want: np.ndarray) -> float:
    """The largest difference relative to the largest finite value; of bytes, to 255.

    Other integers and text: 0 or infinity.
    """
    if got.dtype != want.dtype or got.shape != want.shape:
        return np.inf
    if got.dtype in (np.uint8, np.int8) and got.size:
        return float(np.abs(got.astype(int) - want.astype(int)).max()) / 255
    if got.dtype.kind != "f":
        return 0.0 if np.array_equal(got, want) else np.inf
    a, b = got.astype(np.float64), want.astype(np.float64)
    finite = np.isfinite(b)
    if not np.array_equal(np.where(finite, 0, a), np.where(finite, 0, b), equal_nan=True) or not finite.any():
        return np.inf if not np.array_equal(a, b, equal_nan=True) else 0.0
    scale = max(float(np.abs(b[finite]).max()), 1e-30)
    return float(np.abs(a[finite] - b[finite]).max()) / scale
