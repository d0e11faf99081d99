"""Many mutants, in forked workers with limits of memory and time."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

from tests.forked import run_forked
from tests.mutation.judge import BUG, Verdict, judge
from tests.mutation.mutations import mutant

TIMEOUT_S = 60.0
MEMORY_BYTES = 4 << 30


@dataclass(frozen=True)
class Mutated:
    """What makes the mutant again: the model's name and a seed; and what was done to it."""

    model: str
    seed: int
    told: str


def run(models: Mapping[str, onnx.ModelProto], seed: int, count: int, library: Path) -> list[tuple[Mutated, Verdict]]:
    """Verdicts on `count` mutants of models drawn by the seed."""
    rng = random.Random(seed)
    chosen = [(name, seed * 1_000_000 + index) for index, name in enumerate(rng.choices(sorted(models), k=count))]
    with tempfile.TemporaryDirectory() as folder:

        def job(index: int, place: Path) -> tuple[str, Verdict]:
            name, own = chosen[index]
            where = Path(folder) / str(index)
            where.write_text("mutate")
            data, told = mutant(models[name], own)
            verdict = judge(data, library, place, lambda stage: where.write_text(f"{told}; {stage}"))
            return told, verdict

        results = []
        for index, result, death in run_forked(job, count, timeout_s=TIMEOUT_S, workers=1, memory_bytes=MEMORY_BYTES):
            name, own = chosen[index]
            if death:
                result = (Path(folder) / str(index)).read_text(), Verdict(BUG, "?", death)
            told, verdict = result
            results.append((Mutated(name, own, told), verdict))
    return results
