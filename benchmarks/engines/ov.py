"""OpenVINO on the CPU, computing in float32."""

from __future__ import annotations

import numpy as np
import openvino as ov

from benchmarks.engines.engine import Feeds, Job, Runner


def open(job: Job) -> Runner:
    """Fixed shapes, but for a free job, the latency hint, one stream, inputs set beforehand."""
    core = ov.Core()
    model = core.read_model(str(job.model))
    if not job.free:
        model.reshape({name: list(array.shape) for name, array in job.feeds.items()})
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": job.threads,
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()

    def give(feeds: Feeds) -> None:
        for name, array in feeds.items():
            request.set_tensor(name, ov.Tensor(np.ascontiguousarray(array), shared_memory=True))

    give(job.feeds)

    def outputs() -> list[np.ndarray]:
        return [np.array(request.get_output_tensor(i).data) for i in range(len(request.output_tensors))]

    return Runner(request.infer, outputs, give)
