"""Who runs a model: one module a provider, PROVIDERS is the list. The runtime that edgeort compiles itself is `cpu`."""

from __future__ import annotations

from edgeort.errors import InputError
from edgeort.providers.coreml import CoreMl
from edgeort.providers.cpu import Cpu
from edgeort.providers.cuda import Cuda
from edgeort.providers.directml import DirectMl
from edgeort.providers.litert import LiteRt
from edgeort.providers.openvino import OpenVino
from edgeort.providers.provider import Made, Node, Part, Provider, Refusal, Request
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


__all__ = ["PROVIDERS", "Made", "Node", "Part", "Provider", "Refusal", "Request", "provider"]
