"""LiteRT (TensorFlow Lite) with XNNPACK. It reads .tflite files only, which somebody has to have converted."""

from __future__ import annotations

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
        interpreter.set_tensor(detail["index"], _fitted(array, detail["shape"]).astype(detail["dtype"]))
    results = interpreter.get_output_details()
    return Runner(interpreter.invoke, lambda: [interpreter.get_tensor(detail["index"]) for detail in results])


def _fitted(array: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """`array`, channels last when only so its channels are where `shape` has them."""
    if array.ndim == 4 and array.shape[1] != shape[1] and array.shape[1] == shape[3]:
        return np.ascontiguousarray(array.transpose(0, 2, 3, 1))
    return array
