"""QGemm, QConv and QStemConv: every kernel row, and what is around them, against the integers of the reference."""

from __future__ import annotations

import functools
import mmap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeort import toolchain
from edgeort.engine import Engine
from edgeort.errors import PlanError
from edgeort.lowering import layout, quantised, steps
from edgeort.lowering.params import PARAMS
from edgeort.lowering.plan import PlanBuilder
from edgeort.lowering.typed import CODES
from tests.contract.engines import HOST, THREADS, int8_levels, rows
from tests.contract.test_emulated import ARM, bench, qemu
from tests.reference import quantised as reference

TILES = [
    (int(count), int(columns))
    for level, count, columns in rows("qgemm", "TILE")
    if level in (*int8_levels(), "neon", "dotprod", "i8mm")
]
KERNELS = ("QGemm", "QConv", "QStemConv", "QDepthwiseConv", "QuantisedBytes", "MaxPool", "Concat", "Split")
UOPS = ("uop:Add", "uop:Relu", "uop:Quantize", "uop:Dequantize")
STEP, OFFSET = 0.5, 0.75  # of programs
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
    weight: np.ndarray = field(init=False)  # [n, k of a group, *kernel], or [k, n]
    bias: np.ndarray = field(init=False)
    scales: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.k * self.n)
        low = -128 if self.wide else -127
        shape = (self.n, self.k // self.groups, *self.kernel) if self.kernel else (self.k, self.n)
        self.weight = rng.integers(low, 128, shape).astype(np.int8)
        at = rng.random(shape) < (1 if self.extreme else 0.3)
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
        at = rng.random(x.shape) < (1 if self.extreme else 0.3)
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
    path = folder / f"{len(list(folder.iterdir()))}.plan"
    path.write_bytes(plan.to_bytes())
    for level in int8_levels():
        for threads in THREADS:
            engine = Engine(library(), path, threads=threads, isa=level)
            for x, want in runs:
                got = engine.run([x])[0]
                where = f"{level}, {threads} threads, {x.shape}"
                assert got.shape == want.shape and got.dtype == want.dtype, where
                wrong = np.argwhere(got != want)
                assert not wrong.size, f"{where}: {len(wrong)} of {want.size} differ, first {wrong[0]}"
            engine.close()


def check(case: Case, folder: Path, *shapes: Sequence[int]) -> None:
    """The case's results for inputs of these leading shapes."""
    rng = np.random.default_rng(1)
    run(case.plan(), folder, [(x, case.want(x)) for x in (case.input(rng, *shape) for shape in shapes)])


@pytest.mark.parametrize(("tile_rows", "columns"), sorted(set(TILES)))
@pytest.mark.parametrize("k", [1, 6, 63, 132])
def test_tiles(tile_rows: int, columns: int, k: int, tmp_path: Path) -> None:
    for n in sorted({columns - 1, columns, 2 * columns + 3}):
        heights = sorted({1, max(1, tile_rows - 1), tile_rows, tile_rows + 1, 5 * tile_rows + 2})
        check(Case(k, n), tmp_path, *((m,) for m in heights))


GEMMS: dict[str, Case] = {
    "float32": Case(37, 21, quantised=False),
    "program": Case(30, 37, program=True),
    "program to float32": Case(30, 33, program=True, quantised=False),
    "program of many columns": Case(9, 1000, program=True),
    "limits": Case(40, 40, limits=(-100, 50)),
    "zero points at the ends": Case(33, 20, zero_points=(127, -128)),
    "saturated at the end": Case(80, 40, zero_points=(5, -128), scale=3.0),
    "zero points at the other ends": Case(33, 20, zero_points=(-128, 127)),
    "the least weight": Case(50, 35, wide=True),
    "sums near the limits of int32": Case(5000, 17, extreme=True, zero_points=(-128, 0), scale=2.0**-24),
    "saturated": Case(80, 40, scale=3.0),
    "beyond int32": Case(80, 40, scale=1e7),
    "beyond float32": Case(80, 40, scale=1e38),
    "ties": Case(4, 40, scale=0.5),
    "few columns behind a tile, of large panels": Case(3000, 67),
}


@pytest.mark.parametrize("name", GEMMS)
def test_products(name: str, tmp_path: Path) -> None:
    check(GEMMS[name], tmp_path, (1,), (7,), (50,))


@pytest.mark.parametrize("n", [8, 24, 40, 72, 1000])
@pytest.mark.parametrize("m", [1, 7, 12])
def test_nothing_behind_the_weights_is_read(m: int, n: int, tmp_path: Path) -> None:
    """The weights end the plan's last page, behind which there is no memory."""
    case = Case(1280, n)
    plan = case.plan()
    weights = next(index for index, tensor in enumerate(plan.tensors) if tensor.name == "y.w")
    node = next(node for node in plan.nodes if node.op == "QGemm")
    node.inputs[1] = plan.constant("last", plan.tensors[weights].data, CODES["i8"])
    filler = plan.tensors[weights]
    filler.data, filler.dims = np.zeros(0, np.int8), (0,)
    filler.data = np.zeros(-len(plan.to_bytes()) % mmap.PAGESIZE, np.int8)
    filler.dims = filler.data.shape
    path = tmp_path / "model.plan"
    path.write_bytes(plan.to_bytes())
    assert path.stat().st_size % mmap.PAGESIZE == 0
    for level in int8_levels():
        bench([toolchain.harness(HOST, [*KERNELS, *UOPS])], path, "--shape", f"x={m}x1280", "--isa", level, threads=1)


CONVS: dict[str, Case] = {
    "pointwise": Case(24, 40, (1, 1)),
    "pointwise of odd channels": Case(19, 21, (1, 1)),
    "stem": Case(3, 32, (3, 3), (2, 2), (1, 1, 1, 1)),
    "padded": Case(8, 20, (3, 3), pads=(1, 1, 1, 1), zero_points=(-100, 3)),
    "padded, odd channels": Case(13, 20, (3, 3), pads=(1, 1, 1, 1), zero_points=(100, 3)),
    "one channel": Case(1, 5, (5, 4), pads=(2, 1, 2, 2)),
    "stride of pointwise": Case(16, 24, (1, 1), (2, 2)),
    "not square": Case(12, 17, (3, 5), (2, 1), (1, 2, 1, 2)),
    "dilated": Case(8, 9, (3, 3), dilations=(2, 3), pads=(2, 3, 2, 3)),
    "groups": Case(24, 36, (3, 3), pads=(1, 1, 1, 1), groups=4),
    "groups of odd channels": Case(15, 51, (3, 3), pads=(1, 1, 1, 1), groups=3),
    "program": Case(20, 50, (3, 3), pads=(1, 1, 1, 1), program=True),
    "program of groups": Case(20, 50, (3, 3), pads=(1, 1, 1, 1), program=True, groups=2),
    "program to float32": Case(20, 50, (1, 1), program=True, quantised=False),
    "float32": Case(20, 50, (3, 3), quantised=False),
    "the least weight": Case(20, 50, (3, 3), wide=True, pads=(1, 1, 1, 1)),
    "more padding than kernel": Case(4, 18, (3, 3), pads=(4, 3, 5, 2)),
}


@pytest.mark.parametrize("name", CONVS)
def test_convolutions(name: str, tmp_path: Path) -> None:
    check(CONVS[name], tmp_path, (1, 7, 9), (2, 9, 8), (1, 5, 40))


STEMS: dict[str, Case] = {
    "stem of colours": Case(3, 32, (3, 3), (2, 2), (1, 1, 1, 1), stem=True),
    "stem of one channel": Case(1, 18, (5, 5), pads=(2, 2, 2, 2), stem=True, zero_points=(-128, 100)),
    "stem of long kernel rows": Case(4, 20, (7, 7), (2, 2), (3, 3, 3, 3), stem=True),
    "stem, dilated": Case(3, 9, (3, 2), (1, 2), dilations=(2, 2), pads=(1, 2, 0, 1), stem=True),
    "stem without padding": Case(2, 17, (3, 4), stem=True, zero_points=(7, 0)),
    "stem with more padding than kernel": Case(3, 16, (3, 3), pads=(4, 3, 5, 6), stem=True),
    "stem with a program": Case(3, 24, (3, 3), (2, 2), (0, 0, 1, 1), stem=True, program=True),
    "stem to float32": Case(3, 40, (4, 4), (4, 4), stem=True, quantised=False),
    "stem with the least weight": Case(3, 40, (3, 3), stem=True, wide=True, pads=(1, 1, 1, 1)),
}


@pytest.mark.parametrize("name", STEMS)
def test_stems(name: str, tmp_path: Path) -> None:
    check(STEMS[name], tmp_path, (1, 7, 9), (2, 9, 8), (1, 5, 40))


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


@pytest.mark.parametrize("program", [False, True])
def test_slices(program: bool, tmp_path: Path) -> None:
    """A Split and a Concat of columns copy nothing: kernels, and programs behind them, read and write them in place."""
    left = Case(20, 24, (1, 1), program=program)
    right = Case(12, 19, (3, 3), pads=(1, 1, 1, 1), program=program)
    last = Case(43, 21, (1, 1))
    plan = PlanBuilder()
    x = q8_input(plan, ["n", "h", "w", 32])
    parts = [plan.activation(name, layout.Q8) for name in "ab"]
    sizes = plan.constant("sizes", np.array([20, 12]), CODES["i64"])
    plan.node("Split", "split", [x, sizes], parts, PARAMS["AxisParams"].pack(axis=3))
    made = [left.append(plan, parts[0], "left"), right.append(plan, parts[1], "right")]
    joined = plan.activation("joined", layout.Q8)
    plan.node("Concat", "concat", made, [joined], PARAMS["AxisParams"].pack(axis=3))
    output(plan, last.append(plan, joined, "last"))
    rng = np.random.default_rng(0)
    runs = []
    for shape in ((1, 5, 7), (2, 8, 9)):
        x = rng.integers(-128, 128, (*shape, 32)).astype(np.int8)
        runs.append((x, last.want(np.concatenate([left.want(x[..., :20]), right.want(x[..., 20:])], -1))))
    run(plan, tmp_path, runs)


# Of the residual that a program adds: half of a tensor, all of one, and a row for all pixels.
RESIDUALS = {"half": 40, "whole": 20, "row": 20}


@pytest.mark.parametrize("name", RESIDUALS)
def test_residuals(name: str, tmp_path: Path) -> None:
    """A program that reads a q8 of its own rows, behind products that leave gaps between theirs."""
    width, case = RESIDUALS[name], Case(20, 20, (3, 3), pads=(1, 1, 1, 1))
    scale, zero, residual = np.float32(0.25), 5, np.random.default_rng(2).integers(-128, 128, 20).astype(np.int8)
    plan = PlanBuilder()
    x = q8_input(plan, ["n", "h", "w", width])
    first = other = x
    if name == "half":
        first, other = (plan.activation(part, layout.Q8) for part in "ab")
        sizes = plan.constant("sizes", np.array([20, 20]), CODES["i64"])
        plan.node("Split", "split", [x, sizes], [first, other], PARAMS["AxisParams"].pack(axis=3))
    elif name == "row":
        other = plan.activation("row", layout.Q8)
        constant = plan.constant("residual", residual, CODES["i8"])
        plan.node("QuantisedBytes", "row", [constant], [other], PARAMS["AxisParams"].pack(flag=layout.Q8))
    code = [
        instruction("Dequantize", float(scale), zero, dst=2, a=1),
        instruction("Add", b=2),
        instruction("Quantize", float(np.float32(1) / np.float32(STEP)), case.zero_points[1]),
    ]
    program = layout.PROGRAM.pack(count=3, operands=1, registers=3, first_operand=5)
    y = plan.activation("y", layout.Q8)
    inputs = [first, *case.constants(plan, "y"), other]
    plan.node("QConv", "y", inputs, [y], case.params(program=(program, code)))
    joined = plan.activation("joined", layout.Q8)
    plan.node("Concat", "concat", [y, first], [joined], PARAMS["AxisParams"].pack(axis=3))
    output(plan, joined)
    rng, runs = np.random.default_rng(0), []
    for shape in ((1, 5, 7), (2, 8, 9), (1, 23, 31)):
        given = rng.integers(-128, 128, (*shape, width)).astype(np.int8)
        added = residual if name == "row" else given[..., -20:]
        sums = case.sums(given[..., :20]).astype(np.float32) * case.scales + reference.dequantize(added, scale, zero)
        made = reference.quantize(sums, STEP, case.zero_points[1])
        runs.append((given, np.concatenate([made, given[..., :20]], -1)))
    run(plan, tmp_path, runs)


CHAINS: dict[str, tuple[Case, ...]] = {
    "pointwise": (Case(8, 96, (1, 1)), Case(96, 24, (3, 3), (2, 2), (1, 1, 1, 1)), Case(24, 40, (1, 1))),
    "from the picture on": (
        Case(3, 96, (3, 3), pads=(1, 1, 1, 1), zero_points=(3, 90)),
        Case(96, 20, (5, 5), pads=(2, 2, 2, 2), zero_points=(90, -7)),
    ),
    "programs": (Case(8, 96, (1, 1), program=True), Case(96, 24, (3, 3), pads=(1, 1, 1, 1), program=True)),
    "to float32": (Case(8, 96, (1, 1)), Case(96, 24, (3, 3), pads=(1, 1, 1, 1), quantised=False)),
}


@pytest.mark.parametrize("name", CHAINS)
def test_streams(name: str, tmp_path: Path) -> None:
    """Chains run strip by strip: lines beside the image hold the zero point, and wide tensors take no memory."""
    cases = CHAINS[name]
    x = cases[0].input(np.random.default_rng(0), 1, 61, 63)
    want, widest = x, 0
    for case in cases:
        want = case.want(want)
        widest = max(widest, want.nbytes)
    plan = PlanBuilder()
    y = q8_input(plan, [1, 61, 63, cases[0].k])
    for index, case in enumerate(cases):
        y = case.append(plan, y, f"conv{index}")
    plan.outputs = [y]
    if cases[-1].quantised:
        output(plan, y)
    run(plan, tmp_path, [(x, want)])
    if not cases[-1].quantised:
        return
    engine = Engine(library(), sorted(tmp_path.iterdir())[-1], threads=1)
    engine.run([x])
    assert engine.stats.arena_bytes < widest
    engine.close()


HOSTILE: dict[str, tuple[dict[str, int], str]] = {
    "zero point": ({"zero_point": 128}, "a zero point or limit is out of range"),
    "input's zero point": ({"x_zero_point": -129}, "a zero point or limit is out of range"),
    "limits": ({"lo": 5, "hi": 4}, "a zero point or limit is out of range"),
    "type of a program's result": ({"quantised": 0}, "its program does not make the type of its result"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kernel", [(), (3, 3)])
def test_hostile_parameters(name: str, kernel: tuple[int, ...], tmp_path: Path) -> None:
    changed, message = HOSTILE[name]
    case = Case(20, 18, kernel, program=True)
    plan = case.plan()
    plan.nodes[1].params = case.params(**changed)
    refused(plan, case, message, tmp_path)


@pytest.mark.parametrize(("index", "message"), [(1, "packed weights"), (2, "bias, sums"), (3, "bias, sums"), (4, "sc")])
@pytest.mark.parametrize("fault", ["short", "type", "absent"])
@pytest.mark.parametrize("kernel", [(), (3, 3)])
def test_hostile_constants(index: int, message: str, fault: str, kernel: tuple[int, ...], tmp_path: Path) -> None:
    case = Case(20, 18, kernel)
    plan = case.plan()
    tensor = plan.tensors[plan.nodes[1].inputs[index]]
    assert tensor.data is not None
    if fault == "short":
        tensor.data = tensor.data[:-1]
        tensor.dims = tensor.data.shape
    elif fault == "type":
        tensor.dtype, tensor.data = CODES["i64"], tensor.data.astype(np.int64)
    else:
        plan.nodes[1].inputs[index] = -1
    refused(plan, case, "needs" if fault == "absent" else message, tmp_path)


FAULTS: dict[str, tuple[list[int], str]] = {
    "no end": ([0, 0, 0, 0], "no end"),
    "too many": ([0b01 << 62, 0b001 << 61, 0b01 << 62, 0b01 << 62], "all quads"),
    "too few": ([0b01 << 62] * 2 + [1 << 63, 0b01 << 62], "all quads"),
    "some leave one": ([0b01 << 62] * 3 + [0b11 << 62], "all quads"),
    "of fewer columns": ([0b01 << 62] * 3, "all columns"),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("kernel", [(), (1, 1)])
def test_hostile_steps(name: str, kernel: tuple[int, ...], tmp_path: Path) -> None:
    """Of three quads and four times eight columns."""
    words, message = FAULTS[name]
    case = Case(12, 18, kernel)
    plan = case.plan()
    tensor = plan.tensors[plan.nodes[1].inputs[5]]
    tensor.data = np.array(words, np.uint64)
    tensor.dims = tensor.data.shape
    refused(plan, case, message, tmp_path)


def test_steps_of_another_type(tmp_path: Path) -> None:
    case = Case(12, 18)
    plan = case.plan()
    tensor = plan.tensors[plan.nodes[1].inputs[5]]
    assert tensor.data is not None
    tensor.dtype, tensor.data = CODES["i64"], tensor.data.astype(np.int64)
    refused(plan, case, "constant words", tmp_path)


def test_steps_of_parts_of_quads(tmp_path: Path) -> None:
    case = Case(13, 18)
    plan = case.plan()
    plan.nodes[1].inputs.append(plan.constant("steps", np.full(4, 1 << 63, np.uint64), CODES["u64"]))
    refused(plan, case, "a part of a quad", tmp_path)


def test_a_scale_that_is_not_finite(tmp_path: Path) -> None:
    case = Case(20, 18)
    case.scales[3] = np.inf
    refused(case.plan(), case, "not finite", tmp_path)


@pytest.mark.parametrize(
    ("k", "n", "message"), [(21, 18, "inner"), (20, -1, "range"), (20, 2**40, "range"), (20, 40, "packed")]
)
def test_hostile_sizes(k: int, n: int, message: str, tmp_path: Path) -> None:
    case = Case(20, 18)
    plan = case.plan()
    quantisation, program = PARAMS["Quantisation"].pack(hi=127, quantised=1), layout.PROGRAM.pack()
    plan.nodes[1].params = PARAMS["QGemmParams"].pack(quantisation=quantisation, k=k, n=n, epilogue=program)
    refused(plan, case, message, tmp_path)


def refused(plan: PlanBuilder, case: Case, message: str, folder: Path) -> None:
    """The plan is, with that in the message."""
    path = folder / "model.plan"
    path.write_bytes(plan.to_bytes())
    x = np.zeros((1, 5, 5, case.k) if case.kernel else (5, case.k), np.int8)
    with pytest.raises(PlanError, match=message):
        Engine(library(), path, threads=1, isa=int8_levels()[0]).run([x])


@pytest.mark.slow
@pytest.mark.parametrize("name", [*GEMMS, *CONVS, *STEMS])
def test_emulated(name: str, tmp_path: Path) -> None:
    case = ({**GEMMS, **CONVS, **STEMS})[name]
    plan = tmp_path / "model.plan"
    plan.write_bytes(case.plan().to_bytes())
    kernels = [*KERNELS, *UOPS]
    commands: list[list[Any]] = [[toolchain.harness(HOST, kernels)]]
    commands += [[qemu(), "-cpu", core, toolchain.harness(ARM, kernels)] for core in CORES]
    for size in ("2x9x7", "1x6x40") if case.kernel else ("1", "13"):
        shape = f"x={size}x{case.k}"
        found = {
            str(command[:-1]): bench(command, plan, "--shape", shape, threads=threads)
            for command in commands
            for threads in (1, 2)
        }
        assert len(set(found.values())) == 1, found


@pytest.mark.slow
@pytest.mark.parametrize("k", [4, 24, 28, 32, 1100])
def test_emulated_steps(k: int, tmp_path: Path) -> None:
    """Three quads whose weights are 255 in sum are multiplied by -128 and added in 16 bits; those of 256 are not."""
    case = Case(k, 40, zero_points=(-128, 0))
    case.weight[:] = -85
    case.weight[::3, 8:16] = case.weight[4:8, 24:27] = -86
    case.weight[:, 32:] = 85
    case.weight[1:, 33] = 86
    x = np.full((13, k), -128, np.int8)
    x[3:5] = 127
    plan = case.plan()
    run(plan, tmp_path, [(x, case.want(x))])
    path = tmp_path / "model.plan"
    path.write_bytes(plan.to_bytes())
    np.save(tmp_path / "input0.npy", x)
    kernels = [*KERNELS, *UOPS]
    commands: list[list[Any]] = [[toolchain.harness(HOST, kernels)]]
    commands += [[qemu(), "-cpu", core, toolchain.harness(ARM, kernels)] for core in CORES]
    found = [bench(command, path, "--inputs", tmp_path, threads=1) for command in commands]
    assert len(set(found)) == 1, dict(zip(("this machine", *CORES), found, strict=True))
