"""ONNX Runtime: its best settings for one shape, inputs bound beforehand."""

from __future__ import annotations

import onnx
import onnxruntime as ort

from benchmarks.engines.engine import Feeds, Job, Runner


def open(job: Job) -> Runner:
    """All optimisations, sequential execution, inputs bound outside the time; dimensions fixed, but for a free job."""
    ort.set_default_logger_severity(3)
    options = ort.SessionOptions()
    options.intra_op_num_threads = job.threads
    options.inter_op_num_threads = 1
    for name, value in ({} if job.free else _dimensions(job)).items():
        options.add_free_dimension_override_by_name(name, value)
    session = ort.InferenceSession(str(job.model), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()

    def give(feeds: Feeds) -> None:
        for name, array in feeds.items():
            binding.bind_cpu_input(name, array)
        binding.clear_binding_outputs()  # which keep the shapes of their last run
        for value in session.get_outputs():
            binding.bind_output(value.name, "cpu")

    give(job.feeds)
    return Runner(lambda: session.run_with_iobinding(binding), binding.copy_outputs_to_cpu, give)


def _dimensions(job: Job) -> dict[str, int]:
    """The named dimensions of the inputs that have one value in the data: Paddle calls several different ones '?'."""
    found: dict[str, set[int]] = {}
    for value in onnx.load(job.model, load_external_data=False).graph.input:
        if value.name in job.feeds:
            for dim, size in zip(value.type.tensor_type.shape.dim, job.feeds[value.name].shape, strict=True):
                found.setdefault(dim.dim_param, set()).add(size)
    return {name: sizes.pop() for name, sizes in found.items() if name and len(sizes) == 1}
