"""What edgeort is compared with: one file an engine, each with `open(job) -> Runner`. ENGINES is the list.

INT8 are those that run int8 models, and edgeort with the float model for comparison.
"""

from __future__ import annotations

import importlib

from benchmarks.engines.engine import Engine, Job, Runner, Unavailable

ENGINES: tuple[Engine, ...] = (
    Engine("edgeort", "benchmarks.engines.ours", "edgeort", "pip install -e ."),
    Engine("ONNX Runtime", "benchmarks.engines.ort", "onnxruntime", "pip install onnxruntime"),
    Engine("OpenVINO", "benchmarks.engines.ov", "openvino", "pip install --no-deps openvino"),
    Engine("LiteRT", "benchmarks.engines.litert", "ai_edge_litert", "pip install --no-deps ai-edge-litert flatbuffers"),
    Engine("ncnn", "benchmarks.engines.tencent_ncnn", "ncnn", "pip install --no-deps ncnn pnnx"),
)
OURS, REFERENCE = ENGINES[0], ENGINES[1]
FLOAT = Engine("edgeort float32", OURS.module, OURS.package, OURS.install)
INT8 = (OURS, FLOAT, *ENGINES[1:4])


def engine(name: str) -> Engine:
    """The engine of that name."""
    return next(entry for entry in (*ENGINES, FLOAT) if entry.name == name)


def open_runner(entry: Engine, job: Job) -> Runner:
    """Loads the model in that engine, in this process. Unavailable says why it cannot."""
    try:
        return importlib.import_module(entry.module).open(job)
    except ImportError as error:
        raise Unavailable(f"{error.name or error} cannot be imported ({entry.install})") from error


__all__ = [
    "ENGINES",
    "FLOAT",
    "INT8",
    "OURS",
    "REFERENCE",
    "Engine",
    "Job",
    "Runner",
    "Unavailable",
    "engine",
    "open_runner",
]
