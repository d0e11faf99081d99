"""Pairs of sentences, and how alike people found them: tables of SemEval's tasks of textual similarity.

A line of a `.tsv` is a score from 0 to 5, a sentence and another, with tabs between; lines without a score are left
out. (Agirre et al. 2016, "SemEval-2016 task 1: semantic textual similarity, monolingual and cross-lingual evaluation".)
"""

from __future__ import annotations

from pathlib import Path

from edgeort.errors import ModelError


def read(folder: Path, most: int) -> list[tuple[float, str, str]]:
    """Of all `.tsv` files there, evenly spread where there are more than `most`.

    ModelError where there are none, or for a line whose score is no number.
    """
    found = []
    for file in sorted(folder.glob("*.tsv")):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            parts = line.split("\t")
            if len(parts) < 3 or not parts[0]:
                continue
            try:
                found.append((float(parts[0]), parts[1], parts[2]))
            except ValueError as error:
                raise ModelError(f"{file}:{number}: {parts[0]!r} is no score") from error
    if not found:
        raise ModelError(f"{folder} has no .tsv with scored pairs of sentences")
    return found[:: -(-len(found) // most)]
