"""QDepthwiseConv: every kernel row and the general path against the integers of the reference."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeort import toolchain
from edgeort.engine import Engine
from edgeort.errors import PlanError
from edgeort.lowering import layout, quantised
from edgeort.lowering.params import PARAMS
from edgeort.lowering.plan import PlanBuilder
from edgeort.lowering.typed import CODES
from tests.contract.engines import HOST, THREADS, int8_levels, library, rows
from tests.contract.test_emulated import ARM, CORES, bench, qemu
from tests.kernels.int8 import HOSTILE, damage, same_everywhere
from tests.reference import quantised as reference

ROWS = [tuple(map(int, row)) for row in rows("qdepthwise", "QDEPTHWISE")]

OFFSET, STEP = 0.75, 0.5  # of programs
TO_Q8 = PARAMS["AxisParams"].pack(flag=layout.Q8)


@dataclass
class Case:
    """A depthwise convolution of random integers; extreme ones have the largest products and scales."""

    channels: int
    kernel: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (1, 1, 1, 1)
    dilations: tuple[int, int] = (1, 1)
    quantised: bool = True
    program: bool = False  # a residual sum, relu and, for a quantised result, Quantize behind it
    wide: bool = False
    limits: tuple[int, int] = (-128, 127)
    zero_points: tuple[int, int] = (3, -7)
    uneven: bool = False  # a zero point for each channel of the input
    scale: float = 0.0  # 0: so that results fill the range
    seed: int = 0
    weight: np.ndarray = field(init=False)
    bias: np.ndarray = field(init=False)
    scales: np.ndarray = field(init=False)
    points: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed + self.channels)
        low = -128 if self.wide else -127
        self.weight = rng.integers(low, 128, (self.channels, 1, *self.kernel)).astype(np.int8)
        self.weight[::3] = np.where(self.weight[::3] < 0, low, 127)
        self.bias = rng.integers(-40000, 40000, self.channels).astype(np.int32)
        self.points = np.full(self.channels, self.zero_points[0], np.int32)
        if self.uneven:
            self.points = rng.integers(-128, 128, self.channels).astype(np.int32)
        size = 1 / (3000 * np.sqrt(np.prod(self.kernel)))
        self.scales = ((self.scale or size) * rng.uniform(0.5, 2, self.channels)).astype(np.float32)

    @property
    def window(self) -> dict[str, Any]:
        return {"strides": self.strides, "dilations": self.dilations, "pads": self.pads}

    @property
    def least(self) -> list[int]:
        """The smallest image."""
        reach = [d * (k - 1) + 1 for d, k in zip(self.dilations, self.kernel, strict=True)]
        return [max(1, reach[i] - self.pads[i] - self.pads[i + 2]) for i in (0, 1)]

    def input(self, rng: np.random.Generator, *shape: int) -> np.ndarray:
        x = rng.integers(-128, 128, (*shape, self.channels)).astype(np.int8)
        x[..., ::2] = np.where(rng.random(x[..., ::2].shape) < 0.5, x[..., ::2], np.where(x[..., ::2] < 0, -128, 127))
        return x

    def want(self, x: np.ndarray) -> np.ndarray:
        top, left, bottom, right = (max(0, -pad) for pad in self.pads)
        inside = x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]
        window = {**self.window, "pads": tuple(max(0, pad) for pad in self.pads)}
        acc = reference.qdepthwise(inside, self.weight, self.bias, self.points, **window)
        if self.program:
            y = np.maximum(acc.astype(np.float32) * self.scales + np.float32(OFFSET), np.float32(0))
            return reference.quantize(y, STEP, self.zero_points[1]) if self.quantised else y
        if not self.quantised:
            return acc.astype(np.float32) * self.scales
        return reference.requantise(acc, self.scales, self.zero_points[1], *self.limits)

    def plan(self, dtype: str = "i8", layers: int = 1) -> PlanBuilder:
        plan = PlanBuilder()
        x = plan.input("x", CODES[dtype], ["n", "h", "w", self.channels])
        inner = plan.activation("xq", layout.Q8)
        plan.node("QuantisedBytes", "in", [x], [inner], TO_Q8)
        for _ in range(layers):
            y = plan.activation("y", layout.Q8 if self.quantised else CODES["f32"])
            plan.node("QDepthwiseConv", "conv", [inner, *self.constants(plan)], [y], self.params())
            inner = y
        if self.quantised:
            y = plan.activation("out", CODES[dtype])
            plan.node("QuantisedBytes", "out", [inner], [y], PARAMS["AxisParams"].pack(flag=CODES[dtype]))
        plan.outputs = [y]
        return plan

    def constants(self, plan: PlanBuilder) -> list[int]:
        taps = self.weight.reshape(self.channels, -1).T
        sums = taps.sum(0, dtype=np.int32)
        made = [plan.constant("w", quantised.depthwise(taps), CODES["i8"])]
        for name, values, dtype in (("b", self.bias, "i32"), ("s", sums, "i32"), ("f", self.scales, "f32")):
            made.append(plan.constant(name, quantised.padded(values), CODES[dtype]))
        if self.uneven:
            made.append(plan.constant("z", quantised.padded(self.points), CODES["i32"]))
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
        taps = self.weight.reshape(self.channels, 1, -1).transpose(2, 1, 0)
        small = reference.is_small(taps, self.bias, self.scales, self.points)
        flags = {"quantised": int(self.quantised), "wide": int(self.wide), "small": int(small)}
        quantisation = PARAMS["Quantisation"].pack(**{**integers, **flags, **changed})
        code = [instruction("Add", OFFSET), instruction("Relu")]
        if self.quantised:
            code.append(instruction("Quantize", float(np.float32(1) / np.float32(STEP)), self.zero_points[1]))
        if not self.program:
            code = []
        program = layout.PROGRAM.pack(count=len(code), registers=1, first_operand=5)
        conv_params = PARAMS["ConvParams"].pack(epilogue=program, **conv)
        return PARAMS["QConvParams"].pack(quantisation=quantisation, conv=conv_params) + b"".join(code)


def instruction(uop: str, p0: float = 0.0, p1: float = 0.0) -> bytes:
    """It works on register 0."""
    return layout.INSTRUCTION.pack(uop=layout.UOPS.index(uop), b=layout.IMMEDIATE, p0=p0, p1=p1)


def check(case: Case, folder: Path, *shapes: tuple[int, int, int]) -> None:
    """The case's results for inputs of the shapes [n, h, w], at every level and number of threads."""
    rng = np.random.default_rng(1)
    runs = [(x, case.want(x)) for x in (case.input(rng, *shape) for shape in shapes)]
    same_everywhere(library(), case.plan(), folder, runs)


@pytest.mark.parametrize(("width", "stride", "pixels"), [*ROWS, (2, 1, 1), (7, 3, 1)])
@pytest.mark.parametrize("channels", [1, 8, 19, 48, 113])
@pytest.mark.parametrize("left", [0, 1])  # columns fewer than half a kernel
def test_rows(width: int, stride: int, pixels: int, channels: int, left: int, tmp_path: Path) -> None:
    half = width // 2
    case = Case(channels, (width, width), (stride, stride), (half, half - left, half, half))
    sizes = (width, width + stride * (pixels - 1), width + stride * (2 * pixels + 1), 31)
    check(case, tmp_path, *((1, 9, size) for size in sizes))


CASES: dict[str, Case] = {
    "float32": Case(37, quantised=False),
    "float32 of few channels": Case(5, quantised=False),
    "program": Case(37, (5, 5), program=True),
    "program to float32": Case(21, (3, 3), (2, 2), program=True, quantised=False),
    "program of few channels": Case(5, program=True),
    "a zero point for each channel": Case(85, uneven=True, pads=(1, 1, 0, 1)),
    "a zero point for each channel, wide": Case(37, (5, 5), (2, 2), (2, 2, 2, 2), uneven=True, program=True),
    "a zero point for each of few channels": Case(7, uneven=True),
    "limits": Case(40, limits=(-100, 50)),
    "a limit at the zero point": Case(70, zero_points=(-128, -128), limits=(-128, 99)),
    "zero points at the ends": Case(33, zero_points=(127, -128)),
    "saturated at the end": Case(33, zero_points=(127, -128), scale=1.0),
    "the least weight": Case(50, wide=True),
    "the least weight, wide": Case(50, (5, 5), wide=True, pads=(2, 2, 2, 2)),
    "saturated": Case(80, scale=3.0),
    "beyond int32": Case(80, scale=1e7),
    "beyond int32 of few channels": Case(3, scale=1e30),
    "not square": Case(24, (3, 5), pads=(1, 2, 1, 2)),
    "dilated": Case(24, (3, 3), dilations=(2, 3), pads=(2, 3, 2, 3)),
    "dilated along y": Case(24, (3, 3), dilations=(2, 1), pads=(2, 1, 2, 1)),
    "other strides": Case(24, (3, 3), (2, 1)),
    "more padding than kernel": Case(18, (3, 3), pads=(4, 3, 5, 2)),
    "cropped": Case(18, (3, 3), pads=(-1, -1, 0, -2)),
    "wide, at the borders": Case(130, (5, 5), pads=(2, 2, 2, 2)),
    "wide with stride": Case(67, (5, 5), (2, 2), (2, 2, 1, 1)),
}


@pytest.mark.parametrize(
    "case", [Case(64), Case(33, strides=(2, 1)), Case(24, dilations=(2, 3), pads=(3, 3, 3, 3)), CASES["program"]]
)
def test_a_result_lies_over_what_it_is_made_from(case: Case, tmp_path: Path) -> None:
    """Two layers in a row: with one thread the second is a stream by itself, and its result takes a few lines more."""
    rng, path, sizes = np.random.default_rng(1), tmp_path / "model.plan", {}
    path.write_bytes(case.plan(layers=2).to_bytes())
    for shape in ((3, 29, 31), (1, 64, 40)):
        x = case.input(rng, *shape)
        want = case.want(case.want(x))
        for threads in (1, 2):
            opened = Engine(library(), path, threads=threads)
            assert np.array_equal(opened.run([x])[0], want)
            sizes[threads] = opened.stats.arena_bytes
            opened.close()
        if case.strides == (2, 1):  # then what leaves the model is smaller than the two
            assert sizes[1] < 0.85 * sizes[2]


@pytest.mark.parametrize("name", CASES)
def test_cases(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    smallest = case.least
    check(case, tmp_path, (1, *smallest), (2, 9, 7), (1, smallest[0] + 1, smallest[1] + 2), (3, 5, 40))


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("program", [False, True])
def test_streams(program: bool, threads: int, tmp_path: Path) -> None:
    """Three of them line by line: a ring's borders hold the zero point."""
    cases = (
        Case(70, seed=1, zero_points=(9, -20), program=program),
        Case(70, (5, 5), pads=(2, 2, 2, 2), seed=2, zero_points=(-20, 31), uneven=program),
        Case(70, (3, 3), (2, 2), seed=3, zero_points=(31, 4), program=program, quantised=False),
    )
    plan = PlanBuilder()
    inner = plan.activation("q", layout.Q8)
    plan.node("QuantisedBytes", "in", [plan.input("x", CODES["i8"], [2, 90, 61, 70])], [inner], TO_Q8)
    x = want = cases[0].input(np.random.default_rng(4), 2, 90, 61)
    for case in cases:
        outer = plan.activation("y", layout.Q8 if case.quantised else CODES["f32"])
        plan.node("QDepthwiseConv", "conv", [inner, *case.constants(plan)], [outer], case.params())
        want, inner = case.want(want), outer
    plan.outputs = [inner]
    path = tmp_path / "model.plan"
    path.write_bytes(plan.to_bytes())
    for level in int8_levels():
        engine = Engine(library(), path, threads=threads, isa=level)
        assert np.array_equal(engine.run([x])[0], want), level
        assert [node.skipped for node in engine.nodes if node.op == "QDepthwiseConv"] == [True, True, False]
        engine.close()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_parameters(name: str, tmp_path: Path) -> None:
    changed, message = HOSTILE[name]
    plan = Case(20, program=True).plan()
    plan.nodes[1].params = Case(20, program=True).params(**changed)
    with pytest.raises(PlanError, match=message):
        run(plan, tmp_path)


@pytest.mark.parametrize(("index", "message"), [(1, "packed weights"), (2, "bias, sums"), (3, "bias, sums"), (4, "sc")])
@pytest.mark.parametrize("fault", ["short", "type", "absent"])
def test_hostile_constants(index: int, message: str, fault: str, tmp_path: Path) -> None:
    plan = Case(20).plan()
    damage(plan, index, fault)
    with pytest.raises(PlanError, match="needs" if fault == "absent" else message):
        run(plan, tmp_path)


def run(plan: PlanBuilder, folder: Path) -> None:
    path = folder / "model.plan"
    path.write_bytes(plan.to_bytes())
    Engine(library(), path, threads=1, isa=int8_levels()[0]).run([np.zeros((1, 5, 5, 20), np.int8)])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["dilated", "program", "float32", "the least weight", "zero points at the ends", "wide with stride"]
)
def test_emulated(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    plan, size = tmp_path / "model.plan", f"x=2x{case.least[0] + 6}x{case.least[1] + 9}x{case.channels}"
    plan.write_bytes(case.plan().to_bytes())
    kernels = ["QDepthwiseConv", "QuantisedBytes", "uop:Add", "uop:Relu", "uop:Quantize"]
    commands: list[list[Any]] = [[toolchain.harness(HOST, kernels)]]
    commands += [[qemu(), "-cpu", core, toolchain.harness(ARM, kernels)] for core in CORES]
    found = {bench(command, plan, "--shape", size, threads=threads) for command in commands for threads in (1, 2)}
    assert len(found) == 1
