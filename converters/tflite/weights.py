"""Constant operands as LiteRT stores them: float32, or int8 with one scale or one for each slice of an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from edgeort.converters.tflite.graph import Quant
from edgeort.converters.tflite.refusal import Refuse
from edgeort.passes.edit import constant
from edgeort.passes.quantised import dequantized_constant, numbers_of

if TYPE_CHECKING:
    from edgeort.converters.tflite.writer import Writer

LEAST = -127  # of int8 weights: LiteRT's Arm kernels add two products of int8 in 16 bits


@dataclass(frozen=True)
class Weights:
    """`numbers` float32; or `integers`, whose scale is a number or a vector along `axis`."""

    numbers: np.ndarray
    integers: np.ndarray | None = None
    scale: np.ndarray | None = None  # float32, one element or one for each slice of `axis`
    axis: int = 0

    @classmethod
    def of(cls, value: ir.Value | None) -> Weights:
        """The constant behind a value; its integers where they are int8 and symmetric. Refuse where it is none.

        An integer of -128 becomes -127.
        """
        numbers = numbers_of(value)
        if numbers is None:
            raise Refuse(
                f"{value.name if value else 'its operand'} is computed as the model runs, and must be constant"
            )
        found = dequantized_constant(value) if constant(value) is None else None
        numbers = numbers.astype(np.float32) if numbers.dtype == np.float16 else numbers
        if found is None or found.block is not None or found.stored.dtype.itemsize != 1:
            return cls(numbers)
        if found.integers.min(initial=0) < LEAST - 1 or found.integers.max(initial=0) > -LEAST:
            return cls(numbers)  # asymmetric: the products of its integers would need a zero point for each slice
        if not (np.isfinite(found.scale).all() and found.scale.min(initial=1) > 0):
            return cls(numbers)  # a bias could not be written in steps of 0
        integers = np.maximum(found.integers, LEAST).astype(np.int8)
        return cls(numbers, integers, found.scale.reshape(-1).astype(np.float32), found.axis or 0)

    def transpose(self, perm: Sequence[int]) -> Weights:
        """The axes in the order of `perm`."""
        integers = None if self.integers is None else self.integers.transpose(perm)
        return replace(self, numbers=self.numbers.transpose(perm), integers=integers, axis=list(perm).index(self.axis))

    def reshape(self, shape: Sequence[int], axis: int = 0) -> Weights:
        """Another shape, in which the slices with a scale each lie along `axis`."""
        integers = None if self.integers is None else self.integers.reshape(shape)
        return replace(self, numbers=self.numbers.reshape(shape), integers=integers, axis=axis)

    def floats(self) -> Weights:
        """The same numbers without integers."""
        return Weights(self.numbers)

    def fits(self, axis: int) -> bool:
        """Whether there are integers whose scales lie along `axis`, or one scale."""
        return self.scale is not None and (self.scale.size == 1 or self.axis == axis)

    @property
    def quant(self) -> Quant:
        """The scales."""
        assert self.scale is not None
        return Quant.symmetric(self.scale, self.axis if self.scale.size > 1 else 0)

    def raw(self, ctx: Writer, name: str) -> int:
        """The int8 tensor."""
        assert self.integers is not None
        return ctx.graph.constant(name, self.integers, self.quant)

    def tensor(self, ctx: Writer, name: str) -> int:
        """A float32 tensor, made of the integers where there are some."""
        if self.integers is None:
            return ctx.constant(name, np.ascontiguousarray(self.numbers))
        stored = self.raw(ctx, f"{name}_int8")
        made = ctx.graph.tensor(name, self.integers.shape, "float32")
        ctx.graph.add("DEQUANTIZE", [stored], [made])
        return made


def bias(ctx: Writer, name: str, numbers: np.ndarray, scale: np.ndarray | None) -> int:
    """A bias of float32, or of int32 in units of `scale`. Refuse where int32 cannot hold it."""
    if scale is None:
        return ctx.graph.constant(name, np.asarray(numbers, np.float32))
    integers = np.rint(numbers.astype(np.float64) / scale.astype(np.float64))
    if np.abs(integers).max(initial=0) >= 2**31:
        raise Refuse("its bias is too large for int32")
    return ctx.graph.constant(name, integers.astype(np.int32), Quant.symmetric(scale))
