"""LiteRT's interpreter, whichever package has it here."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

from edgeort.errors import MissingExtraError

_HINT = "pip install 'edgeort[litert]'"


def interpreter(**arguments: Any) -> Any:
    """An Interpreter of ai_edge_litert, or of tflite_runtime; `arguments` are its own (model_path, model_content, ...).

    MissingExtraError where neither can run: the last tflite_runtime, 2.14, is built for NumPy 1, and fails with NumPy 2
    when an Interpreter is made.
    """
    if importlib.util.find_spec("ai_edge_litert") is not None:
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter(**arguments)
    if importlib.util.find_spec("tflite_runtime") is None:
        raise MissingExtraError(
            "a .tflite model runs in LiteRT, whose package ai-edge-litert is not installed", hint=_HINT
        )
    if int(np.__version__.split(".")[0]) >= 2:
        raise MissingExtraError(
            f"tflite-runtime is installed, but it is built for NumPy 1, and NumPy here is {np.__version__}",
            hint=_HINT,
        )
    from tflite_runtime.interpreter import Interpreter as Older

    return Older(**arguments)
