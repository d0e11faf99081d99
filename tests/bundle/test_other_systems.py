"""Programs for Windows and macOS are compiled and linked against bundles; under Wine the one for Windows runs."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

import edgeort
from edgeort import zig
from edgeort.families import functions
from tests import macho
from tests.bundle.test_development import need, run
from tests.models import mlp

pytestmark = pytest.mark.slow  # zig has to build the libc of Windows
EXAMPLE = Path(__file__).parents[2] / "examples" / "windows"
TRIPLES = {"windows-laptop": "x86_64-windows-gnu", "macbook-m": "aarch64-macos.12.0"}
WINE = next((path for name in ("wine64", "/usr/lib/wine/wine64") if (path := shutil.which(name))), None)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("systems")
    onnx.save(mlp(), folder / "m.onnx")
    for device in TRIPLES:
        edgeort.build(folder / "m.onnx", device, folder / device)
    return {device: folder / device for device in TRIPLES}


@pytest.fixture
def compiler(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """A C compiler for each device, as a program of one word, which CMake wants.

    Its flags are those of the toolchain: for others zig would build its libc anew.
    """
    found = {}
    for device, triple in TRIPLES.items():
        found[device] = tmp_path / f"cc-{device}"
        found[device].write_text(f'#!/bin/sh\nexec "{zig.program()}" cc -target {triple} -s -O3 "$@"\n')
        found[device].chmod(0o755)
    yield found


def exports(dll: Path) -> set[str]:
    """The names that a 64-bit DLL exports (the PE format: sections map addresses to places in the file)."""
    data = dll.read_bytes()
    (pe,) = struct.unpack_from("<I", data, 0x3C)
    sections, optional = struct.unpack_from("<H", data, pe + 6)[0], struct.unpack_from("<H", data, pe + 20)[0]
    table = pe + 24 + optional

    def at(address: int) -> int:
        for index in range(sections):
            size, start, _, raw = struct.unpack_from("<8x4I", data, table + 40 * index)
            if start <= address < start + size:
                return address - start + raw
        raise AssertionError(f"address {address:x} is in no section")

    (directory,) = struct.unpack_from("<I", data, pe + 24 + 112)
    count, names = struct.unpack_from("<24xI4xI", data, at(directory))
    places = struct.unpack_from(f"<{count}I", data, at(names))
    return {data[at(place) : data.index(b"\0", at(place))].decode() for place in places}


def test_the_import_library_names_what_the_dll_has(bundles: dict[str, Path]):
    lib = (bundles["windows-laptop"] / "lib/edgeort.lib").read_bytes()
    names = exports(bundles["windows-laptop"] / "lib/edgeort.dll")
    assert names == set(functions(["edgeort.h"]))
    assert lib.startswith(b"!<arch>\n") and all(name.encode() + b"\0" in lib for name in names)


def test_a_program_for_macos_finds_the_library_beside_it(
    bundles: dict[str, Path], compiler: dict[str, Path], tmp_path: Path
):
    bundle = bundles["macbook-m"]
    library = macho.read((bundle / "lib/libedgeort.dylib").read_bytes())
    assert (library.platform, library.min_os, library.install_name) == (macho.MACOS, "12.0", "@rpath/libedgeort.dylib")
    assert library.needed == ["/usr/lib/libSystem.B.dylib"]
    own = {"__mh_dylib_header", "___dso_handle"}  # the linker's
    assert {f"_{name}" for name in functions(["edgeort.h"])} == library.names - own
    source = tmp_path / "app.c"
    source.write_text('#include "edgeort.h"\nint main(void) { return edgeort_abi() != EDGEORT_ABI; }\n')
    flags = ("-I", bundle / "include", "-L", bundle / "lib", "-ledgeort", "-Wl,-rpath,@executable_path")
    run(compiler["macbook-m"], source, *flags, "-o", tmp_path / "app", cwd=tmp_path)
    program = macho.read((tmp_path / "app").read_bytes())
    assert "@rpath/libedgeort.dylib" in program.needed and program.rpaths == ["@executable_path"]
    assert {"_edgeort_abi"} == {name for name in program.undefined if "edgeort" in name}


def build_with_cmake(bundle: Path, compiler: Path, out: Path) -> Path:
    need("cmake", "make")
    choices = (f"-DCMAKE_C_COMPILER={compiler}", "-DCMAKE_SYSTEM_NAME=Windows", f"-DCMAKE_PREFIX_PATH={bundle}")
    # What finds packages looks in the folders of the target system, not in these, unless told so.
    run("cmake", "-S", EXAMPLE, "-B", out, *choices, "-DCMAKE_FIND_ROOT_PATH_MODE_PACKAGE=BOTH", cwd=out.parent)
    run("cmake", "--build", out, cwd=out.parent)
    return out / "run.exe"


def test_the_example_for_windows_is_linked_by_cmake_and_by_pkg_config(
    bundles: dict[str, Path], compiler: dict[str, Path], tmp_path: Path
):
    bundle, zig = bundles["windows-laptop"], compiler["windows-laptop"]
    program = build_with_cmake(bundle, zig, tmp_path / "build")
    assert program.read_bytes()[:2] == b"MZ" and b"edgeort.dll\0" in program.read_bytes()
    assert (tmp_path / "build/edgeort.dll").read_bytes() == (bundle / "lib/edgeort.dll").read_bytes()
    need("pkg-config")
    flags = run(
        "pkg-config", "--cflags", "--libs", "edgeort", cwd=tmp_path, PKG_CONFIG_PATH=str(bundle / "lib/pkgconfig")
    )
    run(zig, "-Wall", "-Werror", EXAMPLE / "run.c", *flags.split(), "-o", tmp_path / "run.exe", cwd=tmp_path)
    assert b"edgeort.dll\0" in (tmp_path / "run.exe").read_bytes()


def wine(folder: Path, *command: Path) -> int:
    """The status of a program; what it says is in out.txt and errors.txt."""
    quiet = {"WINEPREFIX": str(folder / "prefix"), "WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree,mshtml="}
    # Wine's own processes would keep a pipe open.
    with (folder / "out.txt").open("wb") as out, (folder / "errors.txt").open("wb") as errors:
        environment = {**os.environ, **quiet, "LC_ALL": "C.UTF-8"}
        words = [str(WINE), *map(str, command)]
        return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, env=environment).returncode


@pytest.mark.skipif(not WINE, reason="needs wine64")
def test_it_runs_under_wine_with_the_bytes_of_linux(
    bundles: dict[str, Path], compiler: dict[str, Path], tmp_path: Path
):
    bundle = bundles["windows-laptop"]
    program = build_with_cmake(bundle, compiler["windows-laptop"], tmp_path / "build")
    x = np.linspace(-1, 1, 8, dtype=np.float32)
    plan = tmp_path / "a plan für é.plan"
    shutil.copy(bundle / "model.plan", plan)
    (tmp_path / "x.bin").write_bytes(x.tobytes())
    status = wine(tmp_path, program, plan, tmp_path / "x.bin")
    said = (tmp_path / "out.txt").read_text()
    assert status == 0, (tmp_path / "errors.txt").read_text()
    name, *values = said.split()
    (want,) = edgeort.InferenceSession(bundle).run(None, {"x": x[None]})
    assert name == "y" and np.array_equal(np.array(values, np.float32), want[0])
    os.truncate(tmp_path / "x.bin", (1 << 32) + 32)  # whose length is 32 in a long of Windows
    assert wine(tmp_path, program, plan, tmp_path / "x.bin") == 1
    assert "an input's file cannot be read" in (tmp_path / "errors.txt").read_text()
