"""Sources that no format takes, and inputs that are made up."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from edgeort import converters
from edgeort.converters.source import example_shape, random_array
from edgeort.errors import InputError


@pytest.mark.parametrize(("made", "message"), [(True, "no model that can be converted"), (False, "no such file")])
def test_a_source_that_is_none(tmp_path: Path, made: bool, message: str):
    path = tmp_path / "m.txt"
    if made:
        path.write_text("x")
    with pytest.raises(InputError, match=message) as caught:
        converters.convert(path, tmp_path / "m.onnx")
    assert "edgeort convert takes" in str(caught.value.hint)


@pytest.mark.parametrize("source", ["nothere.py:make", "nothere.pt2", "nothere.keras", "nothere.tflite"])
def test_a_missing_file_is_told_without_its_framework(tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch):
    for name in ("torch", "tensorflow", "ai_edge_litert"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match="^nothere[a-z0-9.]+: no such file"):
        converters.convert(source, tmp_path / "m.onnx")


def test_free_dimensions_get_a_size():
    assert example_shape([None, 3, "h", -1]) == (2, 3, 64, 64)
    assert example_shape(["n", "t"]) == (2, 16)
    assert example_shape([4]) == (4,)


@pytest.mark.parametrize("name", ["float32", "float16", "int8", "uint8", "int64", "bool"])
def test_random_arrays(name: str):
    array = random_array(np.random.default_rng(0), np.dtype(name), (64, 64))
    assert array.dtype == name
    low, high = {"int8": (-128, 127), "uint8": (0, 255)}.get(name, (-1, 1) if name.startswith("float") else (0, 1))
    assert array.min() >= low
    assert array.max() <= high
    assert len(np.unique(array)) > 1


def test_no_random_strings():
    with pytest.raises(InputError, match="no random inputs"):
        random_array(np.random.default_rng(0), np.dtype("U3"), (1,))
