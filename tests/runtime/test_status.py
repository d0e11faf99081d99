"""What the C API returns: edgeort_status tells what kind of failure it was, in Python as the class of an error."""

from __future__ import annotations

import ctypes as c
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgeort import engine as wrapper
from edgeort.elements import RawTensor
from edgeort.engine import Engine
from edgeort.errors import InputError, OutOfMemoryError, PlanError
from edgeort.toolchain import RUNTIME
from tests.kernels.support import engine, parse

OK, FAILED, OVER_RAM_LIMIT, INVALID_ARGUMENT, OUT_OF_MEMORY = range(5)
MOST = 1 << 40  # elements that one tensor may have: 4 TB of float32


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits addresses as POSIX does")


@pytest.fixture(autouse=True)
def a_limit() -> Iterator[None]:
    """Some systems promise more memory than they have, and end who uses it."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 41, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture
def opened(tmp_path: Path) -> Engine:
    return engine(parse("g (float[n,8] x, int64[2] shape) => (float[a,b] y) { y = Expand (x, shape) }"), tmp_path)


def give(opened: Engine, index: int, array: np.ndarray, *, dtype: int = 0) -> int:
    tensor = RawTensor(None, array.ctypes.data, 0, dtype, array.ndim, (c.c_int64 * 8)(*array.shape))
    return int(opened._lib.edgeort_set_input(opened._model, index, c.byref(tensor)))


def shape_of(*dims: int) -> np.ndarray:
    return np.array(dims, np.int64)


def test_python_and_the_header_agree():
    text = (RUNTIME / "include/edgeort.h").read_text()
    found = {name: int(value) for name, value in re.findall(r"\bEDGEORT_([A-Z_]+) = (\d+),?\s+/\*", text)}
    found |= {"OK": int(re.findall(r"EDGEORT_OK = (\d+)", text)[0])}
    for name, value in vars(wrapper).items():
        if name[1:] in found and isinstance(value, int):
            assert value == found[name[1:]], name
    assert (found["OK"], found["FAILED"], found["OVER_RAM_LIMIT"]) == (0, 1, 2)  # callers may have these numbers
    assert (found["INVALID_ARGUMENT"], found["OUT_OF_MEMORY"]) == (3, 4)


def test_an_index_that_is_none(opened: Engine):
    lib, model, tensor, dims = opened._lib, opened._model, RawTensor(), (c.c_int64 * 8)()
    node, block = wrapper._Node(), (c.c_byte * 128)()
    for index in (-1, 2):
        assert lib.edgeort_input(model, index, c.byref(tensor)) == INVALID_ARGUMENT
        assert lib.edgeort_output(model, index, c.byref(tensor)) == INVALID_ARGUMENT
        assert lib.edgeort_input_bounds(c.c_void_p(model), index, dims, dims) == INVALID_ARGUMENT
        assert lib.edgeort_get_node(model, index, c.byref(node)) == INVALID_ARGUMENT
        assert give(opened, index, np.ones((1, 8), np.float32)) == INVALID_ARGUMENT
    assert lib.edgeort_get_block(c.c_void_p(model), -1, block) == INVALID_ARGUMENT


def test_an_input_that_does_not_fit_or_was_not_given(opened: Engine):
    lib, model, x = opened._lib, opened._model, np.ones((1, 8), np.float32)
    assert lib.edgeort_run(model) == INVALID_ARGUMENT  # a dimension is free
    assert give(opened, 0, x[:, :7]) == give(opened, 0, x, dtype=6) == INVALID_ARGUMENT
    assert give(opened, 0, x) == OK
    assert lib.edgeort_run(model) == INVALID_ARGUMENT and b'"shape" has no data' in lib.edgeort_last_error(model)
    shape = shape_of(3, 8)
    assert give(opened, 1, shape, dtype=6) == OK and lib.edgeort_run(model) == OK


def test_data_that_the_model_cannot_take_and_data_that_no_memory_can(opened: Engine):
    lib, model, x = opened._lib, opened._model, np.ones((1, 8), np.float32)
    for dims, want in (((5, 9), FAILED), ((MOST // 8, 8), OUT_OF_MEMORY), ((5, 8), OK)):
        shape = shape_of(*dims)
        assert give(opened, 0, x) == OK and give(opened, 1, shape, dtype=6) == OK
        assert lib.edgeort_run(model) == want, lib.edgeort_last_error(model)


def test_they_are_classes_of_errors_in_python(opened: Engine):
    x = np.ones((1, 8), np.float32)
    with pytest.raises(PlanError, match="Expand"):
        opened.run([x, shape_of(5, 9)])
    with pytest.raises(OutOfMemoryError, match="out of memory for"):
        opened.run([x, shape_of(MOST // 8, 8)])
    with pytest.raises(MemoryError):  # as NumPy's own
        opened.run([x, shape_of(MOST // 8, 8)])
    with pytest.raises(InputError, match="dimension 1 must be 8, not 7"):
        opened.run([x[:, :7], shape_of(5, 8)])
    assert opened.run([x, shape_of(2, 8)])[0].shape == (2, 8)


def test_what_a_body_lacks_the_model_lacks(tmp_path: Path):
    text = """g (float[8] x, int64[2] shape, bool c) => (float[a,b] y) {
      y = If (c) <then_branch = t () => (float[a,b] z) { z = Expand (x, shape) },
                  else_branch = e () => (float[d,f] w) { w = Expand (x, one) }> }"""
    opened = engine(parse(text, {"one": shape_of(1, 8)}), tmp_path)
    x = np.ones(8, np.float32)
    with pytest.raises(OutOfMemoryError, match=r"\(If\): .*out of memory"):
        opened.run([x, shape_of(MOST // 8, 8), np.array(True)])
    with pytest.raises(PlanError, match=r"\(If\): .*Expand"):
        opened.run([x, shape_of(3, 9), np.array(True)])
    assert opened.run([x, shape_of(3, 8), np.array(False)])[0].shape == (1, 8)
