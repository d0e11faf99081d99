"""The C API: what it refuses, that it goes on after an error, and that the caller's state stays what it was."""

from __future__ import annotations

import ctypes
import platform
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort.elements import RawTensor
from edgeort.engine import Engine
from edgeort.errors import InputError, PlanError
from edgeort.toolchain import RUNTIME
from tests.kernels.support import engine, parse, same_bits
from tests.reference.build import compile_with_zig

HEADER = RUNTIME / "include" / "edgeort.h"


def give(opened: Engine, index: int, array: np.ndarray, *, data: int | None, size: int = 0) -> None:
    """edgeort_set_input with these very numbers."""
    described = RawTensor()
    opened._lib.edgeort_input(opened._model, index, ctypes.byref(described))
    dims = (ctypes.c_int64 * 8)(*array.shape)
    tensor = RawTensor(None, data, size, described.dtype, array.ndim, dims)
    opened._check(opened._lib.edgeort_set_input(opened._model, index, ctypes.byref(tensor)))


@pytest.mark.parametrize(
    ("flags", "source"), [(("-x", "c", "-std=c99"), "c"), (("-x", "c++", "-std=c++11", "-fno-exceptions"), "cc")]
)
def test_the_header_is_plain_c_and_cpp(flags: tuple[str, ...], source: str, tmp_path: Path) -> None:
    program = tmp_path / f"use.{source}"
    program.write_text(
        '#include "edgeort.h"\n'
        "int main(void) { edgeort_options options = {1, 0, 0}; edgeort_tensor x; edgeort_model* model = 0;\n"
        "  if (EDGEORT_ABI != 2) model = edgeort_open(0, &options, 0);\n"
        "  return model && edgeort_input(model, 0, &x); }\n"
    )
    strict = ("-pedantic-errors", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-c", f"-I{HEADER.parent}")
    compile_with_zig([program], (*flags, *strict), depends=[HEADER])


@pytest.fixture
def relu(tmp_path: Path) -> Engine:
    return engine(parse("g (float[n] x) => (float[n] y) { y = Relu(x) }"), tmp_path)


def test_data_that_is_too_short_is_refused(relu: Engine) -> None:
    x = np.ones(8, np.float32)
    with pytest.raises(InputError, match='"x" has 28 bytes; its shape needs 32'):
        give(relu, 0, x, data=x.ctypes.data, size=28)
    give(relu, 0, x, data=x.ctypes.data, size=36)


def test_a_free_dimension_stays_free(relu: Engine) -> None:
    relu.run([np.ones(8, np.float32)])
    described = RawTensor()
    relu._lib.edgeort_input(relu._model, 0, ctypes.byref(described))
    assert described.dims[0] == -1 and described.bytes == 0


def test_data_that_is_not_aligned_is_refused_and_copied_by_python(relu: Engine) -> None:
    raw = np.arange(17, dtype=np.uint8)
    x = raw[1:].view(np.float32)
    assert not x.flags.aligned
    with pytest.raises(InputError, match="not aligned to its elements of 4 bytes"):
        give(relu, 0, x, data=x.ctypes.data)
    assert same_bits(relu.run([x])[0], np.maximum(x, 0))


def test_an_empty_input_needs_no_data(tmp_path: Path) -> None:
    model = parse("g (float[2,3] x, int64[k] axes) => (float[1,1] y) { y = ReduceSum(x, axes) }")
    opened = engine(model, tmp_path)
    x = np.ones((2, 3), np.float32)
    give(opened, 0, x, data=x.ctypes.data)
    give(opened, 1, np.empty(0, np.int64), data=None)
    opened._check(opened._lib.edgeort_run(opened._model))
    assert opened._output(0).tolist() == [[6.0]]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_model_goes_on_after_errors(threads: int, tmp_path: Path) -> None:
    """A shape that cannot be prepared, before and after good ones; a later segment that cannot, and then can."""
    text = """g (float[1,2,h,9] x, int64[2] shape) => (float[a,b] y)
              { c = Conv <pads = [0,1,0,1]> (x, w) r = Relu(c) s = Reshape(r, shape) y = Exp(s) }"""
    opened = engine(parse(text, {"w": np.ones((3, 2, 4, 3), np.float32)}), tmp_path, threads=threads)
    good = np.zeros((1, 2, 6, 9), np.float32)
    for _ in range(2):
        with pytest.raises(PlanError, match="kernel is larger"):
            opened.run([good[:, :, :3], np.array([9, 9])])
        assert opened._describe(opened._lib.edgeort_output, 0).shape is None
        with pytest.raises(PlanError, match="Reshape"):
            opened.run([good, np.array([7, 9])])
        assert opened.run([good, np.array([9, 9])])[0].tolist() == np.ones((9, 9)).tolist()
        assert opened.run([good, np.array([3, -1])])[0].shape == (3, 27)


MODES = {"x86_64": 0x1F80 | 0x8040 | 0x6000, "aarch64": 1 << 24 | 3 << 22}  # flush to zero, round towards zero


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in MODES, reason="sets the mode of x86-64 and Arm"
)
@pytest.mark.parametrize("threads", [1, 2])
def test_the_callers_floating_point_mode_changes_nothing(threads: int, tmp_path: Path) -> None:
    source = Path(__file__).parent / "float_mode.c"
    lib = ctypes.CDLL(str(compile_with_zig([source], ("-shared", "-fPIC", "-O1"))))
    lib.mode.restype, lib.set_mode.argtypes = ctypes.c_uint64, [ctypes.c_uint64]
    model: onnx.ModelProto = parse(
        "g (float[n] x) => (float[n] y) { y = Mul(x, c) }", {"c": np.array([0.3], np.float32)}
    )
    x = np.geomspace(1e-44, 1, 40_000, dtype=np.float32)
    want = engine(model, tmp_path).run([x])[0]
    assert 0 < want[0] < np.finfo(np.float32).tiny
    callers = lib.mode()
    lib.set_mode(MODES[platform.machine()])
    try:
        got = engine(model, tmp_path, threads=threads).run([x])[0]
        after = lib.mode()
    finally:
        lib.set_mode(callers)
    assert same_bits(got, want)
    assert after & MODES[platform.machine()] == MODES[platform.machine()]
