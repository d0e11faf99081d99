"""Comparison with the reference: what counts as a difference, and by how much."""

from __future__ import annotations

import numpy as np
import pytest

from edgeort.errors import CheckError
from edgeort.validate import LIMIT, accept, compare, compare_all, reference_outputs
from edgeort.validate.artefacts import channels_first
from tests.models import mlp

X = np.array([-1.0, 0.0, 1.0, 3.0], np.float32)


def test_difference_is_relative_to_the_range():
    result = compare("y", X + np.float32([0, 0, 0, 0.0002]), X)
    assert result.max_difference == pytest.approx(0.0002 / 4, rel=1e-3) and result.problem is None
    assert compare("y", X + np.float32([0, 0, 0, 0.0008]), X).problem is not None
    assert LIMIT == 1e-4


def test_a_constant_output_is_measured_by_its_size():
    flat = np.full(3, 1000, np.float32)
    assert compare("y", flat + np.float32(0.01), flat).problem is None
    assert compare("y", np.zeros(3, np.float32), np.zeros(3, np.float32)).max_difference == 0
    assert compare("y", np.full(3, 0.1, np.float32), np.zeros(3, np.float32)).problem is not None


@pytest.mark.parametrize(
    "ours",
    [
        X.reshape(2, 2),
        X.astype(np.float64),
        X[:3],
        np.array([-1, 0, 1, np.nan], np.float32),
        np.array([-1, 0, 1, np.inf], np.float32),
    ],
)
def test_what_cannot_be_compared_is_wrong(ours: np.ndarray):
    result = compare("y", ours, X)
    assert result.problem is not None and result.max_difference == float("inf")


def test_nan_and_infinity_must_stand_where_the_reference_has_them():
    want = np.array([np.nan, np.inf, -np.inf, 1], np.float32)
    assert compare("y", want.copy(), want).problem is None
    assert compare("y", want[[0, 2, 1, 3]], want).problem is not None
    assert compare("y", np.ones(4, np.float32), want).problem is not None
    assert compare("y", np.full(2, np.nan, np.float32), np.full(2, np.nan, np.float32)).problem is None


def test_what_is_nan_in_both_is_told():
    broken = np.array([1, np.nan, np.inf, 2], np.float32)
    assert compare("y", broken, broken).gap == "; 2 of the 4 numbers of 'y' are NaN or infinite in both"
    assert compare("y", broken[::3], broken[::3]).gap == ""


def test_integers_must_be_equal():
    want = np.arange(4)
    assert compare("y", want.copy(), want).problem is None
    result = compare("y", np.array([0, 1, 2, 4]), want)
    assert result.max_difference == 0.25 and result.problem == "25.00% of its elements differ"


def test_empty_outputs_agree():
    assert compare("y", np.empty((0, 3)), np.empty((0, 3))).problem is None


def test_the_first_wrong_output_is_named():
    with pytest.raises(CheckError, match="output 'b' is not ONNX Runtime's"):
        accept(compare_all(["a", "b"], [X, X + 1], [X, X]))
    assert [c.output for c in accept(compare_all(["a", "b"], [X, X], [X, X]))] == ["a", "b"]


def test_what_the_reference_cannot_tell_is_no_fault_of_ours():
    ours, other = X + np.float32(0.01), X - np.float32(0.02)
    assert compare("y", ours, X).problem is not None
    accepted = compare("y", ours, X, other)
    assert accepted.problem is None and accepted.reference_spread == pytest.approx(0.005, rel=1e-3)
    assert compare("y", X + np.float32(0.1), X, other).problem is not None


def test_layout_turns_rank_4_only():
    x = np.arange(24).reshape(1, 2, 3, 4)
    assert channels_first(x, True).shape == (1, 4, 2, 3) and channels_first(x, True)[0, 3, 1, 2] == x[0, 1, 2, 3]
    assert channels_first(x, False) is x and channels_first(X, True) is X


def test_the_references_own_errors_are_ours():
    with pytest.raises(CheckError, match="ONNX Runtime refuses the model"):
        reference_outputs(b"no model", {})
    with pytest.raises(CheckError, match="inputs of shape x=2x9") as caught:
        reference_outputs(mlp().SerializeToString(), {"x": np.ones((2, 9), np.float32)})
    assert "--shape" in str(caught.value.hint)


def test_quantised_outputs_are_judged_by_their_noise() -> None:
    """Against a limit, which is lower where the reference itself is that uncertain."""
    rng = np.random.default_rng(0)
    want = rng.normal(size=1000).astype(np.float32)
    near, far = (want + rng.normal(size=1000).astype(np.float32) * s for s in (np.float32(0.02), np.float32(0.06)))
    result = compare("y", near, want, quantised=True)
    assert result.problem is None and result.sqnr_db == pytest.approx(34, abs=0.5)
    result = compare("y", far, want, want, quantised=True)
    assert result.problem == f"its SQNR is {result.sqnr_db:.1f} dB, below 30.0 dB"
    assert compare("y", far, want, want + 2 * (far - want), quantised=True).problem is None
    assert compare("y", want, want, quantised=True).sqnr_db == 150
    integers = np.arange(256, dtype=np.uint8)
    assert compare("y", integers, np.roll(integers, 1), quantised=True).problem is not None
    assert compare("y", np.int64([1, 2]), np.int64([1, 3]), quantised=True).problem == "50.00% of its elements differ"
