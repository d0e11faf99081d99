"""Into ONNX: models of PyTorch, TensorFlow, Keras and LiteRT, each checked against the framework that it comes from.

convert("model.tflite", "model.onnx")
from_pytorch(module, {"image": image}, "model.onnx", shapes={"image": ("n", 3, 224, 224)})
"""

from __future__ import annotations

from edgeort.converters.converting import Result, convert, from_pytorch

__all__ = ["Result", "convert", "from_pytorch"]
