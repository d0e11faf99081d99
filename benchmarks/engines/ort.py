"""ONNX Runtime: its best settings for one shape, inputs bound beforehand."""

from __future__ import annotations

import onnx
import onnxruntime as ort

from benchmarks.engines.engine import Job, Runner


def open(job: Job) -> Runner:
    """All optimisations, sequential execution, free dimensions fixed, input copies outside the time."""
    ort.set_default_logger_severity(3)
    options = ort.SessionOptions()
    options.intra_op_num_threads = job.threads
    options.inter_op_num_threads = 1
    for name, value in _dimensions(job).items():
        options.add_free_dimension_override_by_name(name, value)
    session = ort.InferenceSession(str(job.model), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, array in job.feeds.items():
        binding.bind_cpu_input(name, array)
    for value in session.get_outputs():
        binding.bind_output(value.name, "cpu")
    return Runner(lambda: session.run_with_iobinding(binding), binding.copy_outputs_to_cpu)


def _dimensions(job: Job) -> dict[str, int]:
    """The named dimensions of the inputs that have one value in the data: Paddle calls several different ones '?'."""
    found: dict[str, set[int]] = {}
    for value in onnx.load(job.model, load_external_data=False).graph.input:
        if value.name in job.feeds:
            for dim, size in zip(value.type.tensor_type.shape.dim, job.feeds[value.name].shape, strict=True):
                found.setdefault(dim.dim_param, set()).add(size)
    return {name: sizes.pop() for name, sizes in found.items() if name and len(sizes) == 1}
