"""LiteRT (TensorFlow Lite) with XNNPACK, on the file that edgeort writes for it."""

from __future__ import annotations

from benchmarks.engines.engine import Job, Runner, Unavailable
from edgeort import model as models
from edgeort.converters import tflite
from edgeort.errors import EdgeortError


def open(job: Job) -> Runner:
    """Fixed shapes, inputs and outputs laid out as in ONNX, inputs set beforehand."""
    shapes = {name: array.shape for name, array in job.feeds.items()}
    try:
        data = tflite.write(models.clean(models.load(job.model, shapes=shapes)))
        interpreter = tflite.interpreter(model_content=data, num_threads=job.threads)
    except EdgeortError as error:
        raise Unavailable(str(error).split("\n")[0]) from error
    interpreter.allocate_tensors()
    details = zip(interpreter.get_input_details(), job.feeds.values(), strict=True)
    for detail, array in details:
        interpreter.set_tensor(detail["index"], array.astype(detail["dtype"]))
    results = interpreter.get_output_details()
    return Runner(interpreter.invoke, lambda: [interpreter.get_tensor(detail["index"]) for detail in results])
