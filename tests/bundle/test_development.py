"""A C program finds the bundle's library by CMake and by pkg-config, wherever the bundle was moved, and runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import edgeort
from edgeort.bundle import development
from tests.bundle.test_bundle import MANIFEST
from tests.models import HOST, mlp

PROGRAM = """
#include <stdio.h>
#include "edgeort.h"
int main(int argc, char** argv) {
  char error[EDGEORT_ERROR_BYTES];
  edgeort_model* model = edgeort_open(argv[argc - 1], NULL, error);
  if (!model) return fprintf(stderr, "%s\\n", error), 1;
  float values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  edgeort_tensor x, y;
  edgeort_input(model, 0, &x);
  x.dims[0] = 1;
  x.data = values;
  if (edgeort_set_input(model, 0, &x) || edgeort_run(model)) return 1;
  edgeort_output(model, 0, &y);
  for (int i = 0; i < 5; ++i) printf("%.9g\\n", ((const float*)y.data)[i]);
  edgeort_close(model);
  return 0;
}
"""
CMAKE = """
cmake_minimum_required(VERSION 3.13)
project(app C)
find_package(edgeort REQUIRED)
add_executable(app app.c)
target_link_libraries(app edgeort::edgeort)
file(WRITE "${CMAKE_BINARY_DIR}/model.txt" "${edgeort_MODEL}")
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with app.c, CMakeLists.txt and a bundle that was built elsewhere, in a folder with a space."""
    folder = tmp_path_factory.mktemp("project")
    onnx.save(mlp(), folder / "m.onnx")
    edgeort.build(folder / "m.onnx", HOST, folder / "built")
    (folder / "the bundle").mkdir()
    shutil.move(folder / "built", folder / "the bundle/b")
    (folder / "app.c").write_text(PROGRAM)
    (folder / "CMakeLists.txt").write_text(CMAKE)
    return folder


def expected(project: Path) -> np.ndarray:
    x = np.arange(1, 9, dtype=np.float32)[None]
    return edgeort.InferenceSession(project / "the bundle/b").run(None, {"x": x})[0][0]


def run(*command: object, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def need(*programs: str) -> None:
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")


def test_cmake(project: Path, tmp_path: Path):
    need("cmake", "make", "cc")
    run("cmake", "-S", project, "-B", tmp_path, f"-DCMAKE_PREFIX_PATH={project / 'the bundle/b'}", cwd=project)
    run("cmake", "--build", tmp_path, cwd=project)
    model = (tmp_path / "model.txt").read_text()
    assert np.array_equal(np.array(run(tmp_path / "app", model, cwd=project).split(), np.float32), expected(project))


def test_pkg_config(project: Path, tmp_path: Path):
    need("pkg-config", "cc")
    place = tmp_path / "b"  # pkg-config writes paths as shell words, which a space would end
    shutil.copytree(project / "the bundle/b", place)
    where = {"PKG_CONFIG_PATH": str(place / "lib/pkgconfig")}
    flags = run("pkg-config", "--cflags", "--libs", "edgeort", cwd=project, **where).split()
    assert run("pkg-config", "--modversion", "edgeort", cwd=project, **where).strip() == edgeort.__version__
    run("cc", "app.c", *flags, f"-Wl,-rpath,{place / 'lib'}", "-o", tmp_path / "app", cwd=project)
    model = run("pkg-config", "--variable=model", "edgeort", cwd=project, **where).strip()
    assert np.array_equal(np.array(run(tmp_path / "app", model, cwd=project).split(), np.float32), expected(project))


def test_each_system_has_its_files():
    assert not development.files(replace(MANIFEST, library=""))
    apple = development.files(replace(MANIFEST, library="lib/libedgeort.dylib"))[development.CMAKE]
    assert isinstance(apple, bytes) and b'IMPORTED_SONAME "@rpath/libedgeort.dylib"' in apple
    phone = development.files(replace(MANIFEST, library="lib/libedgeort.a"))[development.CMAKE]
    assert isinstance(phone, bytes) and b"STATIC IMPORTED" in phone and b"SONAME" not in phone


def test_modules_of_webassembly_are_not_for_c():
    assert not development.files(replace(MANIFEST, library="lib/edgeort.wasm"))
