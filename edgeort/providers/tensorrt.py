"""TensorRT compiles the model for the very GPU at the first open, by ONNX Runtime; what it does not take runs by CUDA.

The compiled engines are kept in the user's cache folder on the device, in one named after the model's bytes, the GPU,
its driver and the version of ONNX Runtime: they fit nothing else; whoever changes one of these is told to delete them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import onnx_ir as ir

from edgeort.compiling import signature
from edgeort.device_profiles import Profile
from edgeort.providers import adapted, cuda
from edgeort.providers.onnxruntime import REDUCED_DB, TENSORRT, OnnxRuntime
from edgeort.providers.provider import Refusal, Request

PROVIDER = "TensorrtExecutionProvider"
FP16, INT8 = f"{PROVIDER}.trt_fp16_enable", f"{PROVIDER}.trt_int8_enable"
_BOARD_HAS_IT = "aarch64"  # JetPack brings TensorRT


class TensorRt(OnnxRuntime):
    """See the module."""

    name = "tensorrt"
    execution_providers = (PROVIDER, cuda.PROVIDER)
    systems = cuda.SYSTEMS

    def requirements(self, profile: Profile) -> tuple[str, ...]:
        """Those of CUDA, and TensorRT."""
        own = () if profile.target.arch == _BOARD_HAS_IT else (f"tensorrt-cu13=={TENSORRT}",)
        return (*cuda.Cuda().requirements(profile), *own)

    def library(self, profile: Profile) -> str:
        """That of CUDA."""
        return cuda.library(profile)

    def options(self, graph: ir.Model) -> dict[str, str]:
        """float16 where the model has float16 weights, int8 where it is quantised; engines are kept."""
        folder = f"{{cache}}/tensorrt/{_digest(graph)}-{{gpu}}-onnxruntime-{{version}}"
        return {
            FP16: str(int(_has_halves(graph))),
            INT8: str(int(adapted.is_quantised(graph))),
            f"{PROVIDER}.trt_engine_cache_enable": "1",
            f"{PROVIDER}.trt_engine_cache_path": folder,
            f"{PROVIDER}.trt_timing_cache_enable": "1",
            f"{PROVIDER}.trt_timing_cache_path": folder,
            **_profile(graph),
            **cuda.OPTIONS,
        }

    def precision(self, settings: Mapping[str, str]) -> str:
        """float16 where that is allowed; TensorRT decides layer by layer."""
        return "float16" if settings[FP16] == "1" else "float32"

    def min_sqnr_db(self, graph: ir.Model, settings: Mapping[str, str]) -> float:
        """TensorRT multiplies in TF32 where the GPU has it, whatever is asked for."""
        return min(super().min_sqnr_db(graph, settings), REDUCED_DB)

    def refusals(self, graph: ir.Model, request: Request) -> list[Refusal]:
        """Quantisation that TensorRT has no layer for, wherever it runs, and what it is not seen to take here."""
        return [*_foreign_quantisation(graph), *super().refusals(graph, request)]


def _profile(graph: ir.Model) -> dict[str, str]:
    """The shapes that an engine is made for, fastest at the largest, where all free dimensions are bounded.

    Elsewhere TensorRT makes an engine anew when an input has a shape beyond those that it saw.
    """
    free = [value for value in signature(graph)[0] if any(not isinstance(dim, int) for dim in value.shape or (None,))]
    bounded = all(len(v.bounds) == sum(not isinstance(dim, int) for dim in v.shape or (None,)) for v in free)
    if not free or not bounded:
        return {}

    def told(which: int) -> str:
        shapes = ({**dict(enumerate(v.shape or ())), **{b[0]: b[which] for b in v.bounds}} for v in free)
        return ",".join(f"{v.name}:{'x'.join(map(str, s.values()))}" for v, s in zip(free, shapes, strict=True))

    return {
        f"{PROVIDER}.trt_profile_{kind}_shapes": told(which) for kind, which in (("min", 1), ("opt", 2), ("max", 2))
    }


def _foreign_quantisation(graph: ir.Model) -> list[Refusal]:
    """Activations with zero points other than 0, and unsigned ones: its quantisation is symmetric and signed.

    Source: NVIDIA, TensorRT operators' reference, IQuantizeLayer.
    """
    found = []
    for node in graph.graph.all_nodes():
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or len(node.inputs) < 3 or node.inputs[2] is None:
            continue
        zero = node.inputs[2].const_value
        if zero is None or zero.dtype in (ir.DataType.UINT8, ir.DataType.UINT16) or zero.numpy().any():
            reason = f"TensorRT quantises with signed integers and zero points of 0 only; {cuda.PROVIDER} takes it"
            found.append(adapted.refusal(node, reason))
    return found


def _has_halves(graph: ir.Model) -> bool:
    return any(value.dtype == ir.DataType.FLOAT16 for value in graph.graph.initializers.values())


def _digest(graph: ir.Model) -> str:
    """16 hex digits of the model's bytes."""
    return hashlib.sha256(adapted.inlined(graph).SerializeToString(deterministic=True)).hexdigest()[:16]
