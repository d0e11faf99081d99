"""Pairs of sentences, and how alike people found them: tables of SemEval's tasks of textual similarity.

A line of a `.tsv` is a score from 0 to 5, a sentence and another, with tabs between; lines without a score are left
out. (Agirre et al. 2016, "SemEval-2016 task 1: semantic textual similarity, monolingual and cross-lingual evaluation".)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeort.errors import ModelError


def read(folder: Path, most: int) -> list[tuple[float, str, str]]:
    """Of all `.tsv` files there, evenly spread where there are more than `most`. ModelError where there are none."""
    found = []
    for file in sorted(folder.glob("*.tsv")):
        for line in file.read_text(encoding="utf-8").splitlines():
            parts = line.split("\t")
            if len(parts) >= 3 and parts[0]:
                found.append((float(parts[0]), parts[1], parts[2]))
    if not found:
        raise ModelError(f"{folder} has no .tsv with scored pairs of sentences")
    return found[:: -(-len(found) // most)]


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """The correlation of the ranks; those that are equal share the mean of theirs."""
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(x: np.ndarray) -> np.ndarray:
    _, which, counts = np.unique(x, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[which])
