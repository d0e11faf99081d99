"""One engine with one model, in a process of its own.

    python -m benchmarks.worker ENGINE MODEL THREADS FOLDER

FOLDER has feeds-0.npz, feeds-1.npz, ...; the outputs of the first run on each go to outputs-0.npz, ... there. Where
there are several, the model's free dimensions stay free. Then each line on standard input, a number of milliseconds
and perhaps which feeds, or `all`, is answered by a line of JSON on standard output: the times in ns of the runs made in
that long, the first left out. Of `all`, a time is that of one run on each of them, giving them included. What engines
print themselves goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from benchmarks.engines import Engine, Feeds, Job, Runner, Unavailable, engine, open_runner

LEAST_RUNS = 3


ALL = "all"


def turn(run: Callable[[], object], milliseconds: float) -> list[int]:
    """Times in ns of runs for that long, at least LEAST_RUNS; one run before them wakes caches and threads."""
    run()
    times: list[int] = []
    end = time.perf_counter_ns() + int(milliseconds * 1e6)
    while len(times) < LEAST_RUNS or time.perf_counter_ns() < end:
        start = time.perf_counter_ns()
        run()
        times.append(time.perf_counter_ns() - start)
    return times


def start(entry: Engine, job: Job, others: Sequence[Feeds] = ()) -> tuple[Runner | None, dict[str, str]]:
    """Loads the model, runs it once on each feeds, writes the outputs; what to tell the parent."""
    try:
        runner = open_runner(entry, job)
        for index, feeds in enumerate((job.feeds, *others)):
            if index:
                give(runner, feeds)
            runner.run()
            np.savez(job.folder / f"outputs-{index}.npz", *map(np.asarray, runner.outputs()))
    except Unavailable as error:
        return None, {"unavailable": str(error)}
    except Exception as error:  # a peer may raise anything for a model that it does not take
        return None, {"unavailable": f"refuses the model: {str(error).strip().splitlines()[0][:160]}"}
    return runner, {"version": str(getattr(sys.modules[entry.package], "__version__", "unknown"))}


def give(runner: Runner, feeds: Feeds) -> None:
    """Sets other inputs."""
    if runner.give is None:
        raise Unavailable("takes no inputs of another shape")
    runner.give(feeds)


def serve(runner: Runner, every: Sequence[Feeds], lines: TextIO, answers: TextIO) -> None:
    """Answers until the input ends."""

    def run_all() -> None:
        for feeds in every:
            give(runner, feeds)
            runner.run()

    for line in lines:
        milliseconds, *which = line.split()
        if which and which != [ALL]:
            give(runner, every[int(which[0])])
        times = turn(run_all if which == [ALL] else runner.run, float(milliseconds))
        print(json.dumps(times), file=answers, flush=True)


def read_feeds(folder: Path) -> list[Feeds]:
    """What the parent wrote."""
    found = []
    for index in range(len(list(folder.glob("feeds-*.npz")))):
        with np.load(folder / f"feeds-{index}.npz") as stored:
            found.append({key: stored[key] for key in stored.files})
    return found


def main(arguments: list[str]) -> None:
    """See the module."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    name, model, threads, folder = arguments
    first, *others = every = read_feeds(Path(folder))
    job = Job(Path(model), first, int(threads), Path(folder), free=bool(others))
    runner, told = start(engine(name), job, others)
    print(json.dumps(told), file=answers, flush=True)
    if runner is not None:
        serve(runner, every, sys.stdin, answers)


if __name__ == "__main__":
    main(sys.argv[1:])
