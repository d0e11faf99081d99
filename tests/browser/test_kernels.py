"""Every kernel at both levels of WebAssembly against this machine's, and whole small networks at odd sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import onnx
import pytest

from edgeort import toolchain
from tests.browser.support import WASM, Answer, Run, distance, native, node, wasm
from tests.fuzz.compressed import compressed
from tests.fuzz.corpus import UNFED, lowered, network, sparse, transformer, winograd
from tests.fuzz.quantised import dynamic, quantised_network

# Sums of products that are rounded twice where this machine rounds once, through up to ten layers.
NEAR = 2e-5
# A product that rounds to the next integer moves what follows by one step of a quantised tensor.
STEP = 0.02

_UNWRITTEN = "cannot be written"  # what the harness says of an output that is a sequence

NETWORKS: dict[str, tuple[Callable[[], onnx.ModelProto], Sequence[str], float]] = {
    "network": (network, ("x=1x3x17x23", "x=2x3x32x32"), NEAR),
    "quantised_network": (quantised_network, ("x=1x3x17x23", "x=2x3x32x32"), STEP),
    "compressed": (compressed, ("x=1x20x5x6", "x=7x20x5x6"), NEAR),
    "winograd": (winograd, ("x=1x3x27x30", "x=2x3x121x70"), NEAR),
    "sparse": (sparse, ("x=1x3x33x37",), NEAR),
    "transformer": (transformer, ("x=2x37x21,mask=37",), NEAR),
}


def options(shapes: str) -> tuple[str, ...]:
    return tuple(word for shape in shapes.split(",") for word in ("--shape", shape))


def far(runs: Sequence[Run], got: Sequence[Answer], want: Sequence[Answer], near: float) -> list[str]:
    """A line for each run whose answers differ by more."""
    lines = []
    for run, ours, theirs in zip(runs, got, want, strict=True):
        if ours.failed or theirs.failed:
            if not (_UNWRITTEN in ours.failed and _UNWRITTEN in theirs.failed):
                lines.append(f"{run.plan.stem}: {ours.failed}; here {theirs.failed or 'it runs'}")
            continue
        worst = max((distance(a, b) for a, b in zip(ours.outputs, theirs.outputs, strict=True)), default=0.0)
        if worst > near:
            lines.append(f"{run.plan.stem} {' '.join(run.options)}: {worst:.1e}")
    return lines


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str, tmp_path: Path) -> None:
    node()
    make, sizes, near = NETWORKS[name]
    plan = lowered(make(), tmp_path)
    path = tmp_path / f"{name}.plan"
    path.write_bytes(plan.to_bytes())
    runs = [Run(path, options(size)) for size in sizes]
    want = native(runs, plan.ops, tmp_path / "native")
    for isa in WASM.levels:
        got = wasm(runs, plan.ops, tmp_path / isa, isa)
        assert not far(runs, got, want, near), isa
        again = wasm(runs, plan.ops, tmp_path / f"{isa} again", isa)
        assert [a.digest for a in got] == [a.digest for a in again]


def test_integers_are_the_same(tmp_path: Path) -> None:
    """Dynamic products: what is quantised, multiplied and restored has no product that is rounded twice."""
    node()
    plan = lowered(dynamic(), tmp_path)
    path = tmp_path / "dynamic.plan"
    path.write_bytes(plan.to_bytes())
    runs = [Run(path)]
    want = native(runs, plan.ops, tmp_path / "native")
    for isa in WASM.levels:
        assert not far(runs, wasm(runs, plan.ops, tmp_path / isa, isa), want, NEAR)


@pytest.mark.slow
def test_every_kernel(kernel_plans: Sequence[Path], tmp_path: Path) -> None:
    node()
    runs = []
    for plan in kernel_plans:
        if not plan.stem.endswith(UNFED):
            inputs = Path(f"{plan}.npy")
            runs.append(Run(plan, ("--inputs", str(inputs)) if inputs.exists() else ()))
    kernels = toolchain.all_kernels()
    got = wasm(runs, kernels, tmp_path / "wasm", "wasm", ("wasm",))
    want = native(runs, kernels, tmp_path / "native")
    quantised = [run.plan.stem.startswith("quantised") for run in runs]
    for of_integers, near in ((False, NEAR), (True, STEP)):
        part = [i for i, is_such in enumerate(quantised) if is_such == of_integers]
        assert not far([runs[i] for i in part], [got[i] for i in part], [want[i] for i in part], near)
