"""Who runs a model: one module a provider, PROVIDERS is the list. The runtime that edgeort compiles itself is `cpu`."""

from __future__ import annotations

from edgeort.errors import InputError
from edgeort.providers import probing
from edgeort.providers.coreml import CoreMl
from edgeort.providers.cpu import Cpu
from edgeort.providers.cuda import Cuda
from edgeort.providers.directml import DirectMl
from edgeort.providers.litert import LiteRt
from edgeort.providers.onnxruntime import OnnxRuntime
from edgeort.providers.openvino import OpenVino
from edgeort.providers.provider import Made, Node, Provider, Refusal, Request
from edgeort.providers.tensorrt import TensorRt

PROVIDERS: tuple[Provider, ...] = (Cpu(), OpenVino(), LiteRt(), CoreMl(), DirectMl(), Cuda(), TensorRt())


def provider(name: str) -> Provider:
    """The provider of that name; InputError when there is none."""
    for candidate in PROVIDERS:
        if candidate.name == name:
            return candidate
    raise InputError(
        f"unknown provider {name!r}; known are {', '.join(p.name for p in PROVIDERS)}", hint="--provider auto"
    )


def not_here(name: str) -> str | None:
    """Why bundles of that provider for this very system still cannot run on this machine; None: nothing is known."""
    found = provider(name)
    return found.not_here() if isinstance(found, OnnxRuntime) else None


def environment(name: str) -> dict[str, str]:
    """Variables by which bundles of that provider find their engine, where pip installed it here."""
    return probing.environment() if isinstance(provider(name), OnnxRuntime) else {}


__all__ = ["PROVIDERS", "Made", "Node", "Provider", "Refusal", "Request", "environment", "not_here", "provider"]
