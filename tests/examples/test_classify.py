"""The camera classifier in C on this machine, with plans that are not as it would have them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgeort
from edgeort import lowering, zig
from edgeort.passes import PassContext, run_passes
from tests.models import HOST

HERE = Path(__file__).parents[2] / "examples" / "raspberrypi"


def last_line(height: int, channels: int = 3) -> onnx.ModelProto:
    """x float32 [1, channels, height, 16] -> its last line, blue: [1, 1, 1, 16]."""
    ends = {"begin": [channels - 1, height - 1], "end": [channels, height], "axes": [1, 2]}
    graph = helper.make_graph(
        [helper.make_node("Slice", ["x", *ends], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, height, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 1, 16])],
        [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in ends.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, a bundle of last_line(16), and a picture."""
    found = tmp_path_factory.mktemp("classify")
    onnx.save(last_line(16), found / "m.onnx")
    bundle = edgeort.build(found / "m.onnx", HOST, found / "bundle").bundle
    (found / "picture.ppm").write_bytes(b"P6 20 20 255\n" + bytes(1200))
    flags = ("-I", bundle / "include", "-L", bundle / "lib", "-ledgeort", "-lm", f"-Wl,-rpath,{bundle / 'lib'}")
    command = [zig.program(), "cc", HERE / "classify.c", HERE / "frames.c", *flags, "-o", found / "classify"]
    subprocess.run(command, check=True)
    return found


def classify(folder: Path, plan: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([folder / "classify", plan, folder / "picture.ppm"], capture_output=True, text=True)


def test_it_runs(folder: Path):
    done = classify(folder, folder / "bundle/model.plan")
    assert done.stdout.startswith("0 0.0625  1 0.0625  2 0.0625  "), done.stderr


def plan(proto: onnx.ModelProto, place: Path) -> Path:
    graph = ir.from_proto(proto)
    run_passes(graph, PassContext())
    (place / "m.plan").write_bytes(lowering.lower(graph).to_bytes())
    return place / "m.plan"


def test_a_grey_picture_is_refused_for_its_channels(folder: Path, tmp_path: Path):
    done = classify(folder, plan(last_line(16, channels=1), tmp_path))
    assert done.returncode == 1 and "the model's input has no three channels" in done.stderr


@pytest.mark.parametrize("height", [2**32 + 16, 30000])
def test_a_size_that_an_int_does_not_hold_is_refused(folder: Path, height: int, tmp_path: Path):
    done = classify(folder, plan(last_line(height), tmp_path))
    assert (done.returncode, done.stderr) == (1, "the model's input is too large\n")
