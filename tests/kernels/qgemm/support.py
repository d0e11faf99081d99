"""Products of random integers as plans, what the reference makes of them, and how they are run and compared."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgeort import toolchain
from edgeort.lowering import layout, quantised, steps
from edgeort.lowering.params import PARAMS
from edgeort.lowering.plan import PlanBuilder
from edgeort.lowering.typed import CODES
from tests.contract.engines import HOST
from tests.kernels.int8 import same_everywhere
from tests.reference import quantised as reference

KERNELS = ("QGemm", "QConv", "QStemConv", "QDepthwiseConv", "QuantisedBytes", "MaxPool", "Concat", "Split")
UOPS = ("uop:Add", "uop:Relu", "uop:Quantize", "uop:Dequantize")
STEP, OFFSET = 0.5, 0.75  # of programs
EDGES = (0, 1, 2, 31, 33, 64, 65, 126, 127, -1, -2, -3, -32, -64, -65, -127)  # weights
# Cores with no int8 instructions, with dot products, with matrix products.
CORES = ("cortex-a53", "cortex-a76", "max")


@dataclass
class Case:
    """A product of random integers with many extreme ones. kernel: of a convolution; else a QGemm."""

    k: int  # channels, of all groups
    n: int
    kernel: tuple[int, ...] = ()
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    groups: int = 1
    stem: bool = False
    quantised: bool = True
    program: bool = False  # a residual sum, relu and, for a quantised result, Quantize behind it
    wide: bool = False
    limits: tuple[int, int] = (-128, 127)
    zero_points: tuple[int, int] = (3, -7)
    scale: float = 0.0  # 0: so that results fill the range
    extreme: bool = False  # all weights, values and biases as large as they may be
    deviation: float = 0.0  # of weights as trained ones are spread, few of them large; 0: most are large
    edges: bool = False  # sums of two weights are near 128, values extreme: sums of products are near the ends of int16
    weight: np.ndarray = field(init=False)  # [n, k of a group, *kernel], or [k, n]
    bias: np.ndarray = field(init=False)
    scales: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.k * self.n)
        low = -128 if self.wide else -127
        shape = (self.n, self.k // self.groups, *self.kernel) if self.kernel else (self.k, self.n)
        self.weight = rng.integers(low, 128, shape).astype(np.int8)
        if self.deviation:
            self.weight = np.rint(rng.normal(0, self.deviation, shape)).clip(low, 127).astype(np.int8)
        if self.edges:
            self.weight = rng.choice(np.array([*EDGES, low], np.int8), shape)
        at = rng.random(shape) < (1 if self.extreme else 0 if self.deviation or self.edges else 0.3)
        self.weight[at] = np.where(self.weight[at] < 0, low, 127)
        sums = self.k // self.groups * int(np.prod(self.kernel or (1,)))
        most = 2**31 - 1 - sums * 255 * 128 if self.extreme else 40000
        self.bias = rng.integers(-most, most, self.n, endpoint=True).astype(np.int32)
        if self.extreme:
            self.weight[..., :] = np.sign(self.weight) * (127 if not self.wide else 127)
            self.bias[:] = np.where(self.bias < 0, -most, most)
        size = self.scale or 1 / (3000 * np.sqrt(sums))
        self.scales = (size * rng.uniform(0.5, 2, self.n)).astype(np.float32)

    def input(self, rng: np.random.Generator, *shape: int) -> np.ndarray:
        x = rng.integers(-128, 128, (*shape, self.k)).astype(np.int8)
        at = rng.random(x.shape) < (1 if self.extreme or self.edges else 0.3)
        x[at] = np.where(x[at] < 0, -128, 127)
        return x

    def sums(self, x: np.ndarray) -> np.ndarray:
        """int32, before the result's scale."""
        if not self.kernel:
            return reference.qgemm(x, self.weight, self.bias, self.zero_points[0])
        window = {"strides": self.strides, "dilations": self.dilations, "pads": self.pads, "groups": self.groups}
        return reference.qconv(x, self.weight, self.bias, self.zero_points[0], **window)

    def want(self, x: np.ndarray) -> np.ndarray:
        acc = self.sums(x)
        y = acc.astype(np.float32) * self.scales
        if self.program:
            y = np.maximum(y + np.float32(OFFSET), np.float32(0))
            return reference.quantize(y, STEP, self.zero_points[1]) if self.quantised else y
        return reference.requantise(acc, self.scales, self.zero_points[1], *self.limits) if self.quantised else y

    @property
    def dims(self) -> list[int | str]:
        return ["n", "h", "w", self.k] if self.kernel else ["m", self.k]

    def plan(self) -> PlanBuilder:
        plan = PlanBuilder()
        x = plan.input("x", CODES["i8"], self.dims)
        inner = plan.activation("xq", layout.Q8)
        plan.node("QuantisedBytes", "in", [x], [inner], PARAMS["AxisParams"].pack(flag=layout.Q8))
        plan.outputs = [self.append(plan, inner, "y")]
        if self.quantised:
            out = plan.activation("out", CODES["i8"])
            plan.node("QuantisedBytes", "out", plan.outputs, [out], PARAMS["AxisParams"].pack(flag=CODES["i8"]))
            plan.outputs = [out]
        return plan

    def append(self, plan: PlanBuilder, x: int, name: str) -> int:
        """The product alone, of tensor `x`."""
        y = plan.activation(name, layout.Q8 if self.quantised else CODES["f32"])
        op = "QStemConv" if self.stem else "QConv" if self.kernel else "QGemm"
        plan.node(op, name, [x, *self.constants(plan, name), *self.steps(plan, name)], [y], self.params())
        return y

    def steps(self, plan: PlanBuilder, name: str) -> list[int]:
        """As lowering gives them: to products of one tap of whole quads."""
        taps, k, _ = self.taps.shape
        if self.wide or not (self.stem or (taps == 1 and k % steps.DEPTH == 0)):
            return []
        packed = next(tensor.data for tensor in plan.tensors if tensor.name == f"{name}.w")
        assert packed is not None
        found = steps.steps(packed, -(-taps * k // steps.DEPTH))
        assert found is not None
        return [plan.constant(f"{name}.steps", found, CODES["u64"])]

    @property
    def taps(self) -> np.ndarray:
        """The weights as [tap, k of a group, n]."""
        return self.weight.reshape(*self.weight.shape[:2], -1).transpose(2, 1, 0) if self.kernel else self.weight[None]

    def constants(self, plan: PlanBuilder, name: str) -> list[int]:
        taps = self.taps
        one = taps.reshape(1, -1, self.n) if self.stem else taps
        packed = np.concatenate([quantised.panels(part) for part in np.split(one, self.groups, axis=2)])
        made = [plan.constant(f"{name}.w", packed, CODES["i8"])]
        sums = taps.sum((0, 1), dtype=np.int32)
        for key, values, dtype in (("b", self.bias, "i32"), ("s", sums, "i32"), ("f", self.scales, "f32")):
            parts = [quantised.padded(part) for part in np.split(values, self.groups)]
            made.append(plan.constant(f"{name}.{key}", np.concatenate(parts), CODES[dtype]))
        return made

    def params(self, program: tuple[bytes, list[bytes]] | None = None, **changed: Any) -> bytes:
        """program: instead of the case's own, its header and its instructions."""
        lo, hi = self.limits
        x_zero_point, zero_point = self.zero_points
        integers = {"x_zero_point": x_zero_point, "zero_point": zero_point, "lo": lo, "hi": hi}
        small = reference.is_small(self.taps, self.bias, self.scales, x_zero_point)
        flags = {"quantised": int(self.quantised), "wide": int(self.wide), "small": int(small)}
        made = PARAMS["Quantisation"].pack(**{**integers, **flags, **changed})
        code = [instruction("Add", OFFSET), instruction("Relu")]
        if self.quantised:
            code.append(instruction("Quantize", float(np.float32(1) / np.float32(STEP)), self.zero_points[1]))
        if not self.program:
            code = []
        header, code = program or (layout.PROGRAM.pack(count=len(code), registers=1, first_operand=5), code)
        if not self.kernel:
            return PARAMS["QGemmParams"].pack(quantisation=made, k=self.k, n=self.n, epilogue=header) + b"".join(code)
        conv = PARAMS["ConvParams"].pack(
            spatial=2,
            group=self.groups,
            kernel=(1, *self.kernel),
            stride=(1, *self.strides),
            dilation=(1, *self.dilations),
            pad_begin=(0, *self.pads[:2]),
            pad_end=(0, *self.pads[2:]),
            output_shape=(-1, -1, -1),
            channels_in=self.k,
            channels_out=self.n,
            epilogue=header,
        )
        return PARAMS["QConvParams"].pack(quantisation=made, conv=conv) + b"".join(code)


def instruction(uop: str, p0: float = 0.0, p1: float = 0.0, **registers: int) -> bytes:
    """It works on register 0, unless told."""
    return layout.INSTRUCTION.pack(uop=layout.UOPS.index(uop), **{"b": layout.IMMEDIATE, **registers}, p0=p0, p1=p1)


@functools.cache
def library() -> Path:
    return toolchain.library(HOST, (*KERNELS, *UOPS))


def run(plan: PlanBuilder, folder: Path, runs: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    """Each run is (input, the wanted output), at every level and number of threads."""
    same_everywhere(library(), plan, folder, runs)


def check(case: Case, folder: Path, *shapes: Sequence[int]) -> None:
    """The case's results for inputs of these leading shapes."""
    rng = np.random.default_rng(1)
    run(case.plan(), folder, [(x, case.want(x)) for x in (case.input(rng, *shape) for shape in shapes)])


def q8_input(plan: PlanBuilder, dims: Sequence[int | str]) -> int:
    """An int8 input of the graph, as a q8 tensor."""
    x, inner = plan.input("x", CODES["i8"], dims), plan.activation("xq", layout.Q8)
    plan.node("QuantisedBytes", "in", [x], [inner], PARAMS["AxisParams"].pack(flag=layout.Q8))
    return inner


def output(plan: PlanBuilder, y: int) -> PlanBuilder:
    """The plan with the q8 tensor y as its int8 output."""
    out = plan.activation("out", CODES["i8"])
    plan.node("QuantisedBytes", "out", [y], [out], PARAMS["AxisParams"].pack(flag=CODES["i8"]))
    plan.outputs = [out]
    return plan
