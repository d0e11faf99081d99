"""LiteRT (TensorFlow Lite), Google's engine: a .tflite model, its library behind an adapter, on CPUs by XNNPACK.

The shapes are fixed in the file. The bundle holds the library where this machine has that of the device, or where
--provider-option library=PATH gives it; else it names the pip package or, for Android, the Maven package that has it.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from importlib.metadata import files as files_of
from pathlib import Path

import onnx_ir as ir

from edgeort.compiling import signature
from edgeort.converters import tflite
from edgeort.device_profiles import Profile
from edgeort.device_profiles.profile import Target
from edgeort.errors import InputError, ShapeError, UnsupportedError
from edgeort.providers import adapted
from edgeort.providers.provider import Made, Node, Part, Provider, Refusal, Request
from edgeort.values import Value

NAME = "litert"
MODEL = f"{adapted.FOLDER}/model.tflite"
PACKAGE = "ai-edge-litert"
_INSTALL = "pip install 'edgeort[litert]'"
MAVEN = "com.google.ai.edge.litert:litert"  # its .aar has jni/arm64-v8a/libLiteRt.so
LIBRARY = "libLiteRt.so"
_SYSTEMS = (("linux", "x86_64"), ("linux", "aarch64"), ("android", "aarch64"))
_MACHINES = {"x86_64": 62, "aarch64": 183}  # of ELF files
# What --provider-option takes. LiteRT's own setting says which kernels compute: XNNPACK's (delegate) or others.
_MODES = ("delegate", "builtin", "reference")
_OPTIONS = f"--provider-option takes kernel_mode={'|'.join(_MODES)}, library=PATH of the device's {LIBRARY}"
_NOTICES = (
    Part(
        "LiteRT", "Apache-2.0", "ai-edge-litert in PyPI, https://github.com/google-ai-edge/LiteRT", "lib/, the engine"
    ),
    Part("XNNPACK", "BSD-3-Clause", "https://github.com/google/XNNPACK", "inside the engine's library"),
)


class LiteRt(Provider):
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
        """It has CPUs of three systems."""
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
        libraries = _libraries(request)
        source = f"{MAVEN} (Maven)" if request.profile.target.os == "android" else f"{PACKAGE} (pip)"
        mode = request.options.get("kernel_mode", _MODES[0])
        settings = {"library": LIBRARY, "source": source, "kernel_mode": mode}
        with request.stages.stage("compile"):
            files, library, harness = adapted.adapter_files(request.profile, NAME, settings)
        return Made(
            NAME,
            adapted.triple_of(request.profile),
            {**files, MODEL: file, **libraries},
            MODEL,
            library,
            harness,
            inputs,
            outputs,
            _nodes(graph, lowered),
            min_sqnr_db=adapted.QUANTISED_DB if adapted.is_quantised(graph) else adapted.FLOAT_DB,
            requirements=() if libraries else _requirements(request.profile),
            notices=_NOTICES if libraries else (),
        )


def _lower(graph: ir.Model, request: Request) -> tflite.Lowered:
    """The graph of LiteRT's operators. UnsupportedError where shapes are free, and for an unknown option."""
    for key, value in request.options.items():
        if key != "library" and (key != "kernel_mode" or value not in _MODES):
            raise UnsupportedError(f"litert has no option {key}={value}", hint=_OPTIONS)
    try:
        return tflite.lower(graph, tflite.Options("lossless", request.io_layout))
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


def _nodes(graph: ir.Model, lowered: tflite.Lowered) -> tuple[Node, ...]:
    """The model's nodes, with what the writer remarked of those that it made of them, whose names begin as theirs."""
    nodes = {node.name: node for node in adapted.nodes_of(graph, NAME, "float32")}
    for made, remark in lowered.notes:
        name = max((name for name in nodes if str(made.name).startswith(name)), key=len, default="")
        if name:
            precision = "float32" if "float32" in remark else nodes[name].precision
            nodes[name] = replace(nodes[name], precision=precision, reason=remark)
    return tuple(nodes.values())


def _requirements(profile: Profile) -> tuple[str, ...]:
    """The pip package of the engine; Android has none, and its error says what is missing."""
    return () if profile.target.os == "android" else (f"{PACKAGE}=={adapted.installed(PACKAGE)}",)


def _libraries(request: Request) -> dict[str, bytes | Path]:
    """The device's library, given or installed here, and its licence, by their place in a bundle; or nothing."""
    own = {file.name: Path(str(file.locate())) for file in files_of(PACKAGE) or () if file.name in (LIBRARY, "LICENSE")}
    target, given = request.profile.target, request.options.get("library")
    if given is None and not adapted.is_here(request.profile):
        return {}
    library = own[LIBRARY] if given is None else Path(given)
    if given is not None and not _is_for(target, library):
        raise InputError(f"{library} is no library for {target.os}/{target.arch}", hint=_OPTIONS)
    return {f"lib/{LIBRARY}": library, "licences/litert.txt": own["LICENSE"]}


def _is_for(target: Target, library: Path) -> bool:
    """Whether a file is an ELF library of that architecture, and linked against the C library of that system."""
    try:
        data = library.read_bytes()
    except OSError as error:
        raise InputError(f"{library} cannot be read: {error.strerror}", hint=_OPTIONS) from error
    machine = int.from_bytes(data[18:20], "little")
    return (
        data[:4] == b"\x7fELF"
        and machine == _MACHINES[target.arch]
        and (b"libc.so.6" in data) == (target.os == "linux")
    )
