"""What the providers share that run models by execution providers of ONNX Runtime: CUDA, TensorRT, DirectML.

A bundle has the cleaned model as ONNX, the adapter with the C API of edgeort.h, and run.py, which does the same from
Python. The runtime itself has hundreds of megabytes: requirements.txt names it, pinned. None of it is needed to make a
bundle.

A node that the execution provider does not take would run on the CPU, slowly and without a word: such a session is
refused (session.disable_cpu_ep_fallback). Which nodes those are is known only where it runs; there run.py lists them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import onnx
import onnx_ir as ir

from edgeort.compiling import signature
from edgeort.device_profiles import Profile
from edgeort.errors import DeviceError, UnsupportedError
from edgeort.providers import adapted, probing
from edgeort.providers.onnxruntime_readme import readme
from edgeort.providers.provider import Made, Provider, Refusal, Request

# What bundles are made for, and what the extras of pyproject.toml install.
GPU = "1.31.1"  # onnxruntime-gpu: CUDA 13, cuDNN 9
DIRECTML = "1.24.4"  # onnxruntime-directml
TENSORRT = "10.16.1.11"  # tensorrt-cu13: the libnvinfer.so.10 that onnxruntime-gpu is linked to
OLDEST = "1.18"  # kApiVersion of runtime/adapters/onnxruntime_api.h

NO_FALLBACK = "session.disable_cpu_ep_fallback"
# TF32 and float16 have ten bits of fraction: noise of 2^-11/sqrt(3) a factor, 68 dB below a product; a hundred layers
# in a row add up to 20 dB more. Reckoned with 8 dB to spare, not measured.
REDUCED_DB = 40.0
_DOMAINS = ("com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc")  # of ONNX Runtime itself
_MAX_BYTES = (1 << 31) - 1  # of a protobuf message
# The newest that OLDEST reads. Later ones added element types: a model that has them does not run there anyway.
_IR_VERSION = 10


class OnnxRuntime(Provider):
    """A provider over `execution_providers`, first preferred, by ONNX Runtime's names; `systems` has packages of it."""

    name: str
    execution_providers: tuple[str, ...]
    systems: tuple[tuple[str, str], ...]

    @abstractmethod
    def requirements(self, profile: Profile) -> tuple[str, ...]:
        """The pip packages of the device."""

    @abstractmethod
    def library(self, profile: Profile) -> str:
        """File name of the C library in the package."""

    @abstractmethod
    def options(self, graph: ir.Model) -> dict[str, str]:
        """Settings that this provider chooses for the model, by the keys of provider.conf."""

    def min_sqnr_db(self, graph: ir.Model, settings: Mapping[str, str]) -> float:
        """How near outputs come to those of ONNX Runtime's CPU kernels."""
        return adapted.QUANTISED_DB if adapted.is_quantised(graph) else adapted.FLOAT_DB

    def precision(self, settings: Mapping[str, str]) -> str:
        """That of nodes that are not quantised."""
        return "float32"

    def missing(self) -> str | None:
        """Nothing: the runtime is a matter of the device."""
        return None

    def describe(self) -> str:
        """Whether this machine also runs such bundles."""
        reason = self.not_here()
        needs = f"(edgeort[{self.name}] in an environment of its own has the packages)"
        return (
            "makes bundles, and runs them" if reason is None else f"makes bundles; does not run them: {reason} {needs}"
        )

    def not_here(self) -> str | None:
        """Why bundles of this provider cannot run on this machine; None: they can."""
        return probing.obstacle(*self.execution_providers)

    def environment(self) -> dict[str, str]:
        """Where pip installed the runtime here."""
        return probing.environment()

    def cannot_serve(self, request: Request) -> str | None:
        """It has packages for some systems only."""
        return adapted.unmet(request, self.systems)

    def refusals(self, graph: ir.Model, request: Request) -> list[Refusal]:
        """The nodes that ONNX Runtime gives to its CPU, where the provider runs here; elsewhere they are not known."""
        if unknown := _unknown(graph):
            return unknown
        if reason := self.not_here():
            return [Refusal("", "", f"which nodes it takes is not known before it runs on the device ({reason})")]
        settings = {**self.settings(graph, request), NO_FALLBACK: "0"}
        try:
            nodes = probing.placement(_serialised(graph), settings)
        except DeviceError as error:
            return [Refusal("", "", str(error))]
        left = [node for node in nodes if node["provider"] not in self.execution_providers]
        return [Refusal(node["name"], node["op"], f"ONNX Runtime gives it to {node['provider']}") for node in left]

    def settings(self, graph: ir.Model, request: Request) -> dict[str, str]:
        """The content of provider.conf. Options of the request without a dot are for the first execution provider."""
        first = self.execution_providers[0] if self.execution_providers else ""
        asked = {key if "." in key else f"{first}.{key}": value for key, value in request.options.items()}
        providers = {"provider": ", ".join(self.execution_providers), NO_FALLBACK: "1"} if first else {}
        return {"library": self.library(request.profile), **providers, **self.options(graph), **asked}

    def make(self, graph: ir.Model, request: Request) -> Made:
        """Model, settings, adapter, run.py, README.md.

        UnsupportedError for an operator that ONNX Runtime lacks, and where the model is too large for one file.
        """
        profile = request.profile
        for refusal in _unknown(graph):
            raise UnsupportedError(
                f"node {refusal.node} ({refusal.op}): {refusal.reason}", hint="edgeort providers MODEL"
            )
        with request.stages.stage("convert"):
            model, settings = _serialised(graph), self.settings(graph, request)
        with request.stages.stage("compile"):
            files, library, harness = adapted.adapter_files(profile, "onnxruntime", settings)
        near, requirements = self.min_sqnr_db(graph, settings), self.requirements(profile)
        is_run = adapted.is_here(profile) and self.not_here() is None
        text = readme(self.name, self.execution_providers, profile, probing.MODEL, harness, near, requirements, is_run)
        note = f"which nodes {self.name} takes is known only where it runs: there `python run.py` lists them"
        return Made(
            self.name,
            adapted.triple_of(profile),
            {**files, probing.MODEL: model, "run.py": probing.PROGRAM, "README.md": text.encode()},
            probing.MODEL,
            library,
            harness,
            *signature(graph),
            adapted.nodes_of(graph, self.name, self.precision(settings)),
            min_sqnr_db=near,
            requirements=requirements,
            refused=() if is_run else (note,),
        )


def _unknown(graph: ir.Model) -> list[Refusal]:
    """Nodes of operators that neither ONNX nor ONNX Runtime nor the model itself declares."""
    reason = "ONNX Runtime has no such operator"
    own = {(function.domain, function.name) for function in graph.functions.values()}
    return [
        adapted.refusal(node, reason)
        for node in graph.graph.all_nodes()
        if node.domain not in _DOMAINS
        and (node.domain, node.op_type) not in own
        and not onnx.defs.has(node.op_type, node.domain)
    ]


def _serialised(graph: ir.Model) -> bytes:
    """The model as ONNX, the same bytes every time."""
    model = adapted.inlined(graph)
    model.ir_version = min(model.ir_version, _IR_VERSION)
    if model.ByteSize() > _MAX_BYTES:
        raise UnsupportedError(
            f"the model has {model.ByteSize()} bytes; one ONNX file holds {_MAX_BYTES}", hint="--provider cpu"
        )
    return model.SerializeToString(deterministic=True)
