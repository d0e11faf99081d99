"""edgeort through its public session."""

from __future__ import annotations

import numpy as np

import edgeort
from benchmarks.engines.engine import Feeds, Job, Runner, Unavailable
from edgeort.errors import EdgeortError


def open(job: Job) -> Runner:
    """`session.run`, which copies the outputs."""
    last: list[np.ndarray] = []
    feeds = dict(job.feeds)

    def give(others: Feeds) -> None:
        feeds.update(others)

    def run() -> None:
        last[:] = session.run(None, feeds)

    try:
        session = edgeort.InferenceSession(job.model, threads=job.threads)
        run()
    except EdgeortError as error:
        raise Unavailable(str(error).split("\n")[0]) from error
    return Runner(run, lambda: list(last), give)
