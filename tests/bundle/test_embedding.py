"""Programs in C whose model lies in the library: shared and static, here, on a Pi, on Windows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest

import edgeort
from edgeort import zig
from edgeort.errors import UnsupportedError
from edgeort.families import functions
from edgeort.toolchain import STATIC, embedding, target
from tests import macho
from tests.bundle.test_development import PROGRAM as OF_A_FILE
from tests.bundle.test_development import need, run
from tests.bundle.test_other_systems import WINE, wine
from tests.models import HOST, mlp

PROGRAM = (
    OF_A_FILE.replace('"edgeort.h"', '"edgeort_embedded.h"')
    .replace("int argc, char** argv", "void")
    .replace("edgeort_open(argv[argc - 1], ", "edgeort_open_embedded(")
)
CMAKE = """
cmake_minimum_required(VERSION 3.13)
project(app C)
find_package(edgeort REQUIRED)
add_executable(app app.c)
target_link_libraries(app edgeort::static)
"""
ROOTFS = Path("/usr/aarch64-linux-gnu")
X = np.arange(1, 9, dtype=np.float32)[None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a space and other letters, in which a model and a program are."""
    made = tmp_path_factory.mktemp("embedded") / "ein größerer Ordner"
    made.mkdir()
    onnx.save(mlp(), made / "m.onnx")
    (made / "app.c").write_text(PROGRAM)
    return made


def built(folder: Path, device: object, name: str) -> Path:
    """The bundle, with the model in a library of either kind; the plan is taken from its place."""
    to = folder / name
    if not to.exists():
        edgeort.build(folder / "m.onnx", device, to, embed_model=True, static=True)  # type: ignore[arg-type]
    return to


@pytest.fixture(scope="module")
def host(folder: Path) -> Path:
    return built(folder, HOST, "host")


@pytest.fixture(scope="module")
def wanted(host: Path) -> np.ndarray:
    return edgeort.InferenceSession(host).run(None, {"x": X})[0][0]


def numbers(text: str) -> np.ndarray:
    return np.array(text.split(), np.float32)


def test_a_shared_library_brings_its_model(folder: Path, host: Path, wanted: np.ndarray, tmp_path: Path):
    need("cc")
    library = Path(shutil.copy(host / "lib/libedgeort.so", tmp_path))
    run(
        "cc",
        folder / "app.c",
        "-I",
        host / "include",
        library,
        "-Wl,-rpath,$ORIGIN",
        "-o",
        tmp_path / "app",
        cwd=folder,
    )
    assert np.array_equal(numbers(run(tmp_path / "app", cwd=tmp_path)), wanted)


def test_a_static_library_is_all_that_a_program_needs(folder: Path, host: Path, wanted: np.ndarray, tmp_path: Path):
    need("pkg-config", "cc")
    place = tmp_path / "b"  # pkg-config writes paths as shell words
    shutil.copytree(host, place)
    where = {"PKG_CONFIG_PATH": str(place / "lib/pkgconfig")}
    flags = run("pkg-config", "--cflags", "--libs", "edgeort-static", cwd=folder, **where).split()
    run("cc", folder / "app.c", *flags, "-o", tmp_path / "app", cwd=folder)
    shutil.rmtree(place)
    assert np.array_equal(numbers(run(tmp_path / "app", cwd=tmp_path)), wanted)


def test_cmake_finds_the_static_library(folder: Path, host: Path, wanted: np.ndarray, tmp_path: Path):
    need("cmake", "make", "cc")
    shutil.copy(folder / "app.c", tmp_path)
    (tmp_path / "CMakeLists.txt").write_text(CMAKE)
    shutil.copytree(host, tmp_path / "a bundle")
    run("cmake", "-S", ".", "-B", "build", f"-DCMAKE_PREFIX_PATH={tmp_path / 'a bundle'}", cwd=tmp_path)
    run("cmake", "--build", "build", cwd=tmp_path)
    assert np.array_equal(numbers(run(tmp_path / "build/app", cwd=tmp_path)), wanted)


def test_the_plan_is_aligned_and_shared_data_of_the_library(host: Path):
    library, plan = (host / "lib/libedgeort.so").read_bytes(), (host / "model.plan").read_bytes()
    assert library.count(plan) == 1 and library.index(plan) % embedding.ALIGNMENT == 0
    assert (host / f"lib/{STATIC}").read_bytes().count(plan) == 1


def test_the_same_bytes_again(folder: Path, host: Path):
    again = built(folder, HOST, "again")
    for path in sorted(path.relative_to(host) for path in host.rglob("*") if path.is_file()):
        assert (host / path).read_bytes() == (again / path).read_bytes(), path


def test_on_an_emulated_pi(folder: Path, wanted: np.ndarray, tmp_path: Path):
    need("qemu-aarch64-static")
    if not ROOTFS.exists():
        pytest.skip("needs libc6-arm64-cross")
    bundle, program = built(folder, "raspberrypi4", "pi"), tmp_path / "app"
    compiler = (zig.program(), "cc", "-target", "aarch64-linux-gnu.2.28", "-s", "-O3")
    own = (folder / "app.c", "-I", bundle / "include", bundle / f"lib/{STATIC}", "-lm", "-lpthread")
    run(*compiler, *own, "-o", program, cwd=tmp_path)
    said = run("qemu-aarch64-static", "-cpu", "cortex-a72", "-L", ROOTFS, program, cwd=tmp_path)
    assert np.array_equal(numbers(said), wanted)


def test_android_libraries_of_either_width_hold_it(folder: Path):
    for device in ("android-arm64", "android-armv7"):
        bundle = built(folder, device, device)
        library, plan = ((bundle / name).read_bytes() for name in ("lib/libedgeort.so", "model.plan"))
        assert library.count(plan) == 1 and library.index(plan) % embedding.ALIGNMENT == 0


def test_apple_libraries_hold_it_under_a_name_of_their_own(folder: Path):
    bundle = built(folder, "iphone15", "phone")
    archive, plan = (bundle / "lib/libedgeort.a").read_bytes(), (bundle / "model.plan").read_bytes()
    (own,) = [data for _, data in macho.members(archive) if plan in data]
    assert {"_edgeort_plan", "_edgeort_plan_bytes"} == macho.read(own).private
    assert not (bundle / f"lib/{STATIC}").exists()


@pytest.mark.slow
def test_a_library_for_macos_exports_what_the_headers_declare(folder: Path):
    bundle = built(folder, "macbook-m", "mac")
    data, plan = (bundle / "lib/libedgeort.dylib").read_bytes(), (bundle / "model.plan").read_bytes()
    assert data.count(plan) == 1 and data.index(plan) % embedding.ALIGNMENT == 0
    declared = {f"_{name}" for name in functions(["edgeort.h", "edgeort_embedded.h"])}
    assert macho.read(data).names - {"__mh_dylib_header", "___dso_handle"} == declared


@pytest.mark.slow
@pytest.mark.skipif(not WINE, reason="needs wine64")
def test_under_wine(folder: Path, wanted: np.ndarray, tmp_path: Path):
    bundle = built(folder, "windows-laptop", "windows")
    compiler = (zig.program(), "cc", "-target", "x86_64-windows-gnu", "-s", "-O3")
    own = (folder / "app.c", "-I", bundle / "include")
    shutil.copy(bundle / "lib/edgeort.dll", tmp_path)
    run(*compiler, *own, bundle / "lib/edgeort.lib", "-o", tmp_path / "shared.exe", cwd=tmp_path)
    run(*compiler, *own, bundle / f"lib/{STATIC}", "-o", tmp_path / "static.exe", cwd=tmp_path)
    for name in ("shared", "static"):
        assert wine(tmp_path, tmp_path / f"{name}.exe") == 0, (tmp_path / "errors.txt").read_text()
        assert np.array_equal(numbers((tmp_path / "out.txt").read_text()), wanted)


@pytest.mark.parametrize(
    ("device", "wish", "said"),
    [
        ("browser", {"embed_model": True}, r"no model in it \(--embed-model\)"),
        ("browser", {"static": True}, "--static asks for a library"),
    ],
)
def test_pages_have_modules(folder: Path, device: str, wish: dict[str, bool], said: str):
    with pytest.raises(UnsupportedError, match=said):
        edgeort.build(folder / "m.onnx", device, folder / "refused", **wish)  # type: ignore[arg-type]
    assert not (folder / "refused").exists()


@pytest.mark.parametrize(("option", "said"), [("embed_model", "opens models from files"), ("static", "no static")])
def test_other_engines_have_libraries_of_their_own(folder: Path, option: str, said: str):
    from edgeort.pipeline import Wish

    with pytest.raises(UnsupportedError, match=said):
        edgeort.build(folder / "m.onnx", HOST, folder / "refused", wish=Wish("openvino", True), **{option: True})  # type: ignore[arg-type]


def test_a_plan_beyond_the_reach_of_code_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(embedding, "MOST_BYTES", 100)
    with pytest.raises(UnsupportedError, match="a plan of 101 bytes does not fit into a library: 100 do"):
        embedding.embedded_library(target("linux", "aarch64"), (), ("neon",), ("embedded",), bytes(101))


def test_no_copy_is_left_in_a_folder_for_temporary_files(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    edgeort.build(folder / "m.onnx", HOST, folder / "other", embed_model=True)
    assert not os.listdir(tmp_path)


def test_the_pages_program_runs_as_it_stands_there(folder: Path, host: Path, tmp_path: Path):
    need("cc")
    page = (Path(__file__).parents[2] / "docs/embedding.md").read_text(encoding="utf-8")
    _, _, chapter = page.partition("## The model in the library")
    (program,) = re.findall(r"^```c\n(.*?)^```$", chapter, re.MULTILINE | re.DOTALL)
    (commands,) = re.findall(r"^(cc app\.c .*\ncp .*\n\./app)$", chapter, re.MULTILINE)
    (tmp_path / "app.c").write_text(program)
    (tmp_path / "BUNDLE").symlink_to(host)
    done = subprocess.run(["bash", "-ec", commands], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "input  x, 2 dimensions\noutput y\n"), done.stderr
