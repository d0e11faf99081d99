"""ncnn, converted from ONNX by pnnx; float32 storage and arithmetic."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import ncnn  # type: ignore[import-untyped]
import numpy as np

from benchmarks.engines.engine import Job, Runner, Unavailable

_CODES = {"float32": "f32", "int64": "i64", "int32": "i32", "uint8": "u8"}
_TIMEOUT_S = 300


def open(job: Job) -> Runner:
    """A new extractor each run, as ncnn wants it."""
    param, weights = _convert(job)
    net = ncnn.Net()
    net.opt.num_threads = job.threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_bf16_storage = False
    if net.load_param(str(param)) or net.load_model(str(weights)):
        raise Unavailable("ncnn cannot load what pnnx wrote")
    names = net.output_names()
    # ncnn has no batch dimension and no 64-bit integers.
    arrays = [np.ascontiguousarray(a[0].astype(np.int32) if a.dtype.kind == "i" else a[0]) for a in job.feeds.values()]
    mats = [ncnn.Mat(array).clone() for array in arrays]
    last: list[ncnn.Mat] = []

    def run() -> None:
        with net.create_extractor() as extractor:
            for index, mat in enumerate(mats):
                extractor.input(f"in{index}", mat)
            last[:] = [_checked(*extractor.extract(name)) for name in names]

    return Runner(run, lambda: [np.array(mat) for mat in last])


def _checked(status: int, mat: ncnn.Mat) -> ncnn.Mat:
    if status:
        raise Unavailable(f"ncnn fails with status {status}")
    return mat


def _convert(job: Job) -> tuple[Path, Path]:
    spec = importlib.util.find_spec("pnnx")
    if spec is None or spec.origin is None:
        raise Unavailable("pnnx is not installed (pip install --no-deps pnnx)")
    model = job.folder / "model.onnx"  # pnnx writes beside its input
    shutil.copy(job.model, model)
    shapes = ",".join(f"{list(a.shape)}{_CODES[str(a.dtype)]}".replace(" ", "") for a in job.feeds.values())
    command = [str(Path(spec.origin).parent / "pnnx"), model.name, f"inputshape={shapes}", "fp16=0"]
    done = subprocess.run(
        command, cwd=job.folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_TIMEOUT_S
    )
    param, weights = job.folder / "model.ncnn.param", job.folder / "model.ncnn.bin"
    if done.returncode or not param.exists() or not weights.exists():
        raise Unavailable(f"pnnx fails with status {done.returncode}")
    return param, weights
