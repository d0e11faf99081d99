"""Character and word error rates against jiwer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeort.errors import InputError
from edgeort.validate.metrics.error_rate import ErrorRate
from edgeort.validate.metrics.metric import Case
from edgeort.validate.metrics.text import edit_distance

jiwer = pytest.importorskip("jiwer")

CHARACTERS = ["a", "b", "c", " ", "\u00e9"]
LINES = st.lists(st.integers(1, len(CHARACTERS)), max_size=14)
LABELS = st.text("abc \u00e9", min_size=1, max_size=14).map(str.strip).filter(bool)


def scores(classes: list[int]) -> np.ndarray:
    """The CTC output that reads as these classes: a blank between any two."""
    steps = np.zeros((1, 2 * len(classes) + 1, len(CHARACTERS) + 1), np.float32)
    for index, kind in enumerate(classes):
        steps[0, 2 * index + 1, kind] = 1
    steps[0, ::2, 0] = 1
    return steps


def text(classes: list[int]) -> str:
    return "".join(CHARACTERS[kind - 1] for kind in classes)


def case(before: list[int], now: list[int], label: str | None, characters: list[str] | None = CHARACTERS) -> Case:
    return Case("a", {"y": scores(before)}, {"y": scores(now)}, "y", label, characters)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(LINES, LINES, LABELS), min_size=1, max_size=6))
def test_random_lines(lines: list[tuple[list[int], list[int], str]]):
    metric = ErrorRate()
    for before, now, label in lines:
        metric.add(case(before, now, label))
    found = {figure.name: figure.value for figure in metric.figures()}
    labels = [label for *_, label in lines]
    as_they_are = jiwer.Compose([jiwer.ReduceToListOfListOfChars()])  # jiwer would take blanks off the ends
    for name, column in (("_float", 0), ("", 1)):
        read = [text(line[column]) for line in lines]
        assert found[f"wer{name}"] == pytest.approx(100 * jiwer.wer(labels, read))
        want = jiwer.cer(labels, read, reference_transform=as_they_are, hypothesis_transform=as_they_are)
        assert found[f"cer{name}"] == pytest.approx(100 * want)


@settings(max_examples=100, deadline=None)
@given(st.text("abc ", max_size=12), st.text("abc ", max_size=12))
def test_distances_are_those_of_another_program(a: str, b: str):
    levenshtein = pytest.importorskip("rapidfuzz.distance").Levenshtein
    assert edit_distance(a, b) == levenshtein.distance(a, b)
    assert edit_distance(a.split(), b.split()) == levenshtein.distance(a.split(), b.split())


def test_labels_without_characters_are_an_error_and_without_labels_there_are_no_figures():
    with pytest.raises(InputError, match="characters are not known"):
        ErrorRate().add(case([1], [1], "a", None))
    metric = ErrorRate()
    assert metric.add(case([1], [2], None)).value == 0 and metric.figures() == []
    metric.add(case([1], [2], ""))
    assert metric.figures() == []  # of nothing there is no share
    assert metric.add(case([1], [2], "a")).value == 1
    assert [figure.name for figure in metric.figures()] == ["cer", "cer_float", "wer", "wer_float"]
