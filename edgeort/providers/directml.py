"""DirectML: every GPU of a Windows PC that has DirectX 12, by ONNX Runtime and DirectML.dll beside it."""

from __future__ import annotations

import onnx_ir as ir

from edgeort.device_profiles import Profile
from edgeort.providers.onnxruntime import DIRECTML, OnnxRuntime

PROVIDER = "DmlExecutionProvider"


class DirectMl(OnnxRuntime):
    """See the module."""

    name = "directml"
    execution_providers = (PROVIDER,)
    systems = (("windows", "x86_64"),)

    def requirements(self, profile: Profile) -> tuple[str, ...]:
        """The package with both DLLs."""
        return (f"onnxruntime-directml=={DIRECTML}",)

    def library(self, profile: Profile) -> str:
        """The one in the package; Windows has an older one of its own by the same name."""
        return "onnxruntime.dll"

    def options(self, graph: ir.Model) -> dict[str, str]:
        """The fast GPU of a laptop that has two."""
        return {f"{PROVIDER}.performance_preference": "high_performance", f"{PROVIDER}.device_filter": "gpu"}
