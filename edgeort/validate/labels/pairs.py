"""Pairs of samples with the score that people gave them, as benchmarks of semantic textual similarity have it.

pairs.csv       a header `first,second,score`, then a line a pair; the first two are names of samples, the score is any
                number, more for what is more alike
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from edgeort.errors import InputError
from edgeort.validate.labels.label import Pair, check_known, name_of, rows_of


def read_pairs(source: str, names: Sequence[str]) -> dict[str, tuple[Pair, ...]]:
    """The pairs that each sample is part of. InputError names the file and the line that is wrong."""
    path, known = Path(source), set(names)
    found: dict[str, list[Pair]] = {}
    for index, (line, (first, second, score)) in enumerate(rows_of(path, (("first",), ("second",), ("score",)))):
        for side, file in enumerate((first, second)):
            name = name_of(file, known)
            if found and name not in known:
                raise InputError(f"{path}:{line}: {name} is no sample of the data")
            found.setdefault(name, []).append(Pair(index, side, _score(score, path, line)))
        if index == 0:
            check_known(list(found), names, path)
    return {name: tuple(pairs) for name, pairs in found.items()}


def _score(text: str, path: Path, line: int) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise InputError(f"{path}:{line}: {text!r} is no score: a number")
    return score
