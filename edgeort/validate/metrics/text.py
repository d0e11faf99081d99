"""Lines of text, as recognisers with a CTC output give them.

The main output is [batch, steps, classes]. Greedy decoding: the largest class of each step, repetitions joined, blanks
(class 0) removed (Graves et al. 2006, "Connectionist Temporal Classification", section 3.2).

agreement = share of lines that read as the float model's
edit distance = insertions, deletions and substitutions (Levenshtein 1966) per 100 characters of the float model's
exact = 100 x share of lines that are the label; drop = exact of the float model - exact now, in points (see accuracy)
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from edgeort.errors import InputError
from edgeort.validate.metrics.accuracy import Paired
from edgeort.validate.metrics.metric import Case, Figure, Loss

BLANK = 0
_HINT = "--characters FILE, with the character of class 1, 2, ... one a line"


class Text:
    """Lines that read the same, and those that are their labels."""

    def __init__(self) -> None:
        self.lines, self.same, self.edits, self.length = 0, 0, 0, 0
        self.exact = Paired()

    def add(self, case: Case) -> Loss:
        """A sample's loss is its edit distance to the float model's text."""
        pair = [decode(line) for line in case.pair]
        distance = 0
        for reference, found in zip(*pair, strict=True):
            edits = edit_distance(reference, found)
            distance += edits
            self.lines += 1
            self.same += not edits
            self.length += len(reference)
        self.edits += distance
        if isinstance(case.label, str):
            self.exact.add(*(text == case.label for text in read_lines(case)))
        before, now = (spelt(lines[0], case.characters) if lines else "" for lines in pair)
        return Loss(float(distance), f"{before!r} became {now!r}" if distance else "")

    def figures(self) -> list[Figure]:
        """`agreement`, `edit_distance`, and with labels `exact`, `exact_float`, `drop`."""
        note = f"{self.same} of {self.lines} lines are the same"
        found = [
            Figure("agreement", self.same / max(self.lines, 1), note=note),
            Figure("edit_distance", 100 * self.edits / max(self.length, 1), "%", note="of the characters"),
        ]
        if self.exact.count:
            share = 100 / self.exact.count
            found += [
                Figure("exact", share * self.exact.now, "%"),
                Figure("exact_float", share * self.exact.before, "%"),
                self.exact.drop(),
            ]
        return found


def read_lines(case: Case) -> tuple[str, str]:
    """The first line of the float model's answer and of the one now. InputError where no characters are known."""
    if case.characters is None:
        raise InputError(f"{case.name}: its label is a text, and the classes' characters are not known", hint=_HINT)
    before, now = (spelt(decode(scores)[0], case.characters) for scores in case.pair)
    return before, now


def spelt(classes: Sequence[int], characters: Sequence[str] | None) -> str:
    """The text: `characters[i]` is class i + 1. The classes' numbers where no characters are known."""
    if characters is None:
        return " ".join(map(str, classes))
    return "".join(characters[c - 1] if c <= len(characters) else "?" for c in classes)


def decode(scores: np.ndarray) -> list[list[int]]:
    """The classes of every line of a batch. InputError for an output that is no CTC output."""
    if scores.ndim != 3 or scores.dtype.kind != "f":
        raise InputError(
            f"the output has shape {list(scores.shape)}, and a CTC output is [batch, steps, classes]",
            hint="name it with --output, or use --task custom",
        )
    best = scores.argmax(axis=2)
    fresh = np.ones_like(best, bool)
    fresh[:, 1:] = best[:, 1:] != best[:, :-1]
    return [line[keep & (line != BLANK)].tolist() for line, keep in zip(best, fresh, strict=True)]


def edit_distance(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """The fewest insertions, deletions and substitutions from a to b (Wagner and Fischer 1974)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (x != y)))
    return row[-1]
