"""A loop over samples on all cores: ONNX Runtime and NumPy let other threads run while they compute."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

WORKERS = min(os.cpu_count() or 1, 8)  # each holds a sample's activations


def ordered_map(function: Callable[[T], R], items: Iterable[T], workers: int = WORKERS) -> Iterator[R]:
    """function(item) of every item, in their order; at most `workers` + 1 items and results exist at a time.

    Closed early, it waits for none that is under way.
    """
    pool, pending = ThreadPoolExecutor(workers), deque[Future[R]]()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        # Not by `with`, which joins its threads: what nobody reads to the end may be closed by the garbage collector,
        # in a thread that is about to begin and holds the lock that joining needs.
        pool.shutdown(wait=False, cancel_futures=True)
