"""One engine with one model, in a process of its own.

    python -m benchmarks.worker ENGINE MODEL THREADS FOLDER

FOLDER has feeds.npz; the outputs of the first run go to outputs.npz there. Then each line on standard input is a number
of milliseconds, and is answered by a line of JSON on standard output: the times in ns of the runs made in that
long, the first run left out. What engines print themselves goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TextIO

import numpy as np

from benchmarks.engines import Engine, Job, Runner, Unavailable, engine, open_runner

LEAST_RUNS = 3


def turn(runner: Runner, milliseconds: float) -> list[int]:
    """Times in ns of runs for that long, at least LEAST_RUNS; one run before them wakes caches and threads."""
    runner.run()
    times: list[int] = []
    end = time.perf_counter_ns() + int(milliseconds * 1e6)
    while len(times) < LEAST_RUNS or time.perf_counter_ns() < end:
        start = time.perf_counter_ns()
        runner.run()
        times.append(time.perf_counter_ns() - start)
    return times


def start(entry: Engine, job: Job) -> tuple[Runner | None, dict[str, str]]:
    """Loads the model, runs it once, writes the outputs; what to tell the parent."""
    try:
        runner = open_runner(entry, job)
        runner.run()
        arrays = [np.asarray(array) for array in runner.outputs()]
    except Unavailable as error:
        return None, {"unavailable": str(error)}
    except Exception as error:  # a peer may raise anything for a model that it does not take
        return None, {"unavailable": f"refuses the model: {str(error).strip().splitlines()[0][:160]}"}
    np.savez(job.folder / "outputs.npz", *arrays)
    return runner, {"version": str(getattr(sys.modules[entry.package], "__version__", "unknown"))}


def serve(runner: Runner, lines: TextIO, answers: TextIO) -> None:
    """Answers until the input ends."""
    for line in lines:
        print(json.dumps(turn(runner, float(line))), file=answers, flush=True)


def main(arguments: list[str]) -> None:
    """See the module."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    name, model, threads, folder = arguments
    with np.load(Path(folder) / "feeds.npz") as stored:
        feeds = {key: stored[key] for key in stored.files}
    job = Job(Path(model), feeds, int(threads), Path(folder))
    runner, told = start(engine(name), job)
    print(json.dumps(told), file=answers, flush=True)
    if runner is not None:
        serve(runner, sys.stdin, answers)


if __name__ == "__main__":
    main(sys.argv[1:])
