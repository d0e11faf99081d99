"""QDepthwiseConv: every kernel row and the general path against the integers of the reference."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeort.engine import Engine
from edgeort.lowering import layout, quantised
from edgeort.lowering.params import PARAMS
from edgeort.lowering.plan import PlanBuilder
from edgeort.lowering.typed import CODES
from tests.contract.engines import THREADS, levels, library, rows
from tests.reference import quantised as reference

ROWS = [tuple(map(int, row)) for row in rows("qdepthwise", "QDEPTHWISE")]


@dataclass
class Case:
    """A depthwise convolution of random integers; extreme ones have the largest products and scales."""

    channels: int
    kernel: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (1, 1, 1, 1)
    dilations: tuple[int, int] = (1, 1)
    quantised: bool = True
    wide: bool = False
    limits: tuple[int, int] = (-128, 127)
    zero_points: tuple[int, int] = (3, -7)
    scale: float = 0.0  # 0: so that results fill the range
    seed: int = 0
    weight: np.ndarray = field(init=False)
    bias: np.ndarray = field(init=False)
    scales: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed + self.channels)
        low = -128 if self.wide else -127
        self.weight = rng.integers(low, 128, (self.channels, 1, *self.kernel)).astype(np.int8)
        self.weight[::3] = np.where(self.weight[::3] < 0, low, 127)
        self.bias = rng.integers(-40000, 40000, self.channels).astype(np.int32)
        size = 1 / (3000 * np.sqrt(np.prod(self.kernel)))
        self.scales = ((self.scale or size) * rng.uniform(0.5, 2, self.channels)).astype(np.float32)

    @property
    def window(self) -> dict[str, Any]:
        return {"strides": self.strides, "dilations": self.dilations, "pads": self.pads}

    def input(self, rng: np.random.Generator, *shape: int) -> np.ndarray:
        x = rng.integers(-128, 128, (*shape, self.channels)).astype(np.int8)
        x[..., ::2] = np.where(rng.random(x[..., ::2].shape) < 0.5, x[..., ::2], np.where(x[..., ::2] < 0, -128, 127))
        return x

    def want(self, x: np.ndarray) -> np.ndarray:
        acc = reference.qdepthwise(x, self.weight, self.bias, self.zero_points[0], **self.window)
        if not self.quantised:
            return acc.astype(np.float32) * self.scales
        return reference.requantise(acc, self.scales, self.zero_points[1], *self.limits)

    def plan(self, dtype: str = "i8") -> PlanBuilder:
        plan = PlanBuilder()
        x = plan.input("x", CODES[dtype], ["n", "h", "w", self.channels])
        inner = plan.activation("xq", layout.Q8)
        plan.node("QuantisedBytes", "in", [x], [inner], PARAMS["AxisParams"].pack(flag=layout.Q8))
        y = plan.activation("y", layout.Q8 if self.quantised else CODES["f32"])
        plan.node("QDepthwiseConv", "conv", [inner, *self.constants(plan)], [y], self.params())
        if self.quantised:
            inner, y = y, plan.activation("out", CODES[dtype])
            plan.node("QuantisedBytes", "out", [inner], [y], PARAMS["AxisParams"].pack(flag=CODES[dtype]))
        plan.outputs = [y]
        return plan

    def constants(self, plan: PlanBuilder) -> list[int]:
        taps = self.weight.reshape(self.channels, -1).T
        sums = taps.sum(0, dtype=np.int32)
        made = [plan.constant("w", quantised.depthwise(taps), CODES["i8"])]
        for name, values, dtype in (("b", self.bias, "i32"), ("s", sums, "i32"), ("f", self.scales, "f32")):
            made.append(plan.constant(name, quantised.padded(values), CODES[dtype]))
        return made

    def params(self, **changed: Any) -> bytes:
        conv = {
            "spatial": 2,
            "group": self.channels,
            "kernel": (1, *self.kernel),
            "stride": (1, *self.strides),
            "dilation": (1, *self.dilations),
            "pad_begin": (0, *self.pads[:2]),
            "pad_end": (0, *self.pads[2:]),
            "output_shape": (-1, -1, -1),
            "channels_in": self.channels,
            "channels_out": self.channels,
        }
        lo, hi = self.limits
        x_zero_point, zero_point = self.zero_points
        integers = {"x_zero_point": x_zero_point, "zero_point": zero_point, "lo": lo, "hi": hi}
        flags = {"quantised": int(self.quantised), "wide": int(self.wide)}
        quantisation = PARAMS["Quantisation"].pack(**{**integers, **flags, **changed})
        return PARAMS["QConvParams"].pack(quantisation=quantisation, conv=PARAMS["ConvParams"].pack(**conv))


def check(case: Case, folder: Path, *shapes: tuple[int, int, int]) -> None:
    """The case's results for inputs of the shapes [n, h, w], at every level and number of threads."""
    rng = np.random.default_rng(1)
    path = folder / "model.plan"
    path.write_bytes(case.plan().to_bytes())
    runs = [(x, case.want(x)) for x in (case.input(rng, *shape) for shape in shapes)]
    for level in levels():
        for threads in THREADS:
            engine = Engine(library(), path, threads=threads, isa=level)
            for x, want in runs:
                got = engine.run([x])[0]
                where = f"{level}, {threads} threads, {x.shape}"
                assert got.shape == want.shape and got.dtype == want.dtype, where
                wrong = np.argwhere(got != want)
                assert not wrong.size, f"{where}: {len(wrong)} of {want.size} differ, first {wrong[0]}"
            engine.close()


@pytest.mark.parametrize(("width", "stride", "pixels"), [*ROWS, (2, 1, 1), (7, 3, 1)])
@pytest.mark.parametrize("channels", [1, 8, 19, 48, 113])
@pytest.mark.parametrize("left", [0, 1])  # columns fewer than half a kernel
def test_rows(width: int, stride: int, pixels: int, channels: int, left: int, tmp_path: Path) -> None:
    half = width // 2
    case = Case(channels, (width, width), (stride, stride), (half, half - left, half, half))
    sizes = (width, width + stride * (pixels - 1), width + stride * (2 * pixels + 1), 31)
    check(case, tmp_path, *((1, 9, size) for size in sizes))
