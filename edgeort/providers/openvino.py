"""OpenVINO, Intel's engine: an IR model, its C library behind an adapter, on x86-64 and Arm CPUs.

The precision is set, for its own choice on some CPUs is bfloat16. The bundle holds the least set of its libraries where
this machine has those of the device, else it names the pip package that does.
"""

from __future__ import annotations

import re
import tempfile
from importlib.metadata import files as files_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from edgeort.compiling import signature
from edgeort.errors import MissingExtraError, UnsupportedError
from edgeort.providers import adapted
from edgeort.providers.provider import Made, Part, Provider, Refusal, Request

if TYPE_CHECKING:
    import openvino

NAME = "openvino"
_INSTALL = "pip install 'edgeort[openvino]'"
_SYSTEMS = (
    ("linux", "x86_64"),
    ("linux", "aarch64"),
    ("windows", "x86_64"),
    ("macos", "aarch64"),
)
# Of the package's libs/: the C API, the core, the reader of IR, the CPU, its threads.
_CPUS = ("openvino_intel_cpu_plugin", "openvino_arm_cpu_plugin")
_LIBRARIES = ("openvino_c", "openvino", "openvino_ir_frontend", *_CPUS, "tbb")
_PRECISIONS = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}
_NOTICES = (
    Part("OpenVINO", "Apache-2.0", "openvino in PyPI, https://github.com/openvinotoolkit/openvino", "lib/, the engine"),
    Part("oneTBB", "Apache-2.0", "https://github.com/uxlfoundation/oneTBB", "lib/, the engine's threads"),
    Part("oneDNN", "Apache-2.0", "https://github.com/uxlfoundation/oneDNN", "inside the engine's CPU library"),
)


class OpenVino(Provider):
    """See the module."""

    name = NAME

    def missing(self) -> str | None:
        """The openvino package."""
        return None if adapted.installed("openvino") else f"openvino is not installed: {_INSTALL}"

    def describe(self) -> str:
        """The package's version."""
        return f"openvino {adapted.installed('openvino')}"

    def cannot_serve(self, request: Request) -> str | None:
        """It has CPUs of four systems."""
        return adapted.unmet(request, _SYSTEMS)

    def refusals(self, graph: ir.Model, request: Request) -> list[Refusal]:
        """What its reader of ONNX or its CPU does not take."""
        core = _core()
        try:
            model = _read(core, graph)
        except UnsupportedError as error:
            return [_refusal(graph, error)]
        known = core.query_model(model, "CPU")
        missing = [op for op in model.get_ordered_ops() if op.get_friendly_name() not in known]
        return [Refusal(op.get_friendly_name(), op.get_type_name(), "its CPU plugin has no kernel") for op in missing]

    def make(self, graph: ir.Model, request: Request) -> Made:
        """IR, adapter, libraries. UnsupportedError names the operators that it does not take."""
        with request.stages.stage("convert"):
            xml, weights = _to_ir(_read(_core(), graph))
        bundled, quantised = adapted.is_here(request.profile), adapted.is_quantised(graph)
        libraries = _libraries() if bundled else {}
        c_library = next((Path(name).name for name in libraries if "openvino_c" in name), "libopenvino_c.so")
        settings = {
            "device": "CPU",
            "library": c_library,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            **request.options,
        }
        with request.stages.stage("compile"):
            files, library, harness = adapted.adapter_files(request.profile, NAME, settings)
        model = f"{adapted.FOLDER}/model.xml"
        precision = _PRECISIONS.get(settings["INFERENCE_PRECISION_HINT"], "as OpenVINO chooses")
        return Made(
            NAME,
            adapted.triple_of(request.profile),
            {**files, **libraries, model: xml, f"{adapted.FOLDER}/model.bin": weights},
            model,
            library,
            harness,
            *signature(graph),
            adapted.nodes_of(graph, NAME, precision),
            min_sqnr_db=adapted.QUANTISED_DB if quantised or precision != "float32" else adapted.FLOAT_DB,
            requirements=() if bundled else (f"openvino=={adapted.installed('openvino')}",),
            notices=_NOTICES if bundled else (),
        )


def _core() -> openvino.Core:
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError(f"openvino cannot be imported: {error}", hint=_INSTALL) from error
    return openvino.Core()


def _read(core: openvino.Core, graph: ir.Model) -> openvino.Model:
    """The model as OpenVINO has it, with names that depend on nothing but the model."""
    try:
        model = core.read_model(adapted.inlined(graph).SerializeToString())
    except RuntimeError as error:
        raise UnsupportedError(f"OpenVINO cannot read the model: {_reason(error)}", hint="--provider cpu") from error
    for index, op in enumerate(model.get_ordered_ops()):
        if op.get_type_name() in ("Constant",) or re.search(r"_\d+$", op.get_friendly_name()):
            op.set_friendly_name(f"{op.get_type_name()}_{index}")
    return model


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "not support" in line or "No conversion" in line or "OpConversion" in line]
    return (telling or lines or ["it gives no reason"])[-1][:500]


def _refusal(graph: ir.Model, error: Exception) -> Refusal:
    """The first node of an operator that the message names."""
    for node in graph.graph.all_nodes():
        if re.search(rf"\b{node.op_type}\b", str(error)):
            return adapted.refusal(node, str(error))
    return Refusal("", "", str(error))


def _to_ir(model: Any) -> tuple[bytes, bytes]:
    """model.xml and model.bin."""
    import openvino

    with tempfile.TemporaryDirectory(prefix="edgeort-") as folder:
        path = Path(folder) / "model.xml"
        openvino.save_model(model, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def _libraries() -> dict[str, bytes | Path]:
    """The libraries and licences of the package installed here, by their place in a bundle."""
    found: dict[str, bytes | Path] = {}
    for file in files_of("openvino") or ():
        stem = file.name.removeprefix("lib").split(".")[0]
        path = Path(str(file.locate()))
        if "libs" in file.parts and stem in _LIBRARIES and path.suffix not in (".lib", ".pc"):
            found[f"lib/{file.name}"] = path
        if "licenses" in file.parts and file.name == "LICENSE":
            found["licences/openvino.txt"] = path
    return found
