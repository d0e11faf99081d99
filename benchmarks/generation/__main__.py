"""Tokens per second of a decoder of 110 million parameters, batch 1, in edgeort, ONNX Runtime and PyTorch.

    python -m benchmarks.generation [--threads 1] [--rounds 6] [--only NAME...] [--folder DIR] [--json FILE]

Each contender is a process of its own; they take turns. A turn reads a prompt of 64 tokens and then 24 tokens, one by
one, whose times count: the median of all, and the fastest. Beside them a loop reads as many bytes as the int8 weights
have; edgeort's share of that speed is what the table gives as % of reading. All read the same tokens, and the logits
of those are compared with PyTorch's in float32 (SQNR). Models are made once, and stay in the folder.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import tables
from benchmarks.generation.contenders import CONTENDERS
from benchmarks.models import ROOT

PROMPT, TOKENS, CAPACITY = 64, 24, 512
REFERENCE = "PyTorch float32"
_PAUSE_S = 0.25  # the idle workers of others spin for as long


def tokens() -> list[int]:
    """What all of them read."""
    return np.random.default_rng(1).integers(0, 32000, PROMPT + TOKENS).tolist()


def make_models(folder: Path) -> None:
    """Writes all models, if they are not there."""
    if (folder / "bytes.txt").exists():
        return
    import onnx_ir as ir
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from benchmarks.generation import grouped
    from examples.chatbot import decoder
    from examples.chatbot.network import random_network
    from examples.chatbot.weights import FORMS

    folder.mkdir(parents=True, exist_ok=True)
    network = random_network()
    sizes, state = decoder.Sizes.of(network.config), network.state()
    for name, make in (("plain", decoder.build), ("grouped", grouped.build)):
        for form, weights in FORMS.items():
            if (name, form) != ("grouped", "int8"):
                ir.save(make(sizes, state, weights), folder / f"{name}-{form}.onnx")
    dynamic = folder / "grouped-dynamic.onnx"
    quantize_dynamic(folder / "grouped-float32.onnx", dynamic, weight_type=QuantType.QInt8, per_channel=True)
    matrices = [v.size for k, v in state.items() if v.ndim == 2 and k != "lm_head.weight"]
    (folder / "bytes.txt").write_text(str(sum(matrices)))


class Worker:
    """A process that has opened a contender."""

    def __init__(self, name: str, folder: Path, threads: int) -> None:
        self.name = name
        self.times: list[float] = []
        options = ["--worker", name, "--folder", str(folder), "--threads", str(threads)]
        command = [sys.executable, "-m", "benchmarks.generation", *options]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.logits_file = folder / f"{name}.npy"

    def answer(self) -> list[float]:
        """A line of it; an empty list when it has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else []

    def turn(self) -> None:
        """One turn, whose times are kept."""
        assert self._process.stdin is not None
        print("turn", file=self._process.stdin, flush=True)
        self.times += self.answer()

    def close(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.communicate()


def work(name: str, folder: Path, threads: int) -> None:
    """The worker's side: the logits of all tokens into a file, then a line of seconds for each line read."""
    answers = sys.stdout
    file, opener = CONTENDERS[name]
    contender, read = opener(folder / file, threads, CAPACITY), tokens()
    logits = [contender.append(read[:PROMPT]).copy()]
    logits += [contender.append([token]).copy() for token in read[PROMPT:]]
    np.save(folder / f"{name}.npy", np.stack(logits))
    print("[0]", file=answers, flush=True)
    for _ in sys.stdin:
        contender.reset()
        contender.append(read[:PROMPT])
        times = []
        for token in read[PROMPT:]:
            start = time.perf_counter()
            contender.append([token])
            times.append(time.perf_counter() - start)
        print(json.dumps(times), file=answers, flush=True)


def sqnr(logits: np.ndarray, reference: np.ndarray) -> float | None:
    """In dB; None for the reference itself and for what has no logits."""
    if logits.shape != reference.shape or np.array_equal(logits, reference):
        return None
    return float(10 * np.log10((reference**2).sum() / ((logits - reference) ** 2).sum()))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generation", description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--folder", type=Path, default=Path("build/generation"))
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.worker:
        work(args.worker, args.folder, args.threads)
        return 0
    folder = args.folder.resolve()
    make_models(folder)
    where = tables.machine()
    workers = [Worker(name, folder, args.threads) for name in args.only]
    try:
        ready = [worker for worker in workers if worker.answer()]
        for _ in range(args.rounds):
            for worker in ready:
                time.sleep(_PAUSE_S)
                worker.turn()
    finally:
        for worker in workers:
            worker.close()
    show(ready, folder, args.threads, where, args.json)
    return 0


def show(workers: Sequence[Worker], folder: Path, threads: int, where: dict, json_file: Path | None) -> None:
    """The table."""
    reading = next((statistics.median(worker.times) for worker in workers if worker.name == "reading"), None)
    reference = np.load(folder / f"{REFERENCE}.npy")
    made = tables.new_table(f"A token, {threads} thread(s)", "", "tokens/s", "fastest", "% of reading int8", "SQNR dB")
    rows = []
    for worker in workers:
        median, fastest = statistics.median(worker.times), min(worker.times)
        close = sqnr(np.load(worker.logits_file), reference)
        share = None if reading is None or worker.name == "reading" else 100 * reading / median
        rows.append({"name": worker.name, "median_s": median, "fastest_s": fastest, "share": share, "sqnr_db": close})
        cells = ("" if share is None else f"{share:.0f}", "" if close is None else f"{close:.1f}")
        made.add_row(worker.name, f"{1 / median:.0f}", f"{1 / fastest:.0f}", *cells)
    size = int((folder / "bytes.txt").read_text())
    speed = "" if reading is None else f"; reading {size / reading * 1e-9:.1f} GB/s"
    tables.show(made, f"int8 weights: {size / 1e6:.0f} MB{speed}", tables.describe(where))
    tables.write_json(json_file, {"machine": where, "threads": threads, "rows": rows})


if __name__ == "__main__":
    sys.exit(main())
