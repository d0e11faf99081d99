"""ONNX Runtime as the reference."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnx

from tests.models import mlp

CODE = """if True:
    import sys, numpy
    from edgeort.validate import reference_outputs
    print(reference_outputs(sys.argv[1], {"x": numpy.ones((2, 8), numpy.float32)})[0].shape)"""


def test_its_telemetry_leaves_no_trace(tmp_path: Path):
    """With telemetry, 1.32 writes a device id and a database under the user's cache folder when it is imported."""
    onnx.save(mlp(), tmp_path / "m.onnx")
    home = tmp_path / "home"
    home.mkdir()
    hidden = {"ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}
    env = {**{key: value for key, value in os.environ.items() if key not in hidden}, "HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", CODE, tmp_path / "m.onnx"], env=env, capture_output=True, text=True)
    assert done.stdout == "(2, 5)\n", done.stderr
    assert not list(home.rglob("*"))
