"""The program over another engine for Android, run here: QEMU and Debian's arm64 libraries stand for the phone's.

The code is what a phone gets, byte by byte. Bionic is not here: its names come from glibc, and `__libc_init` from
a few lines of C.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import onnx
import pytest

import edgeort
from edgeort.bundle import open_bundle
from edgeort.pipeline import Wish
from tests.models import mlp
from tests.reference.build import compile_with_zig

pytest.importorskip("ai_edge_litert")
ROOT = Path(os.environ.get("EDGEORT_ARM64_ROOT", "/usr/aarch64-linux-gnu"))
QEMU = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
INIT = """
#include <stdlib.h>
void __libc_init(long* stack, void (*at_exit)(void), int (*body)(int, char**, char**), const void* structors) {
  char** arguments = (char**)(stack + 1);
  exit(at_exit || !structors ? 99 : body((int)stack[0], arguments, arguments + stack[0] + 1));
}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a phone's bundle, b, and a system's root as the program looks for it."""
    if QEMU is None or not (ROOT / "lib/ld-linux-aarch64.so.1").exists():
        pytest.skip("needs qemu-user-static and libc6-arm64-cross")
    folder = tmp_path_factory.mktemp("android")
    onnx.save(mlp(batch=3), folder / "m.onnx")
    edgeort.build(folder / "m.onnx", "android-arm64", folder / "b", wish=Wish("litert", required=True))
    (folder / "root/system/bin").mkdir(parents=True)
    shutil.copytree(ROOT / "lib", folder / "root/lib")
    shutil.copy(ROOT / "lib/ld-linux-aarch64.so.1", folder / "root/system/bin/linker64")
    for name in ("libm.so.6", "libdl.so.2"):
        shutil.copy(ROOT / "lib" / name, folder / "root/lib" / f"{name.split('.')[0]}.so")
    (folder / "init.c").write_text(INIT)
    flags = ("-target", "aarch64-linux-gnu.2.28", "-shared", "-fPIC", "-Wl,-soname,libc.so")
    shutil.copy(compile_with_zig([folder / "init.c"], flags), folder / "root/lib/libc.so")
    return folder


def phone(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The bundle's program on the emulated phone."""
    root = place / "root"
    with open_bundle(place / "b") as bundle:
        emulator = [str(QEMU), "-cpu", "cortex-a76", "-L", str(root), "-E", f"LD_LIBRARY_PATH={root / 'lib'}"]
        command = [*emulator, str(bundle.harness), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_it_starts_gets_its_arguments_and_ends_with_a_status(place: Path):
    told = phone(place, "--help")
    assert told.returncode == 0 and told.stdout.startswith("usage: edgeort_bench")
    wrong = phone(place, "model", "--no-such-option")
    assert wrong.returncode == 2 and "--no-such-option" in wrong.stderr


def test_it_looks_for_its_engine(place: Path):
    done = phone(place, str(place / "b/model/model.tflite"))
    assert done.returncode == 2
    assert "(libLiteRt.so) is not found: take it from com.google.ai.edge.litert:litert (Maven)" in done.stderr
