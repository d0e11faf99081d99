"""Golden inputs and digests."""

from __future__ import annotations

import io

import numpy as np
import pytest

from edgeort.bundle import golden
from edgeort.errors import InputError
from edgeort.values import Value


def test_splitmix64_is_the_published_one():
    # The first outputs of the generator with state 0: mix of 0, gamma, 2 gamma, ... (Vigna's splitmix64.c)
    gamma = 0x9E3779B97F4A7C15
    states = np.array([0, gamma, 2 * gamma % 2**64], np.uint64)
    assert [hex(int(x)) for x in golden.mix(states)] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
        "0x6c45d188009454f",
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_floats_fill_the_range_evenly(dtype: str):
    x = golden.random_input(Value("x", dtype, (4096,)), 0, (4096,))
    assert x.dtype == dtype and x.min() >= -1 and x.max() < 1
    assert abs(float(x.mean(dtype=np.float64))) < 0.03 and len(np.unique(x)) > 1500


def test_inputs_differ_and_integers_are_safe_indices():
    values = [Value("a", "float32", (100,)), Value("b", "float32", (100,)), Value("ids", "int64", (100,))]
    made = golden.make_inputs(values)
    assert (made["a"] != made["b"]).any()
    assert made["ids"].dtype == np.int64 and made["ids"].min() >= 0 and 100 < made["ids"].max() < 128
    assert set(np.unique(golden.make_inputs(values, binary=True)["ids"])) == {0, 1}


def test_free_dimensions_get_sizes_and_equal_names_equal_ones():
    values = [
        Value("x", "float32", ("N", 3, "H", "H")),
        Value("y", "float32", ("N", None)),
        Value("z", "float32", ("H",)),
    ]
    assert golden.choose_shapes(values) == {"x": (1, 3, 64, 64), "y": (1, 16), "z": (64,)}
    with pytest.raises(InputError, match="'q' has no shape"):
        golden.choose_shapes([Value("q", "float32", None)])


def test_digest_sees_bits_shape_and_type_but_not_the_payload_of_nan():
    x = np.array([1.0, np.nan, -0.0, 3.0], np.float32)
    other_nan = x.copy()
    other_nan.view(np.uint32)[1] = 0xFFC12345
    assert golden.digest(x) == golden.digest(other_nan)
    different = [x[:3], x.reshape(2, 2), x.view(np.int32), x[::-1].copy(), np.array([1, np.nan, 0.0, 3], np.float32)]
    assert len({golden.digest(array) for array in [x, *different]}) == 6


def test_small_outputs_are_stored_large_ones_only_digested():
    small, large = np.zeros(4, np.float32), np.zeros(golden.KEPT_BYTES, np.float32)
    files = golden.files([small], {Value("a", "float32", (4,)): small, Value("b", "float32", None): large})
    assert sorted(files) == ["golden/digests.txt", "golden/input0.npy", "golden/output0.npy"]
    assert files["golden/digests.txt"].decode().splitlines()[1] == f"output1 {golden.digest(large)} b"
    assert np.load(io.BytesIO(files["golden/output0.npy"])).tobytes() == small.tobytes()
