"""A pool of forked workers: a job that crashes, hangs or fills the memory costs one job."""

from __future__ import annotations

import multiprocessing as mp
import os
import resource
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

Job = Callable[[int, Path], Any]  # given its number and an empty folder, it returns what can be pickled


def run_forked(
    job: Job, count: int, *, timeout_s: float, workers: int | None = None, memory_bytes: int | None = None
) -> Iterator[tuple[int, Any, str]]:
    """(number, result, "") of jobs 0 to count - 1 as they end, or (number, None, how it died).

    `memory_bytes` limits the address space that a worker may take beyond what it has when it starts.
    """
    queue = iter(range(count))
    pool = []
    for _, index in zip(
        range(workers or os.cpu_count() or 1), queue, strict=False
    ):  # in this order: zip takes one more
        pool.append(_Worker(job, memory_bytes))
        pool[-1].give(index)
    now = time.monotonic()
    while pool:
        ready = wait([worker.pipe for worker in pool], timeout=1)
        before, now = now, time.monotonic()
        for position, worker in reversed(list(enumerate(pool))):
            if worker.pipe in ready:
                result, death = worker.take()
            elif worker.late(now - before, timeout_s):
                worker.end()
                result, death = None, f"no answer in {timeout_s:g} s"
            else:
                continue
            assert worker.index is not None
            yield worker.index, result, death
            if death:
                pool[position] = worker = _Worker(job, memory_bytes)
            following = next(queue, None)
            worker.give(following)
            if following is None:
                pool.pop(position)


class _Worker:
    """A forked process and the job it is busy with."""

    def __init__(self, job: Job, memory_bytes: int | None) -> None:
        context = mp.get_context("fork")  # the jobs are large and already here
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(job, theirs, memory_bytes), daemon=True)
        self.process.start()
        theirs.close()
        self.index: int | None = None
        self.spent_s = 0.0

    def give(self, index: int | None) -> None:
        self.index, self.spent_s = index, 0.0
        self.pipe.send(index)
        if index is None:
            self.process.join()

    def take(self) -> tuple[Any, str]:
        """The result, or how the process died."""
        try:
            return self.pipe.recv(), ""
        except (EOFError, ConnectionResetError):
            self.process.join()
            return None, f"crash: signal {-(self.process.exitcode or 0)}"

    def late(self, seconds: float, limit_s: float) -> bool:
        """Whether the job has had its time, with these seconds; those of a machine that was stopped do not count."""
        self.spent_s += min(seconds, 2.0)
        return self.spent_s > limit_s

    def end(self) -> None:
        self.process.kill()
        self.process.join()


def _work(job: Job, pipe: Connection, memory_bytes: int | None) -> None:
    warnings.simplefilter("ignore")
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.dup2(devnull, 2)
    if memory_bytes is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    while (index := pipe.recv()) is not None:
        with tempfile.TemporaryDirectory() as folder:
            pipe.send(job(index, Path(folder)))
