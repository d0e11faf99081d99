"""Malformed models are refused with a reason, never a crash. `python -m tests.mutation --count 10000` tries more."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.models import mlp
from tests.mutation.corpus import small
from tests.mutation.judge import BUG, RAN, REFUSED
from tests.mutation.mutations import MUTATIONS, mutant
from tests.mutation.running import run

SEED = 1
COUNT = 400

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the workers are forked")


def test_mutants_run_or_are_refused(whole_library: Path) -> None:
    results = run(small(), SEED, COUNT, whole_library)
    bugs = [f"--one {m.model}:{m.seed} ({m.told}) {v.stage}: {v.text}" for m, v in results if v.end == BUG]
    assert not bugs, "python -m tests.mutation shows each:\n" + "\n".join(bugs)
    built = [f"--one {m.model}:{m.seed} ({m.told}) {v.checker}" for m, v in results if v.checker]
    assert not built, "ONNX's checker refuses what was built:\n" + "\n".join(built)
    silent = [
        f"{m.model}:{m.seed} {v.text}"
        for m, v in results
        if v.kind.endswith(("ModelError", "Unsupported")) and not v.hint
    ]
    assert not silent, "no word of what could be done:\n" + "\n".join(silent)
    for end in (RAN, REFUSED):  # the mutations are neither idle nor too wild
        assert sum(v.end == end for _, v in results) > COUNT / 10
    assert {name for m, _ in results for name in m.told.split(", ")} >= {mutation.__name__ for mutation in MUTATIONS}


def test_a_seed_tells_a_mutant() -> None:
    assert mutant(mlp(), 7) == mutant(mlp(), 7)
    assert len({mutant(mlp(), seed)[0] for seed in range(20)}) > 15
