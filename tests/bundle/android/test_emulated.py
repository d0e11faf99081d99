"""The very libraries of a package under QEMU: Debian's libraries stand for bionic, a program in C for Java."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.bundle.android.support import VALUES, answer, build, make
from tests.reference.build import compile_with_zig

# ABI -> the emulator and its CPU, the root of Debian's libraries for it, the triple of programs for these
EMULATED = {
    "arm64-v8a": ("qemu-aarch64-static", "cortex-a53", "/usr/aarch64-linux-gnu", "aarch64-linux-gnu.2.28"),
    "armeabi-v7a": ("qemu-arm-static", "cortex-a7", "/usr/arm-linux-gnueabi", "arm-linux-gnueabi.2.28"),
}
PACKAGES = {"arm64-v8a": "libc6-arm64-cross", "armeabi-v7a": "libc6-armel-cross"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("emulated"))


@pytest.fixture(scope="module")
def package(bundle: Path) -> Path:
    return make(bundle, bundle.with_name("p"))


def phone(folder: Path, abi: str) -> list[str]:
    """What starts a program that loads libraries for Android."""
    emulator, cpu, root, triple = EMULATED[abi]
    if not shutil.which(emulator) or not Path(root).is_dir():
        pytest.skip(f"needs qemu-user-static and {PACKAGES[abi]}")
    (folder / "empty.c").write_text("")
    for name in ("libc", "libm"):
        flags = ("-target", triple, "-shared", "-fPIC", "-nostdlib", f"-Wl,-soname,{name}.so")  # glibc has the names
        shutil.copy(compile_with_zig([folder / "empty.c"], flags), folder / f"{name}.so")
    return [emulator, "-cpu", cpu, "-L", root, "-E", f"LD_LIBRARY_PATH={folder}"]


@pytest.mark.parametrize("abi", ["arm64-v8a", pytest.param("armeabi-v7a", marks=pytest.mark.slow)])
@pytest.mark.parametrize("before", [128, 4100])
def test_the_library_runs(bundle: Path, package: Path, tmp_path: Path, abi: str, before: int):
    start, triple = phone(tmp_path, abi), EMULATED[abi][3]
    program = compile_with_zig(
        [Path(__file__).parent / "jvm.c"], ("-target", triple, "-O3", "-s", "-fPIC", "-lm", "-ldl")
    )
    plan = (bundle / "model.plan").read_bytes()
    (tmp_path / "asset").write_bytes(bytes(before) + plan + bytes(32))
    library = package / f"m/src/main/jniLibs/{abi}/libedgeort_m.so"
    command = [*start, program, library, tmp_path / "asset", before, len(plan), *VALUES.shape]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, env=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    copied = int(before % 64 != 0)
    assert done.stdout.splitlines() == [f"copied: {copied}", "input: x", f"run: {answer(bundle, x=VALUES)}"]
