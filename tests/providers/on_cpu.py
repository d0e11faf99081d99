"""ONNX Runtime's CPU kernels behind the adapter: what CUDA, TensorRT and DirectML bundles are, where no GPU is."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import onnx
import onnx_ir as ir

from edgeort import toolchain
from edgeort.device_profiles import Profile
from edgeort.device_profiles import load as load_profile
from edgeort.engine import Engine
from edgeort.pipeline.walk import Walk
from edgeort.providers import Request
from edgeort.providers.onnxruntime import OnnxRuntime

CAPI = Path(str(importlib.util.find_spec("onnxruntime").origin)).parent / "capi"  # type: ignore[union-attr]


class OnCpu(OnnxRuntime):
    """No execution provider is named: the CPU's kernels run the model."""

    name = "onnxruntime"
    execution_providers = ()
    systems = (("linux", "x86_64"), ("linux", "aarch64"))

    def requirements(self, profile: Profile) -> tuple[str, ...]:
        return ("onnxruntime",)

    def library(self, profile: Profile) -> str:
        return next(path.name for path in CAPI.glob("libonnxruntime.so.*"))

    def options(self, graph: ir.Model) -> dict[str, str]:
        return {}


def request(profile: str, options: Mapping[str, str] | None = None) -> Request:
    loaded = load_profile(profile)
    return Request(loaded, "nchw", loaded.runtime.threads, None, Walk(None, None), (), dict(options or {}))


def write(folder: Path, model: onnx.ModelProto | bytes, conf: str = "") -> Path:
    """The model with provider.conf beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    library = OnCpu().library(load_profile("host"))
    (folder / "provider.conf").write_text(f"library = {library}\n{conf}")
    return folder / "model.onnx"


def adapter() -> tuple[Path, Path]:
    """Library and harness for this machine."""
    host = load_profile("host").target
    return toolchain.adapter_and_harness(toolchain.target(host.os, host.arch), "onnxruntime")


def open_engine(path: Path, threads: int = 2, library: Path | None = None) -> Engine:
    return Engine(library or adapter()[0], path, threads=threads)


def run_py(bundle: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    command = [sys.executable, str(bundle / "run.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)
