"""Correlations of embeddings' cosines with scores, against SciPy; ties, pairs that come apart, what is constant."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeort.errors import InputError
from edgeort.validate.labels import Pair
from edgeort.validate.metrics.correlation import Correlation, pearson, ranks
from edgeort.validate.metrics.metric import Case

stats = pytest.importorskip("scipy.stats")


def case(before: np.ndarray, now: np.ndarray, *pairs: Pair) -> Case:
    return Case("a", {"y": before}, {"y": now}, "y", pairs)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 40))
def test_random_pairs(seed: int, count: int):
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal((2, 2 * count, 5)).astype(np.float32)
    ends = rng.permutation(2 * count).reshape(count, 2)
    scores = rng.integers(0, 6, count).astype(float)
    scores[0] = scores[1] + 1  # not all equal
    metric = Correlation()
    pairs = {int(ends[i, side]): Pair(i, side, float(scores[i])) for i in range(count) for side in (0, 1)}
    for index in range(2 * count):
        metric.add(case(samples[0][index : index + 1], samples[1][index : index + 1], pairs[index]))
    found = {figure.name: figure.value for figure in metric.figures()}
    for name, own in (("_float", samples[0]), ("", samples[1])):
        cosines = np.array([cosine(own[a], own[b]) for a, b in ends])
        assert found[f"pearson{name}"] == pytest.approx(stats.pearsonr(cosines, scores)[0], abs=1e-9)
        assert found[f"spearman{name}"] == pytest.approx(stats.spearmanr(cosines, scores)[0], abs=1e-9)
    assert found["drop"] == pytest.approx(100 * (found["spearman_float"] - found["spearman"]))
    assert not metric.waiting


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=60))
def test_equal_numbers_share_a_rank(pairs: list[tuple[int, int]]):
    x, y = np.array(pairs, np.float64).T
    np.testing.assert_array_equal(ranks(x), stats.rankdata(x))
    if np.ptp(x) and np.ptp(y):
        assert pearson(ranks(x), ranks(y)) == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-12)
    else:
        assert math.isnan(pearson(ranks(x), ranks(y)))


def test_a_pair_without_its_partner_does_not_count_and_a_sample_may_be_both():
    metric, x, y = Correlation(), np.array([[1.0, 0]]), np.array([[1.0, 1]])
    metric.add(case(x, x, Pair(0, 0, 1.0), Pair(1, 0, 3.0), Pair(1, 1, 3.0)))
    assert metric.scores == [3.0] and "1 without a partner" in metric.figures()[0].note
    assert math.isnan(metric.figures()[0].value)
    metric.add(case(y, y, Pair(0, 1, 1.0)))
    found = {figure.name: figure.value for figure in metric.figures()}
    assert found["spearman"] == pytest.approx(1) and found["pearson"] == pytest.approx(1) and found["drop"] == 0
    assert Correlation().figures() == []


def test_one_vector_a_sample():
    words = np.zeros((1, 7, 4), np.float32)
    with pytest.raises(InputError, match=r"output 'y' is \[1, 7, 4\]"):
        Correlation().add(case(words, words, Pair(0, 0, 1.0)))
