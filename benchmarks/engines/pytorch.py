"""PyTorch, eager, for the models that come as its modules: MiniLM."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks import minilm
from benchmarks.engines.engine import Feeds, Job, Runner, Unavailable


def open(job: Job) -> Runner:
    """Inference mode, and the attention of `torch.nn.functional`."""
    if job.model.stem != minilm.NAME:
        raise Unavailable("has no module of the model")
    torch.set_num_threads(job.threads)
    network = minilm.network("sdpa")
    feeds: dict[str, torch.Tensor] = {}
    last: list[torch.Tensor] = []

    def give(others: Feeds) -> None:
        feeds.update({name: torch.from_numpy(array) for name, array in others.items()})

    def run() -> None:
        with torch.inference_mode():
            last[:] = [network(**feeds).last_hidden_state]

    give(job.feeds)
    return Runner(run, lambda: [np.asarray(tensor) for tensor in last], give)
