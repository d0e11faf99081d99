"""What the onnxruntime that is installed here can do, asked in a process of its own.

Some of its providers' libraries end the process that loads them where there is no GPU. What is asked goes through the
program that bundles carry (onnxruntime_run.py): a provider that is offered works when it gets a small model right.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgeort.errors import DeviceError

PROGRAM = Path(__file__).with_name("onnxruntime_run.py")
TIMEOUT_S = 180.0  # TensorRT compiles for seconds; a driver that hangs never ends
MODEL, SETTINGS = "model/model.onnx", "model/provider.conf"
_MIN_SQNR_DB = 40.0  # of the small model, whose every sum is of eight products
_OFFERS = """
import json, os
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime
print(json.dumps([onnxruntime.__version__, onnxruntime.get_available_providers()]))
"""


@dataclass(frozen=True)
class Offer:
    """The onnxruntime installed here, and the providers that it was compiled with; `reason`: why there is none."""

    version: str = ""
    providers: tuple[str, ...] = ()
    reason: str = ""


@functools.cache
def offers() -> Offer:
    """What is offered, whether or not a GPU is there to run it."""
    status, stdout, stderr = _call(["-c", _OFFERS])
    try:
        version, providers = json.loads(stdout.splitlines()[-1])
        return Offer(version, tuple(providers))
    except (ValueError, IndexError):
        return Offer(reason=f"onnxruntime cannot be imported: {_last_line(stderr) or f'exit status {status}'}")


@functools.cache
def obstacle(*providers: str) -> str | None:
    """Why this machine does not run models by those execution providers, in that order; None: it got one right."""
    offer = offers()
    if offer.reason:
        return offer.reason
    if lacking := [name for name in providers if name not in offer.providers]:
        return f"onnxruntime {offer.version} here has no {lacking[0]}"
    model, x, y = _small_model()
    with tempfile.TemporaryDirectory(prefix="edgeort-") as name:
        folder = _write(Path(name), model.SerializeToString(), {"provider": ", ".join(providers)})
        np.save(folder / "golden/input0.npy", x)
        np.save(folder / "golden/output0.npy", y)
        status, _, stderr = _call([str(PROGRAM), str(folder), "--json", "--runs", "1", "--warmup", "0"])
    return None if status == 0 else _reason(status, stderr)


def placement(model: bytes, settings: Mapping[str, str]) -> list[dict[str, str]]:
    """Of an ONNX model, opened here with those settings: name, op and provider of every node. DeviceError: why not."""
    with tempfile.TemporaryDirectory(prefix="edgeort-") as name:
        folder = _write(Path(name), model, settings)
        status, stdout, stderr = _call([str(PROGRAM), str(folder), "--nodes"])
    if status:
        raise DeviceError(_reason(status, stderr))
    found: list[dict[str, str]] = json.loads(stdout.splitlines()[-1])
    return found


def _write(folder: Path, model: bytes, settings: Mapping[str, str]) -> Path:
    """What of a bundle onnxruntime_run.py reads, but golden vectors."""
    (folder / "model").mkdir()
    (folder / "golden").mkdir()
    (folder / MODEL).write_bytes(model)
    (folder / SETTINGS).write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
    (folder / "manifest.json").write_text(json.dumps({"artefact": MODEL, "min_sqnr_db": _MIN_SQNR_DB}))
    return folder


@functools.cache
def environment() -> dict[str, str]:
    """What a process needs to find the libraries of the onnxruntime that is installed here."""
    _, stdout, _ = _call([str(PROGRAM), "--environment"])
    return dict(line.split("=", 1) for line in stdout.splitlines() if "=" in line)


def _call(arguments: list[str]) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of this Python."""
    # The program's folder is no place to import from: it has an onnxruntime.py of its own.
    variables = {**os.environ, "ORT_DISABLE_TELEMETRY": "1", "PYTHONSAFEPATH": "1"}
    command = [sys.executable, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT_S, env=variables)
    except subprocess.TimeoutExpired:
        return -1, "", f"it did not answer within {TIMEOUT_S:.0f} s"
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def _reason(status: int, stderr: str) -> str:
    return _last_line(stderr).removeprefix("run.py: ") or f"it ended with status {status}"


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")[:500]


def _small_model() -> tuple[onnx.ModelProto, np.ndarray, np.ndarray]:
    """y = Relu(x w + 1), x [4, 8], y [4, 16], all float32; the model, an x and its y."""
    random = np.random.default_rng(0)
    w, x = (random.standard_normal(shape).astype(np.float32) for shape in ((8, 16), (4, 8)))
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="product"),
        helper.make_node("Add", ["h", "one"], ["s"], name="sum"),
        helper.make_node("Relu", ["s"], ["y"], name="relu"),
    ]
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", [4, 8]), ("y", [4, 16]))]
    constants = [numpy_helper.from_array(w, "w"), numpy_helper.from_array(np.ones(16, np.float32), "one")]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model, x, np.maximum(x @ w + 1, 0)
