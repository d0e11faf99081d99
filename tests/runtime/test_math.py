"""math.h and vec.h: the same bits by floats, every vector width, on an emulated Cortex-A53 and in the C reference."""

from __future__ import annotations

import ctypes
import itertools
import math
import mmap
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.reference import UNARY, Array, library
from tests.reference.build import ROOT, compile_with_zig

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the probe is built for Linux")

HEADERS = sorted((ROOT / "edgeort" / "runtime" / "simd").glob("*.h"))
PROBE = Path(__file__).parent / "math_probe.cc"
FLAGS = (
    *("-x", "c++", "-std=c++17", "-fno-exceptions", "-fno-rtti", "-ffp-contract=off", "-fno-math-errno", "-O3", "-g0"),
    *("-nostdlib", "-nostdlib++", "-fno-sanitize=undefined", "-Wall", "-Wextra", "-Werror", "-I."),
)
VARIANTS = {
    "x86_64": {
        "scalar": ("-mcpu=x86_64_v3", "-DPROBE_SCALAR"),
        "v1": ("-mcpu=x86_64",),  # no fma and no rounding instruction: the emulations of vec.h
        "v1 scalar": ("-mcpu=x86_64", "-DPROBE_SCALAR"),
        "v3": ("-mcpu=x86_64_v3",),
        "v4": ("-mcpu=x86_64_v4",),
    },
    "aarch64": {"scalar": ("-mcpu=generic", "-DPROBE_SCALAR"), "neon": ("-mcpu=generic",)},
}
HOST_VARIANTS = VARIANTS.get(platform.machine(), {})
STRIDE = 65_539  # a prime: 65 535 floats a sweep, with all exponents and changing last bits


@cache
def probe(variant: str) -> ctypes.CDLL:
    if variant == "v4" and " avx512f " not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this CPU has no AVX-512")
    target = ("-target", f"{platform.machine()}-linux-gnu", "-shared", "-fPIC")
    lib = ctypes.CDLL(str(compile_with_zig([PROBE], [*FLAGS, *target, *HOST_VARIANTS[variant]], depends=HEADERS)))
    lib.probe_name.restype, lib.probe_digest.restype = ctypes.c_char_p, ctypes.c_uint64
    return lib


def apply(variant: str, name: str, x: Array, y: Array | None = None) -> Array:
    """The function over x (and y); sizes need not be multiples of 16."""
    a, b = (np.resize(v, -(-v.size // 16) * 16).astype(np.float32) for v in (x, x if y is None else y))
    out = np.empty_like(a)
    pointers = (ctypes.c_void_p(v.ctypes.data) for v in (out, a, b))
    assert probe(variant).probe_apply(name.encode(), *pointers, ctypes.c_long(a.size)), name
    return out[: x.size]


def sweep() -> Array:
    """Every 65 539th bit pattern, and the special values."""
    patterns = np.arange(0, 2**32, STRIDE, dtype=np.uint64).astype(np.uint32).view(np.float32)
    thresholds = [0.4, 0.5, 0.55, 1, 30, 88.72284, 89.41599, 103.97208, 262144, 3.4028235e38]
    special = np.array([0, 1e-45, 1.17549435e-38, math.inf, math.nan, *thresholds], np.float32)
    return np.concatenate([patterns, special, -special])


def assert_same_bits(got: Array, want: Array, *inputs: Array) -> None:
    """Equal bit patterns, all NaNs alike."""
    differ = (got.view(np.uint32) != want.view(np.uint32)) & ~(np.isnan(got) & np.isnan(want))
    at = np.flatnonzero(differ)[:1]
    assert not at.size, f"{differ.sum()} differ, first at {[v[at] for v in inputs]}: {got[at]} != {want[at]}"


def worst_ulp(got: Array, want: NDArray[np.float64], *inputs: Array) -> float:
    """The largest error in units of the last place of `want`; zeros, infinities and NaN must be exact."""
    with np.errstate(over="ignore"):
        rounded = want.astype(np.float32)
    exact = ~np.isfinite(rounded) | (want == 0)
    assert_same_bits(got[exact], rounded[exact], *(v[exact] for v in inputs))
    exponent = np.maximum(np.frexp(want[~exact])[1], -125)
    return float(np.max(np.abs(got[~exact] - want[~exact]) / np.ldexp(1.0, exponent - 24)))


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("variant", HOST_VARIANTS)
def test_same_bits_as_the_reference(variant: str, name: str) -> None:
    x = sweep()
    assert_same_bits(apply(variant, name, x), library().unary(name, x), x)


def pow_inputs() -> tuple[Array, Array]:
    numbers = [0, 1, 2, 3, 0.5, 1.5, 1e-40, 3e38, 16777215, 16777216, 33554432]
    special = np.array([*numbers, math.inf, math.nan], np.float32)
    special = np.concatenate([special, -special])
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 4, 50_000)
    y = rng.uniform(-140, 125, x.size) / np.log2(x)
    pairs = np.meshgrid(special, special)
    return (
        np.concatenate([pairs[0].ravel(), x]).astype(np.float32),
        np.concatenate([pairs[1].ravel(), y]).astype(np.float32),
    )


@pytest.mark.parametrize("variant", HOST_VARIANTS)
def test_pow_has_the_bits_of_the_reference(variant: str) -> None:
    x, y = pow_inputs()
    assert_same_bits(apply(variant, "pow", x, y), library().pow(x, y), x, y)


def test_pow_is_nearly_correctly_rounded_and_knows_its_special_cases() -> None:
    x, y = pow_inputs()
    with np.errstate(all="ignore"):
        want = np.power(x.astype(np.float64), y.astype(np.float64))
    assert worst_ulp(apply("scalar", "pow", x, y), want, x, y) <= 0.501


@pytest.mark.parametrize("variant", HOST_VARIANTS)
def test_piecewise_functions(variant: str) -> None:
    x, expm1 = sweep(), library().unary("expm1", sweep())
    one, negative = np.float32(1), x < 0
    with np.errstate(all="ignore"):
        want = {
            "relu": np.where(negative, np.float32(0), x),
            "leaky_relu": np.where(negative, x * np.float32(0.1), x),
            "elu": np.where(negative, expm1 * np.float32(0.7), x),
            "celu": np.where(negative, library().unary("expm1", x / np.float32(0.7)) * np.float32(0.7), x),
            "selu": np.where(negative, expm1 * np.float32(1.6732632), x) * np.float32(1.050701),
            "clip": np.where(x < -1.5, np.float32(-1.5), np.where(x > 2.5, np.float32(2.5), x)),
            "hard_sigmoid": np.clip((x.astype(np.float64) * np.float32(0.2) + 0.5).astype(np.float32), 0 * one, one),
            "round_even": np.rint(x),
            "floor": np.floor(x),
            "ceil": np.ceil(x),
            "trunc": np.trunc(x),
        }
    for name, values in want.items():
        assert_same_bits(apply(variant, name, x), values, x)


@pytest.mark.parametrize("variant", HOST_VARIANTS)
def test_maximum_and_minimum_of_nan_and_zeros(variant: str) -> None:
    values = np.array([0.0, -0.0, 1, -1, math.inf, -math.inf, math.nan], np.float32)
    a, b = (v.ravel() for v in np.meshgrid(values, values))
    larger, smaller = np.where(a < b, b, a), np.where(b < a, b, a)
    assert_same_bits(apply(variant, "vmax", a, b), larger, a, b)
    assert_same_bits(apply(variant, "vmin", a, b), smaller, a, b)
    assert_same_bits(apply(variant, "max_nan", a, b), np.where(np.isnan(b), b, larger), a, b)
    assert_same_bits(apply(variant, "min_nan", a, b), np.where(np.isnan(b), b, smaller), a, b)


@pytest.mark.parametrize("variant", HOST_VARIANTS)
def test_sixteen_lanes_reduce_as_the_reference_does(variant: str) -> None:
    rng = np.random.default_rng(2)
    function = probe(variant).probe_reduce
    function.restype = ctypes.c_float
    for name, n in itertools.product(("sum", "prod", "max", "min"), (1, 7, 15, 16, 17, 40, 333)):
        x = rng.normal(1, 0.2, n).astype(np.float32)
        got = function(name.encode(), ctypes.c_void_p(x.ctypes.data), ctypes.c_long(n))
        assert_same_bits(np.array([got], np.float32), library().reduce(name, x, [0])[None])


@pytest.mark.parametrize("variant", HOST_VARIANTS)
def test_partial_loads_and_stores_touch_nothing_beyond(variant: str) -> None:
    page = mmap.PAGESIZE
    block = mmap.mmap(-1, 2 * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(block))
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + page), ctypes.c_size_t(page), 0) == 0
    before = np.frombuffer(block, np.float32, page // 4)
    before[:] = np.arange(page // 4)
    for n in range(probe(variant).probe_lanes() + 1):
        out = np.full(32, -1, np.float32)
        source = ctypes.c_void_p(start + page - 4 * n)  # the last n floats: a read of one more faults
        probe(variant).probe_copy_n(ctypes.c_void_p(out.ctypes.data), source, n)
        assert out.tolist() == [*before[before.size - n :].tolist(), *[-1] * (32 - n)]
        probe(variant).probe_copy_n(source, ctypes.c_void_p(out.ctypes.data), n)


Double = NDArray[np.float64]
_erf: Callable[[Double], Double] = np.vectorize(math.erf, otypes=[np.float64])

# Name: float64 truth, largest error in ulp over the whole sweep (math.h states those of a hundred times denser one).
TRUTH: dict[str, tuple[Callable[[Double], Double], float]] = {
    "exp": (np.exp, 0.85),
    "expm1": (np.expm1, 1.4),
    "log": (np.log, 0.8),
    "log1p": (np.log1p, 1.45),
    "tanh": (np.tanh, 1.4),
    "erf": (_erf, 1.0),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), 1.55),
    "softplus": (lambda x: np.logaddexp(0, x), 1.65),
    "sin": (np.sin, 1.6),
    "cos": (np.cos, 1.6),
    "tan": (np.tan, 2.5),
    "asin": (np.arcsin, 2.0),
    "acos": (np.arccos, 1.55),
    "atan": (np.arctan, 1.2),
    "sinh": (np.sinh, 2.1),
    "cosh": (np.cosh, 1.35),
    "asinh": (np.arcsinh, 1.7),
    "acosh": (np.arccosh, 1.8),
    "atanh": (np.arctanh, 2.0),
    "rsqrt": (lambda x: 1 / np.sqrt(x), 1.5),
}


@pytest.mark.parametrize("name", TRUTH)
def test_error_against_float64(name: str) -> None:
    truth, bound = TRUTH[name]
    x = sweep()
    if name == "log1p":  # ours: the sign of its zero is not kept
        x = x[x != 0]
    with np.errstate(all="ignore"):
        want = truth(x.astype(np.float64))
    assert worst_ulp(apply("scalar", name, x), want, x) <= bound


def digests_here() -> dict[str, int]:
    lib, digests, index = probe("scalar"), {}, 0
    while name := lib.probe_name(index):
        digests[name.decode()] = lib.probe_digest(index, ctypes.c_uint32(STRIDE))
        index += 1
    return digests


@pytest.mark.skipif(not shutil.which("qemu-aarch64-static"), reason="needs qemu-aarch64-static")
@pytest.mark.skipif(not HOST_VARIANTS, reason="no probe for this host")
def test_same_bits_on_a_cortex_a53() -> None:
    target = ("-target", "aarch64-linux-none", "-mcpu=cortex_a53", "-static", "-ffreestanding", "-fno-builtin")
    program = compile_with_zig([PROBE], [*FLAGS, *target, f"-DPROBE_MAIN={STRIDE}"], depends=HEADERS)
    command = ["qemu-aarch64-static", "-cpu", "cortex-a53", str(program)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.splitlines()
    assert {name: int(value, 16) for name, value in map(str.split, lines)} == digests_here()
