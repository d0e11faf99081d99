"""The float32 numeric contract (edgeort/runtime/NUMERICS.md) as plain scalar C, callable on NumPy arrays.

Tensors are float32; images are NHWC, convolution weights in ONNX layout. Every function returns a new array.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.reference.build import compile_with_zig

Array = NDArray[np.float32]
Ints = Sequence[int]

UNARY = (
    "exp", "expm1", "log", "log1p", "tanh", "erf", "sigmoid", "softplus", "silu", "gelu", "gelu_tanh", "mish",
    "hard_swish", "rsqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh",
)  # fmt: skip
REDUCTIONS = ("sum", "mean", "max", "min", "prod", "l1", "l2", "sum_square", "log_sum", "log_sum_exp")
_HERE = Path(__file__).parent
_FLAGS = ("-std=c99", "-O1", "-g0", "-ffp-contract=off", "-fno-sanitize=undefined", "-fPIC", "-shared")


class Window(ctypes.Structure):
    """Sizes of a 2-D operator, as images.c declares them: kernel k*, stride s*, dilation d*, pads before p*."""

    _names = ("n", "h", "w", "ci", "oh", "ow", "co", "kh", "kw", "sh", "sw", "dh", "dw", "pt", "pl", "groups")
    _fields_ = [(name, ctypes.c_int64) for name in _names]


@cache
def library() -> Reference:
    """The reference, compiled on first use."""
    sources = [_HERE / name for name in ("functions.c", "trigonometry.c", "vectors.c", "images.c")]
    return Reference(ctypes.CDLL(str(compile_with_zig(sources, _FLAGS, depends=[_HERE / "reference.h"]))))


class Reference:
    """Typed calls into the compiled reference."""

    def __init__(self, lib: ctypes.CDLL) -> None:
        self._lib = lib

    def unary(self, name: str, x: Array) -> Array:
        """One of UNARY, element by element."""
        x = _in(x)
        y = np.empty_like(x)
        function = ctypes.cast(getattr(self._lib, f"ref_{name}"), ctypes.c_void_p)
        self._lib.ref_map(function, _ptr(x), _ptr(y), _int(x.size))
        return y

    def pow(self, x: Array, y: Array) -> Array:
        """x ** y, element by element; equal shapes."""
        x, y = _in(x), _in(y)
        assert x.shape == y.shape
        out = np.empty_like(x)
        self._lib.ref_map_pow(_ptr(x), _ptr(y), _ptr(out), _int(x.size))
        return out

    def reduce(self, name: str, x: Array, axes: Sequence[int]) -> Array:
        """One of REDUCTIONS over `axes`, which are dropped; the sequence runs row-major over them."""
        axes = sorted(axis % x.ndim for axis in axes)
        kept = [axis for axis in range(x.ndim) if axis not in axes]
        rows = _in(x.transpose(*kept, *axes))
        y = np.empty([x.shape[axis] for axis in kept], np.float32)
        n = int(np.prod([x.shape[axis] for axis in axes]))
        self._lib.ref_reduce(_ptr(rows), _ptr(y), _int(y.size), _int(n), _int(1), REDUCTIONS.index(name))
        return y

    def softmax(self, x: Array, axis: int = -1, *, log: bool = False) -> Array:
        """Softmax over one axis, or its logarithm."""
        x, axis = _in(x), axis % x.ndim
        y = np.empty_like(x)
        outer, inner = int(np.prod(x.shape[:axis])), int(np.prod(x.shape[axis + 1 :]))
        self._lib.ref_softmax(_ptr(x), _ptr(y), _int(outer), _int(x.shape[axis]), _int(inner), int(log))
        return y

    def layer_norm(self, x: Array, scale: Array, bias: Array, eps: float) -> Array:
        """Over the last axis: x [..., n], scale and bias [n]."""
        x, scale, bias = _in(x), _in(scale), _in(bias)
        y, n = np.empty_like(x), x.shape[-1]
        sizes = _int(x.size // n), _int(n), ctypes.c_float(eps)
        self._lib.ref_layer_norm(_ptr(x), _ptr(scale), _ptr(bias), _ptr(y), *sizes)
        return y

    def rms_norm(self, x: Array, scale: Array, eps: float) -> Array:
        """Over the last axis: x [..., n], scale [n]."""
        x, scale = _in(x), _in(scale)
        y, n = np.empty_like(x), x.shape[-1]
        self._lib.ref_rms_norm(_ptr(x), _ptr(scale), _ptr(y), _int(x.size // n), _int(n), ctypes.c_float(eps))
        return y

    def group_norm(self, x: Array, scale: Array, bias: Array, groups: int, eps: float) -> Array:
        """x [batch, ..., channels], scale and bias [channels]; groups = channels is the instance norm."""
        x, scale, bias = _in(x), _in(scale), _in(bias)
        batch, channels = x.shape[0], x.shape[-1]
        pixels = x.size // batch // channels
        y, work = np.empty_like(x), np.empty(pixels * channels // groups, np.float32)
        sizes = _int(batch), _int(pixels), _int(channels), _int(groups), ctypes.c_float(eps)
        self._lib.ref_group_norm(_ptr(x), _ptr(scale), _ptr(bias), _ptr(y), _ptr(work), *sizes)
        return y

    def gemm(self, a: Array, b: Array, bias: Array | None = None) -> Array:
        """a [m, k] @ b [k, n] + bias [n]."""
        a, b = _in(a), _in(b)
        (m, k), n = a.shape, b.shape[1]
        bias, y = _bias(bias, n), np.empty((m, n), np.float32)
        self._lib.ref_gemm(_ptr(a), _ptr(b), _ptr(bias), _ptr(y), _int(m), _int(n), _int(k))
        return y

    def conv2d(
        self,
        x: Array,
        weight: Array,
        bias: Array | None = None,
        *,
        strides: tuple[int, int] = (1, 1),
        dilations: tuple[int, int] = (1, 1),
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
        groups: int = 1,
    ) -> Array:
        """x [n, h, w, ci], weight [co, ci / groups, kh, kw], bias [co]; pads top, left, bottom, right."""
        x, weight = _in(x), _in(weight)
        co, kernel = weight.shape[0], weight.shape[2:]
        spans = (x.shape[1 + i] + pads[i] + pads[2 + i] - dilations[i] * (kernel[i] - 1) - 1 for i in (0, 1))
        out = [span // stride + 1 for span, stride in zip(spans, strides, strict=True)]
        y = np.empty((x.shape[0], *out, co), np.float32)
        window = _window(x, y, kernel, strides, dilations, pads, groups)
        self._lib.ref_conv2d(_ptr(x), _ptr(weight), _ptr(_bias(bias, co)), _ptr(y), ctypes.byref(window))
        return y

    def winograd2d(self, x: Array, weight: Array, bias: Array, *, pad: int, stride: int = 1) -> Array:
        """x [n, h, w, ci], weight [co, ci, 3, 3], bias [co]; the same pad on every side."""
        x, weight, bias = _in(x), _in(weight), _in(bias)
        y = np.empty(
            (x.shape[0], *((d + 2 * pad - 3) // stride + 1 for d in x.shape[1:3]), weight.shape[0]), np.float32
        )
        window = _window(x, y, (3, 3), (stride, stride), (1, 1), (pad,) * 4, 1)
        self._lib.ref_winograd2d(_ptr(x), _ptr(weight), _ptr(bias), _ptr(y), ctypes.byref(window))
        return y

    def winograd_stem(
        self, x: Array, terms: Array, bias: Array, *, pads: tuple[int, int, int, int] = (3, 3, 3, 3)
    ) -> Array:
        """A 7x7 convolution of stride 2: x [n, h, w, 3], weights [co, 507] transformed, bias [co]."""
        x, terms, bias = _in(x), _in(terms), _in(bias)
        out = ((x.shape[1 + i] + pads[i] + pads[2 + i] - 7) // 2 + 1 for i in (0, 1))
        y = np.empty((x.shape[0], *out, terms.shape[0]), np.float32)
        window = _window(x, y, (7, 7), (2, 2), (1, 1), pads, 1)
        self._lib.ref_winograd_stem(_ptr(x), _ptr(terms), _ptr(bias), _ptr(y), ctypes.byref(window))
        return y

    def conv_transpose2d(
        self,
        x: Array,
        weight: Array,
        bias: Array | None = None,
        *,
        strides: tuple[int, int] = (1, 1),
        dilations: tuple[int, int] = (1, 1),
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
        output_padding: tuple[int, int] = (0, 0),
        groups: int = 1,
    ) -> Array:
        """x [n, h, w, ci], weight [ci, co / groups, kh, kw], bias [co]; pads top, left, bottom, right."""
        x, weight = _in(x), _in(weight)
        co, kernel = weight.shape[1] * groups, weight.shape[2:]
        reach = [(x.shape[1 + i] - 1) * strides[i] + dilations[i] * (kernel[i] - 1) + 1 for i in (0, 1)]
        out = [reach[i] + output_padding[i] - pads[i] - pads[2 + i] for i in (0, 1)]
        y = np.empty((x.shape[0], *out, co), np.float32)
        window = _window(x, y, kernel, strides, dilations, pads, groups)
        self._lib.ref_conv_transpose2d(_ptr(x), _ptr(weight), _ptr(_bias(bias, co)), _ptr(y), ctypes.byref(window))
        return y

    def pool2d(
        self,
        x: Array,
        kernel: tuple[int, int],
        *,
        maximum: bool = False,
        strides: tuple[int, int] = (1, 1),
        dilations: tuple[int, int] = (1, 1),
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
        count_pad: bool = False,
        ceil_mode: bool = False,
    ) -> Array:
        """MaxPool or AveragePool of x [n, h, w, c]; pads top, left, bottom, right."""
        x = _in(x)
        out = []
        for i in (0, 1):
            span = x.shape[1 + i] + pads[i] + pads[2 + i] - dilations[i] * (kernel[i] - 1) - 1
            size = -(-span // strides[i]) + 1 if ceil_mode else span // strides[i] + 1
            if ceil_mode and (size - 1) * strides[i] >= x.shape[1 + i] + pads[i]:
                size -= 1  # ONNX: a window that would start in the pad behind the input is dropped
            out.append(size)
        y = np.empty((x.shape[0], *out, x.shape[3]), np.float32)
        window = _window(x, y, kernel, strides, dilations, pads, 1)
        behind = _int(pads[2]), _int(pads[3])
        self._lib.ref_pool2d(_ptr(x), _ptr(y), ctypes.byref(window), *behind, int(maximum), int(count_pad))
        return y


def _window(x: Array, y: Array, kernel: Ints, strides: Ints, dilations: Ints, pads: Ints, groups: int) -> Window:
    return Window(*x.shape, *y.shape[1:], *kernel, *strides, *dilations, *pads[:2], groups)


def _in(x: Array) -> Array:
    return np.ascontiguousarray(x, np.float32)


def _bias(bias: Array | None, n: int) -> Array:
    return np.zeros(n, np.float32) if bias is None else _in(bias)


def _ptr(x: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(x.ctypes.data)


def _int(value: int) -> ctypes.c_int64:
    return ctypes.c_int64(value)
