"""What providers of other engines share: adapters with the C API of edgeort.h, settings, models as ONNX has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import onnx
import onnx.inliner
import onnx_ir as ir

from edgeort import toolchain
from edgeort.device_profiles import Profile
from edgeort.device_profiles.host import own_system
from edgeort.errors import UnsupportedError
from edgeort.model import dynamic_products
from edgeort.providers.provider import Node, Refusal, Request

FOLDER = "model"  # of the bundle: the model and its settings
SETTINGS = f"{FOLDER}/provider.conf"
INT8 = "int8"
# What two runs of the same float or quantised model are apart, at most: other orders of sums, other kernels.
FLOAT_DB, QUANTISED_DB = 60.0, 20.0

# What only the cpu provider has, by the part of the runtime that has it.
_UNWANTED = {
    toolchain.TEXT: "it has no tokenizer, and --vocab asks for one",
    toolchain.SIGNATURE: "it does not check signatures, and --signatures asks for that",
    toolchain.EMBEDDED: "it opens models from files, and --embed-model asks for one in the library",
}

_QUANTISED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")


def adapter_files(
    profile: Profile, engine: str, settings: Mapping[str, str]
) -> tuple[dict[str, bytes | Path], str, str]:
    """What lets `engine` be called as edgeort is, by path in the bundle, and which of it are library and harness."""
    target = toolchain.target(profile.target.os, profile.target.arch)
    library, harness = toolchain.adapter_and_harness(target, engine)
    paths = f"lib/{target.library}", f"bin/{target.exe}"
    text = "".join(f"{key} = {value}\n" for key, value in settings.items())
    header = toolchain.RUNTIME / "include/edgeort.h"
    return {SETTINGS: text.encode(), paths[0]: library, paths[1]: harness, "include/edgeort.h": header}, *paths


def triple_of(profile: Profile) -> str:
    """What the adapter is compiled for."""
    return toolchain.target(profile.target.os, profile.target.arch).triple


def unmet(request: Request, systems: Iterable[tuple[str, str]]) -> str | None:
    """Why an engine for those (operating system, architecture) cannot serve what is asked for; None: it can."""
    target = request.profile.target
    if (target.os, target.arch) not in systems:
        return f"it does not run on {target.os}/{target.arch}"
    try:
        toolchain.target(target.os, target.arch)
    except UnsupportedError as error:
        return str(error)
    return unwanted(request)


def unwanted(request: Request) -> str | None:
    """What is asked for that only the cpu provider has; None: nothing."""
    if request.ram_limit is not None:
        return "it has no limit of memory, and --ram-limit asks for one"
    if request.io_layout != "nchw":
        return "it keeps inputs and outputs as the model has them, and --io-layout asks for others"
    if request.front is not None:
        return "it takes tensors, and --preprocess puts a node that takes pictures in front (not with --tensor-input)"
    if request.static:
        return "it is no static library, and --static asks for one"
    return next((_UNWANTED[part] for part in request.parts), None)


def refusal(node: ir.Node, reason: str) -> Refusal:
    """A node that is not taken, named as users know it."""
    op = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
    return Refusal(node.name or str(node.outputs[0].name), op, reason)


def installed(package: str) -> str | None:
    """The version of a package, or None. Nothing is imported."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def is_here(profile: Profile) -> bool:
    """Whether this machine has the system of the profile, so that libraries installed here are those of the device."""
    return (profile.target.os, profile.target.arch) == own_system()


def inlined(graph: ir.Model) -> onnx.ModelProto:
    """The model with its functions spelled out, as engines read it that know ONNX's own operators only."""
    return onnx.inliner.inline_local_functions(ir.to_proto(graph))


def is_quantised(graph: ir.Model) -> bool:
    """Whether the model has integers between quantisation and dequantisation, or products that round their rows."""
    return any(node.op_type in (*_QUANTISED, dynamic_products.NAME) for node in graph.graph.all_nodes())


def nodes_of(graph: ir.Model, provider: str, precision: str) -> tuple[Node, ...]:
    """The model's nodes, all run by `provider` in `precision`, but int8 where their data came from integers."""
    found = []
    for node in graph.graph:
        if node.op_type in _QUANTISED or node.op_type == "Constant":
            continue
        name = node.name or str(node.outputs[0].name)
        found.append(Node(name, node.op_type, provider, INT8 if _reads_integers(node) else precision))
    return tuple(found)


def _reads_integers(node: ir.Node) -> bool:
    """Whether every float tensor that the node reads was dequantised just before, or is rounded by the node itself."""
    if node.op_type == dynamic_products.NAME:
        return True
    makers = [value.producer() for value in node.inputs if value is not None and value.dtype == ir.DataType.FLOAT]
    return bool(makers) and all(maker is not None and maker.op_type == "DequantizeLinear" for maker in makers)
