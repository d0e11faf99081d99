"""ONNX Runtime, the independent reference. The only place that makes its sessions.

Its telemetry starts when it is imported: it writes a device's id into the user's cache folder and looks for a network.
`disable_telemetry_events` comes too late for that, so the variable that it reads first is set here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from edgeort.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    import onnxruntime

_NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"
_FATAL = 4  # severity of its log: what goes wrong comes back as an exception


def open_session(
    model: str | os.PathLike[str] | bytes, *, optimised: bool = True, threads: int | None = None, fuse_qdq: bool = True
) -> onnxruntime.InferenceSession:
    """A CPU session, with telemetry off, on `threads` threads (None: all cores). ModelError when it is refused.

    Without `fuse_qdq` layers between DequantizeLinear and QuantizeLinear are computed in float: those with a scale for
    each channel of an activation fail at run time otherwise.
    """
    os.environ[_NO_TELEMETRY] = "1"
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise MissingExtraError(f"onnxruntime cannot be imported: {error}", hint="pip install onnxruntime") from error
    ort.disable_telemetry_events()
    ort.set_default_logger_severity(_FATAL)
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL
    if threads is not None:
        options.intra_op_num_threads = threads
    if not fuse_qdq:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = model if isinstance(model, bytes) else os.fspath(model)
    try:
        return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base
        raise ModelError(f"ONNX Runtime refuses the model: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """The first line of an error of ONNX Runtime's, at most 500 characters."""
    return str(error).strip().split("\n")[0][:500]
