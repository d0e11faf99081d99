"""ONNX Runtime as the reference."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgeort.quantize import Options, Steps, quantize
from edgeort.validate import reference_outputs
from tests.models import mlp
from tests.quantize.models import mobile, samples, save

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


@pytest.mark.parametrize("as_bytes", [False, True], ids=["file", "bytes"])
def test_scales_for_channels_are_not_fused(tmp_path: Path, as_bytes: bool):
    """What `edgeort quantize --for edgeort` writes: ONNX Runtime fuses it, and then cannot run it."""
    proto = mobile()
    wide = [tensor for tensor in proto.graph.initializer if list(tensor.dims[1:]) == [16, 1, 1]][0]
    far_apart = numpy_helper.to_array(wide) * np.geomspace(0.02, 1, wide.dims[0], dtype=np.float32).reshape(-1, 1, 1, 1)
    wide.CopyFrom(numpy_helper.from_array(far_apart, wide.name))
    model, made, (sample, *_) = save(tmp_path / "m.onnx", proto), tmp_path / "q.onnx", samples(8)
    steps = Steps(gptq=False, bias_correction=False, compensation=False, equalisation=False)
    quantize(model, made, samples(8), Options(steps=steps, runtime="edgeort"))
    assert any(axis.name == "axis" for node in onnx.load(made).graph.node if node.op_type == "QuantizeLinear"
               for axis in node.attribute)  # fmt: skip
    (wanted,), (found,) = (reference_outputs(one, sample) for one in (model, made.read_bytes() if as_bytes else made))
    np.testing.assert_allclose(found, wanted, atol=0.2 * np.abs(wanted).max())
