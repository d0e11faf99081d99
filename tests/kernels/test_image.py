"""The picture in front of a model: the kernels against the reference in NumPy, bit for bit, at every ISA level."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from edgeort import lowering
from edgeort.engine import Engine
from edgeort.errors import PlanError
from edgeort.lowering.plan import PlanBuilder
from edgeort.passes import PassContext, run_passes
from edgeort.passes.add_picture import add_picture
from edgeort.recipes import picture_steps, reference
from edgeort.recipes.form import Form, form_of
from edgeort.recipes.front import Front
from edgeort.values import Value
from tests.kernels.support import LEVELS, open_plan, parse, same_bits

PICTURES = ((1, 1), (3, 1), (2, 3), (7, 5), (16, 20), (33, 47), (64, 80), (90, 31), (120, 150))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def lowered(text: str, value: Value, body: str = "y = Neg (x)", constants: dict[str, np.ndarray] | None = None):
    """The plan of a network with the recipe in front, the bound recipe, and the form of its input."""
    form = form_of([value])
    recipe = picture_steps.parse(text).bound(form)
    kind = {"float32": "float", "float16": "float16"}.get(value.dtype, value.dtype)
    dims = ",".join(str(dim) for dim in value.shape or ())
    graph = ir.from_proto(parse(f"g ({kind}[{dims}] x) => ({kind}[{dims}] y) {{ {body} }}", constants))
    run_passes(graph, PassContext())
    add_picture(graph, Front(recipe, form), channels_last=form.channels_last)
    return lowering.lower(graph), recipe, form


def engines(plan: PlanBuilder, folder: Path) -> list[Engine]:
    has_v4 = "avx512f" in Path("/proc/cpuinfo").read_text()
    levels = [isa for isa in LEVELS if isa != "v4" or has_v4]
    return [open_plan(plan, folder, threads=n, isa=isa) for isa in levels for n in (1, 3)]


def check(text: str, value: Value, folder: Path, rng: np.random.Generator, sizes: Sequence[tuple[int, int]] = PICTURES):
    """All sizes of pictures, one after the other, in the same models."""
    plan, recipe, form = lowered(text, value)
    opened = engines(plan, folder)
    for size in sizes:
        pixels = rng.integers(0, 256, (*size, recipe.channels), np.uint8)
        want = -reference.tensor(pixels, recipe, form)
        for engine in opened:
            (found,) = engine.run([pixels])
            assert same_bits(found, want), (text, size, engine)


PLANES = Value("x", "float32", (1, 3, 24, 19))
LAST = Value("x", "float32", (1, 17, 32, 3))
GRAY = Value("x", "float32", (1, 1, 21, 21))


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic", "box"])
@pytest.mark.parametrize("value", [PLANES, LAST, GRAY])
def test_antialiased(kernel: str, value: Value, tmp_path: Path, rng: np.random.Generator):
    check(f"resize {kernel}; rgb", value, tmp_path, rng)


@pytest.mark.parametrize("kernel", ["nearest", "area", "bilinear antialias=no", "bicubic antialias=no"])
@pytest.mark.parametrize("value", [PLANES, LAST])
def test_not_antialiased(kernel: str, value: Value, tmp_path: Path, rng: np.random.Generator):
    whole = [(48, 38), (72, 57), (24, 38), (34, 64), (51, 96)]  # ratios that OpenCV has means for
    check(f"resize {kernel}", value, tmp_path, rng, [*PICTURES, *whole])


@pytest.mark.parametrize(
    "text",
    [
        "resize short=30 bicubic; crop; mean=0.485,0.456,0.406; std=0.229,0.224,0.225",
        "resize share=0.875; crop; bgr; scale=1; mean=127; std=128",
        "resize cover=40x22 area; crop fill=7",
        "resize short=9 nearest; crop fill=201",
        "letterbox; scale=1",
        "letterbox bilinear antialias=no fill=0; bgr",
        "crop fill=3",
    ],
)
def test_placements(text: str, tmp_path: Path, rng: np.random.Generator):
    check(text, PLANES, tmp_path, rng)


@pytest.mark.parametrize("source", ["bgr", "rgba", "bgra", "gray"])
@pytest.mark.parametrize("value", [PLANES, GRAY])
def test_channels(source: str, value: Value, tmp_path: Path, rng: np.random.Generator):
    for text in ("letterbox; rgb", "resize area; bgr", "resize bicubic antialias=no; gray"):
        check(f"from={source}; {text}", value, tmp_path, rng, PICTURES[2:6])


def test_a_picture_that_is_not_resized(tmp_path: Path, rng: np.random.Generator):
    check("rgb; scale=1/255", PLANES, tmp_path, rng, [(24, 19)])


def test_free_sizes(tmp_path: Path, rng: np.random.Generator):
    check("resize short=20; bgr", Value("x", "float32", (1, 3, "h", "w")), tmp_path, rng)
    check("rgb", Value("x", "float32", ("n", "h", "w", 3)), tmp_path, rng)


def test_other_elements(tmp_path: Path, rng: np.random.Generator):
    for dtype, text in (("float16", "imagenet"), ("uint8", "bytes"), ("int8", "bytes; mean=128")):
        value = Value("x", dtype, (1, 3, 24, 19))
        plan, recipe, form = lowered(text, value, "y = Transpose <perm = [0, 1, 3, 2]> (x)")
        pixels = rng.integers(0, 256, (41, 33, 3), np.uint8)
        want = reference.tensor(pixels, recipe, form).transpose(0, 1, 3, 2)
        for engine in engines(plan, tmp_path):
            assert same_bits(engine.run([pixels])[0], np.ascontiguousarray(want))


def test_large_pictures(tmp_path: Path, rng: np.random.Generator):
    check("imagenet", Value("x", "float32", (1, 3, 64, 64)), tmp_path, rng, [(700, 1100), (1300, 40)])


CONV = "w = DequantizeLinear (wq, ws, wz) y = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (d, w)"


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_quantisation_is_taken_in(dtype: type, tmp_path: Path, rng: np.random.Generator):
    constants = {
        "s": np.float32(0.0187),
        "z": dtype(11),
        "wq": rng.integers(-127, 128, (8, 3, 3, 3), np.int8),
        "ws": np.float32(0.01),
        "wz": np.int8(0),
    }
    value = Value("x", "float32", (1, 3, 24, 20))
    body = f"q = QuantizeLinear (x, s, z) d = DequantizeLinear (q, s, z) {CONV}"
    form = form_of([value])
    recipe = picture_steps.parse("imagenet").bound(form)
    text = f"g (float[1,3,24,20] x) => (float[1,8,12,10] y) {{ {body} }}"
    graph = ir.from_proto(parse(text, constants))
    run_passes(graph, PassContext())
    plain = lowering.lower(graph)
    add_picture(graph, Front(recipe, form), channels_last=False)
    plan = lowering.lower(graph)
    assert [node.op for node in plan.nodes][:1] == ["Picture"]
    assert len(plan.nodes) <= len(plain.nodes), "the quantisation is a part of the table"
    pixels = rng.integers(0, 256, (50, 60, 3), np.uint8)
    tensor = reference.tensor(pixels, recipe, form)
    for ours, theirs in zip(engines(plan, tmp_path), engines(plain, tmp_path), strict=True):
        assert same_bits(ours.run([pixels])[0], theirs.run([tensor])[0])


def test_pictures_that_cannot_be(tmp_path: Path):
    plan, *_ = lowered("imagenet", PLANES)
    engine = open_plan(plan, tmp_path)
    for shape, told in (((0, 5, 3), "is none, or too large"), ((5, 0, 3), "is none, or too large")):
        with pytest.raises(PlanError, match=told):
            engine.run([np.zeros(shape, np.uint8)])
    engine.run([np.zeros((5, 5, 3), np.uint8)])


def test_form_is_what_the_test_means():
    assert form_of([LAST]) == Form(LAST, (17, 32), 3, True)
