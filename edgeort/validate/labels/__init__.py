"""Labels of samples. One file a format, whose docstring describes it; READERS is the list, by task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edgeort.quantize.samples import Samples
from edgeort.validate.labels.classes import read_class_sets, read_classes, read_texts
from edgeort.validate.labels.coco import read_boxes
from edgeort.validate.labels.label import Label, Pair, Truth
from edgeort.validate.labels.pairs import read_pairs

# Task -> reads a file of labels, for the names of all samples.
READERS: dict[str, Callable[[str, Sequence[str], Samples], Mapping[str, Label]]] = {
    "classification": lambda source, names, samples: read_classes(source, names),
    "multilabel": lambda source, names, samples: read_class_sets(source, names),
    "detection": read_boxes,
    "embedding": lambda source, names, samples: read_pairs(source, names),
    "ocr": lambda source, names, samples: read_texts(source, names),
}

__all__ = ["READERS", "Label", "Pair", "Truth", "read_classes"]
