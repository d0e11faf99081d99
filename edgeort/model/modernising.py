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


def modernised(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model in the first opset that is known, where it has an older one that can be converted; else as it is."""
    versions = {entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")}
    if len(versions) != 1 or not 1 <= min(versions) < OPSETS[0]:
        return proto
    command = [sys.executable, "-c", _CONVERT, str(OPSETS[0])]
    try:
        done = subprocess.run(command, input=proto.SerializeToString(), capture_output=True, timeout=TIMEOUT_S)
        converted = onnx.ModelProto.FromString(done.stdout) if done.returncode == 0 else None
    except Exception as error:  # protobuf raises what has no common base, such as for more than 2 GB
        log.info("opset %d could not be converted: %s", min(versions), str(error).split("\n")[0])
        return proto
    if converted is None:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit status {done.returncode}"]
        log.info("opset %d could not be converted: %s", min(versions), said[-1])
        return proto
    log.info("converted from opset %d to %d", min(versions), OPSETS[0])
    return converted
