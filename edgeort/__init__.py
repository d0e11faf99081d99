"""edgeort: a small inference runtime, generated for one ONNX model and one device.

>>> import edgeort
>>> session = edgeort.InferenceSession("model.onnx")
>>> result = edgeort.build("model.onnx", "raspberrypi4", "build/model-raspberrypi4")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeort.pipeline import build
    from edgeort.session import InferenceSession

__version__ = "0.1.0"
__all__ = ["InferenceSession", "__version__", "build"]

_HOMES = {"InferenceSession": "edgeort.session", "build": "edgeort.pipeline"}


def __getattr__(name: str) -> Any:
    """Imports on first use: the command line must not pay for NumPy and onnx to print its help."""
    if name not in _HOMES:
        raise AttributeError(f"module 'edgeort' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
