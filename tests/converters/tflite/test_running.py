"""Which interpreter runs, and what is said where none can."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgeort.converters import tflite
from edgeort.errors import MissingExtraError


def only(monkeypatch: pytest.MonkeyPatch, *present: str) -> None:
    found = importlib.util.find_spec
    packages = ("ai_edge_litert", "tflite_runtime")

    def find_spec(name: str, package: str | None = None) -> Any:
        if name in packages:
            return SimpleNamespace() if name in present else None
        return found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)


def test_without_a_runtime_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    only(monkeypatch)
    with pytest.raises(MissingExtraError, match="ai-edge-litert is not installed") as error:
        tflite.interpreter(model_content=b"")
    assert error.value.hint == "pip install 'edgeort[litert]'"


def test_the_old_runtime_with_a_new_numpy_is_explained(monkeypatch: pytest.MonkeyPatch):
    only(monkeypatch, "tflite_runtime")
    monkeypatch.setattr(np, "__version__", "2.4.6")
    with pytest.raises(MissingExtraError, match=r"built for NumPy 1, and NumPy here is 2\.4\.6"):
        tflite.interpreter(model_content=b"")


def test_the_old_runtime_with_an_old_numpy_is_used(monkeypatch: pytest.MonkeyPatch):
    only(monkeypatch, "tflite_runtime")
    monkeypatch.setattr(np, "__version__", "1.26.4")
    module = ModuleType("tflite_runtime.interpreter")
    module.Interpreter = lambda **arguments: ("tflite_runtime", arguments)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tflite_runtime", ModuleType("tflite_runtime"))
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", module)
    assert tflite.interpreter(num_threads=2) == ("tflite_runtime", {"num_threads": 2})
