"""Models of opsets before the first that passes and kernels know, as the ONNX project's converter writes them anew.

It runs in a process of its own, which it ends where a graph is not what it expects (onnx 1.23).
"""

from __future__ import annotations

import logging
import subprocess
import sys

import onnx

from edgeort.model.sanity import OPSETS

log = logging.getLogger(__name__)

TIMEOUT_S = 600.0
_CONVERT = """
import sys
import onnx, onnx.version_converter
model = onnx.ModelProto.FromString(sys.stdin.buffer.read())
converted = onnx.version_converter.convert_version(model, int(sys.argv[1]))
onnx.checker.check_model(converted)
sys.stdout.buffer.write(converted.SerializeToString())
"""


class Unconverted(Exception):
    """Why a model was not converted."""


def modernised(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model in the first opset that is known, where it has an older one that can be converted; else as it is."""
    versions = {entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")}
    if len(versions) != 1 or not 1 <= min(versions) < OPSETS[0]:
        return proto
    try:
        converted = onnx.ModelProto.FromString(convert(proto.SerializeToString(), OPSETS[0]))
    except Exception as error:  # protobuf raises what has no common base, such as for more than 2 GB
        log.info("opset %d could not be converted: %s", min(versions), str(error).split("\n")[0])
        return proto
    log.info("converted from opset %d to %d", min(versions), OPSETS[0])
    return converted


def convert(model: bytes, opset: int) -> bytes:
    """A serialised model in another opset, checked. Unconverted where it cannot be, even where that ends a process."""
    command = [sys.executable, "-c", _CONVERT, str(opset)]
    done = subprocess.run(command, input=model, capture_output=True, timeout=TIMEOUT_S)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit status {done.returncode}"]
        raise Unconverted(said[-1])
    return done.stdout
