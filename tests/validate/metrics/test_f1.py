"""F1 against scikit-learn, with one class a sample and with several."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeort.errors import InputError
from edgeort.validate.metrics.decisions import Decisions
from edgeort.validate.metrics.f1 import F1, MultiLabelF1
from edgeort.validate.metrics.metric import Case

metrics = pytest.importorskip("sklearn.metrics")


def case(before: np.ndarray, now: np.ndarray, label: object, threshold: float = 0.5) -> Case:
    return Case("a", {"y": before}, {"y": now}, "y", label, None, threshold)  # type: ignore[arg-type]


def figures(metric: F1 | Decisions) -> dict[str, float]:
    return {figure.name: figure.value for figure in metric.figures()}


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 8))
def test_one_class_a_sample(seed: int, count: int, classes: int):
    rng = np.random.default_rng(seed)
    before, now = rng.integers(0, 4, (2, count, 1, classes)).astype(np.float32)  # with ties
    labels = rng.integers(0, classes, count)
    metric = F1()
    for index in range(count):
        metric.add(case(before[index], now[index], int(labels[index])))
    found = figures(metric)
    for name, scores, counts in (("f1_macro", now, metric.now), ("f1_macro_float", before, metric.before)):
        answers = scores.reshape(count, classes).argmax(axis=1)
        want = metrics.f1_score(labels, answers, average="macro", zero_division=0)
        assert found[name] == pytest.approx(want, abs=1e-12)
        assert counts.micro() == pytest.approx(metrics.f1_score(labels, answers, average="micro"), abs=1e-12)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(2, 8), st.sampled_from([0.5, 0.0, 0.9]))
def test_several_classes_a_sample(seed: int, count: int, classes: int, threshold: float):
    rng = np.random.default_rng(seed)
    before, now = rng.integers(-4, 5, (2, count, 1, classes)).astype(np.float32) / 4
    truth = rng.random((count, classes)) < rng.choice([0.0, 0.3, 1.0])
    metric, agreement = MultiLabelF1(), Decisions()
    for index in range(count):
        one = case(before[index], now[index], frozenset(np.flatnonzero(truth[index]).tolist()), threshold)
        metric.add(one)
        agreement.add(one)
    found = figures(metric)
    flat = before.reshape(count, classes) >= threshold, now.reshape(count, classes) >= threshold
    for average in ("micro", "macro"):
        for name, answers in (("_float", flat[0]), ("", flat[1])):
            want = metrics.f1_score(truth, answers, average=average, zero_division=0)
            assert found[f"f1_{average}{name}"] == pytest.approx(want, abs=1e-12)
    assert found["drop"] == pytest.approx(100 * (found["f1_micro_float"] - found["f1_micro"]))
    assert figures(agreement)["agreement"] == pytest.approx((flat[0] == flat[1]).mean())


def test_without_labels_and_with_one_beyond_the_classes():
    metric, scores = MultiLabelF1(), np.zeros((1, 3), np.float32)
    metric.add(case(scores, scores, None))
    assert metric.figures() == [] and F1().figures() == []
    with pytest.raises(InputError, match="labelled 3, and output 'y' has 3 classes: 0 to 2"):
        metric.add(case(scores, scores, frozenset((1, 3))))
