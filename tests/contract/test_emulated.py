"""The harness of whole models under an emulator of the devices' very CPUs: the digests of x86-64, to the bit."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgeort import lowering, model, sample, toolchain
from edgeort.passes import PassContext, run_passes
from tests.contract.engines import HOST, levels
from tests.fuzz.compressed import compressed
from tests.fuzz.corpus import UNFED, network, sparse, transformer, winograd, write_inputs
from tests.fuzz.pictures import pictures
from tests.fuzz.quantised import quantised_network
from tests.models import model as network_of
from tests.real_models.find import find

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="qemu's user mode is for Linux")]

CORES = ("cortex-a53", "cortex-a72", "cortex-a76")
ARM = toolchain.target("linux", "aarch64")
MICRO = toolchain.target("none", "armv7em")


@functools.cache
def qemu(arch: str = "aarch64") -> str:
    found = shutil.which(f"qemu-{arch}-static") or shutil.which(f"qemu-{arch}")
    if not found:
        pytest.skip("needs qemu: apt-get install qemu-user-static")
    return found


def bench(command: Sequence[str | Path], plan: Path, *options: str, threads: int) -> str:
    """The digest of the outputs after two runs on the harness's own inputs."""
    arguments = [*command, plan, "--runs", "1", "--warmup", "0", "--threads", str(threads), "--json", *options]
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["digest"])


def compile_model(path: Path, folder: Path) -> tuple[Path, list[str]]:
    graph = model.clean(model.load(path))
    run_passes(graph, PassContext())
    built = lowering.lower(graph)
    plan = folder / "model.plan"
    plan.write_bytes(built.to_bytes())
    return plan, built.ops


def digests(path: Path, folder: Path, cores: Sequence[str], *options: str) -> dict[str, str]:
    """The digest of each way to run the model."""
    plan, ops = compile_model(path, folder)
    native, arm = toolchain.harness(HOST, ops), toolchain.harness(ARM, ops)
    found = {}
    for level in levels():
        for threads in (1, 2):
            found[f"{level}, {threads} threads"] = bench([native], plan, "--isa", level, *options, threads=threads)
    for core in cores:
        for threads in (1, 2):
            found[f"{core}, {threads} threads"] = bench([qemu(), "-cpu", core, arm], plan, *options, threads=threads)
    return found


def test_small_network(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(network().SerializeToString())
    for size in ("1x3x17x23", "2x3x32x32"):
        found = digests(path, tmp_path, CORES, "--shape", f"x={size}")
        assert len(set(found.values())) == 1, found


def test_small_quantised_network(tmp_path: Path) -> None:
    path = tmp_path / "quantised.onnx"
    path.write_bytes(quantised_network().SerializeToString())
    for size in ("1x3x17x23", "2x3x32x32"):
        found = digests(path, tmp_path, CORES, "--shape", f"x={size}")
        assert len(set(found.values())) == 1, found


def test_small_network_of_compressed_weights(tmp_path: Path) -> None:
    path = tmp_path / "compressed.onnx"
    path.write_bytes(compressed().SerializeToString())
    for batch in (1, 3, 7):
        found = digests(path, tmp_path, CORES, "--shape", f"x={batch}x20x5x6")
        assert len(set(found.values())) == 1, found


def test_winograd(tmp_path: Path) -> None:
    path = tmp_path / "winograd.onnx"
    path.write_bytes(winograd().SerializeToString())
    for size in ("1x3x27x30", "2x3x121x70"):
        found = digests(path, tmp_path, CORES[1:2], "--shape", f"x={size}")
        assert len(set(found.values())) == 1, found


def test_winograd_adds_where_it_writes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array((rng.standard_normal((32, 32, 3, 3)) / 16).astype(np.float32), f"w{i}")
        for i in range(3)
    ]
    nodes = [helper.make_node("Conv", [x, f"w{i}"], [f"c{i}"], pads=[1] * 4) for i, x in enumerate("xac")]
    nodes[1:1] = [helper.make_node("Relu", ["c0"], ["a"])]
    nodes[3:3] = [helper.make_node("Add", ["c1", "x"], ["b"]), helper.make_node("Relu", ["b"], ["c"])]
    nodes += [helper.make_node("Add", ["a", "c2"], ["y"])]
    for shape in ((1, 32, 27, 30), (1, 32, 61, 70)):  # Arm's runs stream the larger one
        path = tmp_path / "residual.onnx"
        path.write_bytes(network_of(nodes, [("x", shape)], [("y", shape)], weights).SerializeToString())
        found = digests(path, tmp_path, CORES[1:2])
        assert len(set(found.values())) == 1, found


def test_sparse_products(tmp_path: Path) -> None:
    path = tmp_path / "sparse.onnx"
    path.write_bytes(sparse().SerializeToString())
    for size in ("1x3x33x37", "2x3x64x64"):
        found = digests(path, tmp_path, CORES[1:2], "--shape", f"x={size}")
        assert len(set(found.values())) == 1, found


def test_small_transformer(tmp_path: Path) -> None:
    path = tmp_path / "transformer.onnx"
    path.write_bytes(transformer().SerializeToString())
    for n, rows in ((1, 1), (2, 37)):
        found = digests(path, tmp_path, CORES, "--shape", f"x={n}x{rows}x21", "--shape", f"mask={rows}")
        assert len(set(found.values())) == 1, found


def test_pictures(tmp_path: Path) -> None:
    plans = list(pictures())
    ops = sorted({op for _, plan, _ in plans for op in plan.ops})
    native, arm = toolchain.harness(HOST, ops), toolchain.harness(ARM, ops)
    for name, plan, given in plans:
        path = tmp_path / f"{name}.plan"
        path.write_bytes(plan.to_bytes())
        write_inputs(path, given)
        options = ["--inputs", f"{path}.npy"]
        found = {
            (level, threads): bench([native], path, "--isa", level, *options, threads=threads)
            for level in levels()
            for threads in (1, 3)
        }
        for core in CORES[:2]:
            found[core, 2] = bench([qemu(), "-cpu", core, arm], path, *options, threads=2)
        assert len(set(found.values())) == 1, (name, found)


def test_sample(tmp_path: Path) -> None:
    found = digests(sample.path(), tmp_path, CORES, "--shape", "image=3x1x8x8")
    assert len(set(found.values())) == 1, found


def test_every_kernel(kernel_plans: Sequence[Path]) -> None:
    """The node tests' plans on their own inputs; one core of each kind will do, as all have the same kernels."""
    kernels = toolchain.all_kernels()
    native, arm, micro = (toolchain.harness(target, kernels) for target in (HOST, ARM, MICRO))
    commands = {
        **{level: ([native], ["--isa", level]) for level in levels()},
        CORES[0]: ([qemu(), "-cpu", CORES[0], arm], []),
        "m4f": ([qemu("arm"), "-cpu", "max", micro], []),
    }

    def differing(plan: Path) -> str | None:
        inputs = Path(f"{plan}.npy")
        given = ["--inputs", str(inputs)] if inputs.exists() else []
        found = {
            name: bench(program, plan, *options, *given, threads=2) for name, (program, options) in commands.items()
        }
        return None if len(set(found.values())) == 1 else f"{plan.stem}: {found}"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        fed = [plan for plan in kernel_plans if not plan.stem.endswith(UNFED)]
        wrong = [line for line in pool.map(differing, fed) if line]
    assert not wrong, "\n".join(wrong)


def with_two_blocks(path: Path, folder: Path) -> Path:
    """DeiT without the ten blocks that have the shapes of the first two: an emulator takes long."""
    network = onnx.load(path)
    (norm,) = (node for node in network.graph.node if node.name == "/norm/LayerNormalization")
    norm.input[0] = "/blocks/blocks.1/Add_1_output_0"
    onnx.save(network, folder / "two_blocks.onnx")
    return folder / "two_blocks.onnx"


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("mobilenetv2_100", "input=1x3x224x224"),
        ("mobilenetv3_small_100", "input=1x3x224x224"),
        ("deit_tiny_patch16_224", "input=1x3x224x224"),
        ("ppocr_det", "x=1x3x64x96"),
        ("ppocr_rec", "x=1x3x48x64"),
        ("magika", "bytes=2x2048"),
    ],
)
def test_real_models(name: str, shape: str, tmp_path: Path) -> None:
    path = with_two_blocks(find(name), tmp_path) if name.startswith("deit") else find(name)
    found = digests(path, tmp_path, CORES[1:2], "--shape", shape)
    assert len(set(found.values())) == 1, found
