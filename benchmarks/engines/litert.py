"""LiteRT (TensorFlow Lite) with XNNPACK. It reads .tflite files only, which somebody has to have converted."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]

from benchmarks.engines.engine import Job, Runner, Unavailable


def open(job: Job) -> Runner:
    """`job.tflite`; a rank-4 input that stands there channels-last is given so."""
    if job.tflite is None or not job.tflite.exists():
        raise Unavailable("not converted (python -m benchmarks.tflite DIR, then --tflite DIR)")
    interpreter = Interpreter(model_path=str(job.tflite), num_threads=job.threads)
    inputs = interpreter.get_input_details()
    for detail, array in zip(inputs, job.feeds.values(), strict=True):
        interpreter.resize_tensor_input(detail["index"], _fitted(array, detail["shape"]).shape)
    interpreter.allocate_tensors()
    for detail, array in zip(inputs, job.feeds.values(), strict=True):
        interpreter.set_tensor(detail["index"], _quantised(_fitted(array, detail["shape"]), detail))
    results = interpreter.get_output_details()
    return Runner(
        interpreter.invoke, lambda: [_real(interpreter.get_tensor(detail["index"]), detail) for detail in results]
    )


def _quantised(array: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    """`array` as the tensor wants it: an int8 model takes integers."""
    scale, zero_point = detail["quantization"]
    if scale and np.issubdtype(array.dtype, np.floating) and np.issubdtype(detail["dtype"], np.integer):
        limits = np.iinfo(detail["dtype"])
        array = np.clip(np.rint(array / scale) + zero_point, limits.min, limits.max)
    return array.astype(detail["dtype"])


def _real(array: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    """The numbers that an int8 model's integers stand for."""
    scale, zero_point = detail["quantization"]
    if scale and np.issubdtype(array.dtype, np.integer):
        return (array.astype(np.float32) - zero_point) * scale
    return array


def _fitted(array: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """`array`, channels last when only so its channels are where `shape` has them."""
    if array.ndim == 4 and array.shape[1] != shape[1] and array.shape[1] == shape[3]:
        return np.ascontiguousarray(array.transpose(0, 2, 3, 1))
    return array
