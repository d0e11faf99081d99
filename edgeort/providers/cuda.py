"""CUDA: ONNX Runtime's kernels for NVIDIA GPUs, on Linux and Windows PCs and on Jetson boards."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from edgeort.device_profiles import Profile
from edgeort.providers.onnxruntime import GPU, OLDEST, REDUCED_DB, OnnxRuntime

PROVIDER = "CUDAExecutionProvider"
SYSTEMS = (("linux", "x86_64"), ("linux", "aarch64"), ("windows", "x86_64"))
TF32 = f"{PROVIDER}.use_tf32"
OPTIONS = {
    TF32: "0",  # its products have ten bits of fraction
    f"{PROVIDER}.cudnn_conv_algo_search": "HEURISTIC",  # the default tries every algorithm at the first run
    f"{PROVIDER}.arena_extend_strategy": "kSameAsRequested",  # the default doubles; a Jetson's GPU shares its memory
}


class Cuda(OnnxRuntime):
    """See the module."""

    name = "cuda"
    execution_providers = (PROVIDER,)
    systems = SYSTEMS

    def requirements(self, profile: Profile) -> tuple[str, ...]:
        """onnxruntime-gpu with CUDA and cuDNN; for Jetson boards NVIDIA has packages of its own versions."""
        if profile.target.arch == "aarch64":
            return (f"onnxruntime-gpu>={OLDEST}",)
        return (f"onnxruntime-gpu[cuda,cudnn]=={GPU}",)

    def library(self, profile: Profile) -> str:
        """Named after the version on Linux."""
        return library(profile)

    def options(self, graph: ir.Model) -> dict[str, str]:
        """Exact, and modest in memory."""
        return dict(OPTIONS)

    def min_sqnr_db(self, graph: ir.Model, settings: Mapping[str, str]) -> float:
        """Less where the user allows TF32."""
        near = super().min_sqnr_db(graph, settings)
        return near if settings[TF32] == "0" else min(near, REDUCED_DB)


def library(profile: Profile) -> str:
    """The C library of onnxruntime-gpu. Jetson boards have one of another version."""
    if profile.target.os == "windows":
        return "onnxruntime.dll"
    return "libonnxruntime.so.1" if profile.target.arch == "aarch64" else f"libonnxruntime.so.{GPU}"
