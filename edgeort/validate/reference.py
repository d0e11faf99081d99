"""ONNX Runtime, the independent reference. The only place that makes its sessions.

Its telemetry starts when it is imported: it writes a device's id into the user's cache folder and looks for a network.
`disable_telemetry_events` comes too late for that, so the variable that it reads first is set here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from edgeort.errors import CheckError, MissingExtraError

if TYPE_CHECKING:
    import onnxruntime

_NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"
_FATAL = 4  # severity of its log: what goes wrong comes back as an exception


def reference_session(model: str | os.PathLike[str] | bytes, *, optimised: bool = True) -> onnxruntime.InferenceSession:
    """A CPU session, with telemetry off. CheckError when ONNX Runtime refuses the model."""
    os.environ[_NO_TELEMETRY] = "1"
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise MissingExtraError(f"onnxruntime cannot be imported: {error}", hint="pip install onnxruntime") from error
    ort.disable_telemetry_events()
    ort.set_default_logger_severity(_FATAL)
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = model if isinstance(model, bytes) else os.fspath(model)
    try:
        return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base
        raise CheckError(
            f"ONNX Runtime refuses the model, so there is nothing to compare with: {_first(error)}"
        ) from error


def reference_outputs(
    model: str | os.PathLike[str] | bytes, feeds: Mapping[str, np.ndarray], *, optimised: bool = True
) -> list[np.ndarray]:
    """ONNX Runtime's outputs. CheckError when it cannot run the model on these inputs."""
    session = reference_session(model, optimised=optimised)
    try:
        return [np.asarray(output) for output in session.run(None, dict(feeds))]
    except Exception as error:
        shapes = ", ".join(f"{name}={'x'.join(map(str, array.shape))}" for name, array in feeds.items())
        raise CheckError(
            f"ONNX Runtime cannot run the model on inputs of shape {shapes}: {_first(error)}",
            hint="fix the free dimensions: --shape NAME=1x3x224x224",
        ) from error


def _first(error: BaseException) -> str:
    return str(error).strip().split("\n")[0][:500]
