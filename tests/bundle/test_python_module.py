"""The one file that runs a bundle's model on a device: alone in a process, the answers of a session, bit for bit."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import edgeort
from edgeort.bundle import python_module
from edgeort.bundle.manifest import Target
from edgeort.embedded import Model
from edgeort.errors import BundleError, InputError
from tests.bundle.test_bundle import MANIFEST
from tests.models import HOST, mlp

# Neither edgeort nor what it needs can be imported; the sources have to be those of the one file.
ALONE = """
import sys
for name in ("edgeort", "onnx", "onnxruntime", "onnx_ir", "onnxscript", "typer", "rich"):
    sys.modules[name] = None
sys.path.insert(0, sys.argv[1])
import json
import numpy as np
from edgeort_model import InputError, Model
with Model(threads=1) as model:
    x = np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8)
    outputs = model.run({"x": x})
    try:
        model.run({"z": x})
    except InputError as error:
        said = str(error)
print(json.dumps({"y": outputs["y"].tobytes().hex(), "said": said, "shape": model.inputs[0].shape}))
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("python")
    onnx.save(mlp(), folder / "m.onnx")
    edgeort.build(folder / "m.onnx", HOST, folder / "b")
    return folder / "b"


def test_alone_it_gives_the_session_s_answer(bundle: Path, tmp_path: Path):
    command = [sys.executable, "-I", "-c", ALONE, str(bundle / "python")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    x = np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8)
    (y,) = edgeort.InferenceSession(bundle).run(["y"], {"x": x})
    assert bytes.fromhex(found["y"]) == y.tobytes()
    assert found["said"] == "the inputs are x, not z"
    assert found["shape"] == [None, 8]


def test_the_same_class_in_the_package(bundle: Path):
    model = Model(bundle)
    assert [info.name for info in model.outputs] == ["y"]
    with pytest.raises(InputError, match="must be float32"):
        model.run({"x": np.zeros((1, 8))})
    with pytest.raises(BundleError, match="this is not a bundle"):
        Model(bundle / "lib")


def test_nothing_is_defined_twice():
    import ast

    tree = ast.parse(python_module.module())
    names = [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("system", "has_it"), [("linux", True), ("windows", True), ("android", False), ("ios", False)])
def test_where_python_is_usual(system: str, has_it: bool):
    manifest = replace(MANIFEST, target=Target(system, "aarch64", "t", ("neon",)))
    assert (python_module.PLACE in python_module.files(manifest)) == has_it
