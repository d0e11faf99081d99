"""How far the texts read are from the labels, in characters and in words.

CER = 100 x sum of edit distances to the labels / characters of the labels; WER: the same, over words between blanks

(Morris et al. 2004, "From WER and RIL to MER and WIL"; edit distances are Levenshtein's.) Either may pass 100 %.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from edgeort.validate.metrics.metric import Case, Figure, Loss
from edgeort.validate.metrics.text import edit_distance, read_lines

# The figure, and what a text is split into.
_UNITS: dict[str, Callable[[str], Sequence[Hashable]]] = {"cer": tuple, "wer": str.split}


class ErrorRate:
    """Edits and length of all labels, now and in float; without labels it has no figures."""

    def __init__(self) -> None:
        self.edits = {name: [0, 0] for name in _UNITS}
        self.length = dict.fromkeys(_UNITS, 0)

    def add(self, case: Case) -> Loss:
        """A sample's loss is by how many characters more it is wrong than the float model."""
        if not isinstance(case.label, str):
            return Loss(0.0)
        before, now = read_lines(case)
        losses = {}
        for name, split in _UNITS.items():
            label = split(case.label)
            wrong = [edit_distance(label, split(text)) for text in (before, now)]
            self.edits[name] = [total + own for total, own in zip(self.edits[name], wrong, strict=True)]
            self.length[name] += len(label)
            losses[name] = wrong[1] - wrong[0]
        return Loss(float(losses["cer"]))

    def figures(self) -> list[Figure]:
        """`cer` and `wer` now and in float."""
        found = []
        for name, (before, now) in self.edits.items():
            if length := self.length[name]:
                found += [Figure(name, 100 * now / length, "%"), Figure(f"{name}_float", 100 * before / length, "%")]
        return found
