"""LiteRT (TensorFlow Lite), Google's engine: a .tflite model, its library behind an adapter, on CPUs by XNNPACK.

The shapes are fixed in the file. The bundle holds the library where this machine has that of the device, else it names
what does.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import files as files_of
from pathlib import Path

import onnx_ir as ir

from edgeort.compiling import signature
from edgeort.converters import tflite
from edgeort.errors import InputError, ShapeError, UnsupportedError
from edgeort.providers import adapted
from edgeort.providers.provider import Made, Node, Refusal, Request
from edgeort.values import Value

NAME = "litert"
MODEL = f"{adapted.FOLDER}/model.tflite"
PACKAGE = "ai-edge-litert"
_INSTALL = "pip install 'edgeort[litert]'"
_LIBRARIES = {"linux": "libLiteRt.so", "android": "libLiteRt.so", "macos": "libLiteRt.dylib", "windows": "libLiteRt.dll"}
_SYSTEMS = (
    ("linux", "x86_64"),
    ("linux", "aarch64"),
    ("android", "aarch64"),
    ("windows", "x86_64"),
    ("macos", "aarch64"),
)
# What --provider-option takes: how the file stores weights, and which of LiteRT's kernels compute (its own name for it).
_OPTIONS = {"weights": ("float32", "float16"), "kernel_mode": ("delegate", "builtin", "reference")}
_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
# float16 weights are within 2^-11 of themselves, so that a sum of products is some 66 dB above their error.
HALF_DB = 40.0
_NOTICES = (
    ("LiteRT", "Apache-2.0", "ai-edge-litert in PyPI, https://github.com/google-ai-edge/LiteRT", "lib/, the engine"),
    ("XNNPACK", "BSD-3-Clause", "https://github.com/google/XNNPACK", "inside the engine's library"),
)


class LiteRt:
    """See the module."""

    name = NAME

    def missing(self) -> str | None:
        """What writes the file, and the engine's package."""
        if importlib.util.find_spec("flatbuffers") is None:
            return f"flatbuffers is not installed: {_INSTALL}"
        if adapted.installed(PACKAGE):
            return None
        if adapted.installed("tflite-runtime"):
            return f"tflite-runtime has no library for bundles, and fails with NumPy 2; {PACKAGE} has both: {_INSTALL}"
        return f"{PACKAGE} is not installed: {_INSTALL}"

    def describe(self) -> str:
        """The package's version."""
        return f"{PACKAGE} {adapted.installed(PACKAGE)}"

    def cannot_serve(self, request: Request) -> str | None:
        """It has CPUs of five systems."""
        return adapted.unmet(replace(request, io_layout="nchw"), _SYSTEMS)

    def refusals(self, graph: ir.Model, request: Request) -> list[Refusal]:
        """What its writer has no operators for; of free dimensions and types at the borders, one without a node."""
        try:
            lowered = _lower(graph, request)
            _signature(graph, lowered)
        except UnsupportedError as error:
            return [Refusal("", "", str(error))]
        return [Refusal(str(node.name), node.op_type, reason) for node, reason in lowered.refusals]

    def make(self, graph: ir.Model, request: Request) -> Made:
        """File, adapter, library. UnsupportedError names the nodes that it does not take, or the free dimensions."""
        with request.stages.stage("convert"):
            lowered = _lower(graph, request)
            inputs, outputs = _signature(graph, lowered)
            file = tflite.to_bytes(lowered)
        bundled, half = adapted.is_here(request.profile), request.options.get("weights") == "float16"
        settings = {"library": _LIBRARIES[request.profile.target.os], **request.options}
        with request.stages.stage("compile"):
            files, library, harness = adapted.adapter_files(request.profile, NAME, settings)
        floats = HALF_DB if half else adapted.FLOAT_DB
        return Made(
            NAME,
            adapted.triple_of(request.profile),
            {**files, MODEL: file, **(_libraries() if bundled else {})},
            MODEL,
            library,
            harness,
            inputs,
            outputs,
            _nodes(graph, lowered, half),
            min_sqnr_db=adapted.QUANTISED_DB if adapted.is_quantised(graph) else floats,
            requirements=() if bundled else (f"{PACKAGE}=={adapted.installed(PACKAGE)}",),
            notices=_NOTICES if bundled else (),
        )


def _lower(graph: ir.Model, request: Request) -> tflite.Lowered:
    """The graph of LiteRT's operators. UnsupportedError where shapes are free, InputError for an unknown option."""
    for key, value in request.options.items():
        if value not in _OPTIONS.get(key, ()):
            known = "; ".join(f"{name}={'|'.join(values)}" for name, values in _OPTIONS.items())
            raise InputError(f"litert has no option {key}={value}", hint=f"--provider-option takes {known}")
    weights = "float16" if request.options.get("weights") == "float16" else "float32"
    try:
        return tflite.lower(graph, tflite.Options(weights, request.io_layout))
    except ShapeError as error:
        raise UnsupportedError(str(error), hint=error.hint) from error


def _signature(graph: ir.Model, lowered: tflite.Lowered) -> tuple[tuple[Value, ...], tuple[Value, ...]]:
    """Inputs and outputs as the file has them. UnsupportedError where their types are not those of the model."""
    sides = []
    for wanted, made in zip(signature(graph), (lowered.graph.inputs, lowered.graph.outputs), strict=True):
        tensors = [(name, lowered.graph.tensors[index]) for name, index in made]
        for value, (_, tensor) in zip(wanted, tensors, strict=False):
            if value.dtype != tensor.dtype:
                what = f"{value.name!r} is {value.dtype}, which LiteRT exchanges as {tensor.dtype}"
                raise UnsupportedError(what, hint="--provider cpu")
        sides.append(tuple(Value(name, tensor.dtype, tensor.shape) for name, tensor in tensors))
    return sides[0], sides[1]


def _nodes(graph: ir.Model, lowered: tflite.Lowered, half: bool) -> tuple[Node, ...]:
    """The model's nodes, with what the writer remarked of them; its nodes have names that begin as the model's own."""
    found = []
    for node in adapted.nodes_of(graph, NAME, "float32"):
        remarks = [text for other, text in lowered.notes if str(other.name).startswith(node.name)]
        if any("float32" in text for text in remarks):
            node = replace(node, precision="float32")
        weights = "f16" if half and node.op in _PRODUCTS else ""
        found.append(replace(node, reason="; ".join(dict.fromkeys(remarks)), weights=weights))
    return tuple(found)


def _libraries() -> Mapping[str, bytes | Path]:
    """The library and the licence of the package installed here, by their place in a bundle."""
    found: dict[str, bytes | Path] = {}
    for file in files_of(PACKAGE) or ():
        path = Path(str(file.locate()))
        if file.name in _LIBRARIES.values():
            found[f"lib/{file.name}"] = path
        if "licenses" in file.parts and file.name == "LICENSE":
            found["licences/litert.txt"] = path
    return found
