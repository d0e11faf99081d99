"""The package's classes in a Java virtual machine of this machine, over the same C code built for it.

Android's own classes are a few of the tests': files stand for assets.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgeort import toolchain
from edgeort.bundle import open_bundle
from edgeort.bundle.android import module, native
from edgeort.toolchain import target
from tests.bundle.android.support import VALUES, answer, build, need, picture_model, string_model
from tests.test_toolchain import HERE

JAVA = Path(__file__).parent / "java"


class App:
    """The compiled classes and the library of a bundle; `place` holds its plan behind `before` bytes."""

    def __init__(self, bundle: Path, folder: Path) -> None:
        self.folder, self.plan = folder, (bundle / "model.plan").read_bytes()
        with open_bundle(bundle) as opened:
            manifest = opened.manifest
        for name, text in module.sources(manifest).items():
            path = folder / "sources" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
        sources = [*JAVA.rglob("*.java"), *(folder / "sources").rglob("*.java")]
        subprocess.run(["javac", "-nowarn", "-d", folder / "classes", *sources], check=True)
        name = "libedgeort_m.so"
        made = toolchain.library(target("linux", HERE), manifest.kernels, binding=native.binding("m", name))
        (folder / name).write_bytes(made.read_bytes())

    def run(
        self, what: str, *, before: int = 0, after: int = 0, program: str = "Main", flags: Sequence[str] = ()
    ) -> list[str]:
        """The lines that a program of the tests' prints, with the plan behind so many bytes of its file."""
        place = self.folder / f"assets-{before}"
        place.write_bytes(b"\xa5" * before + self.plan + b"\x5a" * after)
        classes = f"{self.folder / 'classes'}:{_kotlin_library()}"
        java = ["java", *flags, "-Xcheck:jni", "--add-opens", "java.base/java.io=ALL-UNNAMED", "-cp", classes]
        java += [f"-Djava.library.path={self.folder}", program, what]
        command = [*java, str(place), str(before), str(len(self.plan))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=self.folder)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "WARNING" not in done.stdout, done.stdout  # of -Xcheck:jni
        return done.stdout.splitlines()


def _kotlin_library() -> str:
    """What Kotlin's classes need beside those of Java; "" where no compiler is here."""
    found = shutil.which("kotlinc")
    return str(Path(found).resolve().parents[1] / "lib/kotlin-stdlib.jar") if found else ""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("java", "javac")
    return build(tmp_path_factory.mktemp("java"))


@pytest.fixture(scope="module")
def app(bundle: Path) -> App:
    return App(bundle, bundle.parent)


@pytest.mark.parametrize(
    ("before", "is_copied"), [(0, False), (64 * 77, False), (4096, False), (4, True), (12344, True)]
)
def test_it_runs_wherever_the_plan_lies(app: App, bundle: Path, before: int, is_copied: bool):
    *log, described, found = app.run("run", before=before, after=100)
    assert found == f"run: {answer(bundle, x=VALUES)}"
    assert described == "[x: FLOAT32 [-1, 8]] [y: FLOAT32 of unknown shape]"
    said = f"log: edgeort: the plan lies at byte {before} of its file, no multiple of 64: copied to memory"
    assert log == ([said] if is_copied else [])


def test_misuse_is_an_exception(app: App, bundle: Path):
    found = app.run("misuse")
    ours, closed = "edgeort.m.EdgeortException: ", "java.lang.IllegalStateException: the model is closed"
    said = [line.partition(": ") for line in found]
    assert [(name, text.removeprefix(ours)) for name, _, text in said if text.startswith(ours)] == [
        ("no model", "asset edgeort/m.plan: /nowhere (No such file or directory); it must be in the app, and not "
                     'compressed: androidResources { noCompress += "plan" }'),
        ("beyond", "the model ends beyond its file"),
        ("before", "the model ends beyond its file"),
        ("empty", "the model ends beyond its file"),
        ("half", "the plan is truncated"),
        ("elsewhere", "not an edgeort plan"),
        ("no such file", "/nowhere: /nowhere (No such file or directory)"),
        ("too few", "the model has 1 inputs, not 0"),
        ("other shape", 'input "x": dimension 1 must be 8, not 4'),
        ("other rank", 'input "x" has rank 2, not 1'),
        ("nine dimensions", "a tensor has 8 dimensions at most"),
        ("other type", 'input "x" has another element type'),
        ("too short", "there are 32 bytes; the shape needs 64"),
        ("negative", "a dimension is negative: -1"),
        ("overflow", "the tensor is too large"),
        ("2 GiB", "a tensor of 2147549184 bytes: a buffer of Java has 2147483647 at most"),
        ("2^34 pixels", "a tensor of 51539607552 bytes: a buffer of Java has 2147483647 at most"),
        ("few strings", "there are 2 strings; the shape needs 3"),
        ("bytes as strings", "strings are no bytes of a buffer: Tensor.of(String[], shape...)"),
        ("strings as bytes", "the elements are STRING, no bytes of a buffer: strings()"),
        ("strings for numbers", 'input "x" has another element type'),
        ("not direct", "the buffer is not direct: ByteBuffer.allocateDirect"),
        ("not aligned", 'the data of input "x" is not aligned to its elements of 4 bytes'),
        ("no picture", "the model takes [x: FLOAT32 [-1, 8]], not a picture, uint8 [height, width, 3]"),
        ("no floats", "the elements are FLOAT32, not INT64"),
    ]  # fmt: skip
    rest = [line for line, (_, _, text) in zip(found, said, strict=True) if not text.startswith(ours)]
    assert rest[0].startswith("no tensor: java.lang.NullPointerException")
    assert rest[1:] == [f"still there: {answer(bundle, x=VALUES)}", "nothing in: 0", *[f"closed: {closed}"] * 2]


def test_threads_take_turns_and_a_run_outlives_close(app: App, bundle: Path):
    *threads, last = app.run("threads")
    for index, line in enumerate(threads):
        values = VALUES.copy()
        values[0, 0] = index
        assert line == f"thread {index}: {answer(bundle, x=values)}"
    assert len(threads) == 4 and last == "closed under it: java.lang.IllegalStateException: the model is closed"


@pytest.mark.slow
def test_coroutines(app: App, bundle: Path, tmp_path: Path):
    need("kotlinc")
    classes, sources = app.folder / "classes", [*(app.folder / "sources").rglob("*.kt"), JAVA / "Coroutine.kt"]
    kotlinc = ["kotlinc", "-nowarn", "-jvm-target", "1.8", "-cp", classes, "-d", classes]
    subprocess.run([*kotlinc, *sources], check=True)
    assert app.run("", program="CoroutineKt") == [
        f"tensor: {answer(bundle, x=VALUES)}",
        f"floats: {answer(bundle, x=VALUES)}",
        "error: edgeort.m.EdgeortException: give the shape of x: FLOAT32 [-1, 8]",
        'error: edgeort.m.EdgeortException: input "x": dimension 1 must be 8, not 4',
        "error: java.lang.IllegalStateException: the model is closed",
    ]


def test_a_picture_becomes_red_green_blue(tmp_path: Path):
    need("java", "javac")
    bundle = build(tmp_path, picture_model())
    colours = np.array([0x010203, 0xFEFDFC, 0x000000, 0xFFFFFF, 0x102030, 0x405060])
    rgb = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], -1).astype(np.uint8)
    wide, narrow = (answer(bundle, picture=rgb.reshape(-1, width, 3)) for width in (3, 2))
    assert App(bundle, tmp_path).run("picture") == [f"picture: {wide}", f"picture: {narrow}"]


def test_strings_go_in_and_come_out(tmp_path: Path):
    need("java", "javac")
    found = App(build(tmp_path, string_model()), tmp_path).run("strings")
    texts = ["caf\u00e9", "", "\U0001f680 \u65e5\u672c", "nul\0inside", "a", "b"]
    kept, joined = (" ".join(f"<{text.encode().hex()}>" for text in row) for row in (texts, [f"{t}!" for t in texts]))
    assert found == [
        "[x: STRING [-1, 3]] [kept: STRING of unknown shape, joined: STRING of unknown shape]",
        f"STRING true {kept}",
        f"STRING true {joined}",
        "none: 0",
        "no numbers: edgeort.m.EdgeortException: the elements are STRING, not FLOAT32",
        'numbers for strings: edgeort.m.EdgeortException: input "x" has another element type',
    ]


def test_an_input_outlives_the_output_that_is_a_view_of_it(tmp_path: Path):
    """The copy of the output has room only once garbage is collected, and compiled code drops variables early."""
    need("java", "javac")
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [-1, 1])
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["x", "shape"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
        [shape],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    compiled = ("-Xcomp", "-XX:CompileCommand=quiet", "-XX:CompileCommand=compileonly,edgeort.m.EdgeortModel::*")
    flags = (*compiled, "-XX:MaxDirectMemorySize=10M")  # two and a half tensors
    assert App(build(tmp_path, model), tmp_path).run("view", flags=flags) == ["view: true"]
