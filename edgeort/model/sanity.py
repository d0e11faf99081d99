"""Checks on the graph of a model: versions, names, cycles, functions. They look at the file's own structures, before
the IR is made, so that a message can name what the file says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import onnx

from edgeort.errors import ModelError
from edgeort.model.attributes import check_attributes
from edgeort.model.labels import DAMAGED, bodies, label
from edgeort.model.tensors import check_dims

IR_VERSIONS = (3, onnx.IR_VERSION)
OPSETS = (7, onnx.defs.onnx_opset_version())
EXPANDED_NODE_LIMIT = 1_000_000  # nodes after inlining functions; a few nested doublings would otherwise fill memory
CALL_DEPTH_LIMIT = 100  # of functions calling functions

_CONVERT = (
    'python -c "import onnx, onnx.version_converter as v; '
    "onnx.save(v.convert_version(onnx.load('model.onnx'), 17), 'model17.onnx')\""
)


def check_model(proto: onnx.ModelProto) -> None:
    """Raise ModelError unless versions are in range and the graph is well-formed (see the checks below)."""
    check_versions(proto)
    _check_functions(proto)
    domains = {_domain(entry.domain) for entry in proto.opset_import}
    _check_reserved(proto)
    _check_maps(proto.graph)
    if not proto.graph.output:
        raise ModelError("the graph has no outputs", hint=DAMAGED)
    _check_graph(proto.graph, [], domains)
    _check_inputs(proto.graph)
    check_attributes(proto.graph.node, frozenset())
    for function in proto.functions:
        check_attributes(function.node, {*function.attribute, *(a.name for a in function.attribute_proto)})
        imported = {_domain(entry.domain) for entry in function.opset_import} or domains
        where = f"function '{function.name}'"
        names = _declare(function.input, (), function.node, where)
        _check_nodes(function.node, [names], imported, where)
        _check_outputs(function.output, names, where)


def _check_reserved(proto: onnx.ModelProto) -> None:
    """Domains of our own are those of functions that models bring along."""
    functions = {(function.domain, function.name) for function in proto.functions}

    def check(nodes: Iterable[onnx.NodeProto]) -> None:
        for node in nodes:
            if node.domain.split(".")[0] == "edgeort" and (node.domain, node.op_type) not in functions:
                raise ModelError(
                    f"{label(node)} is of domain '{node.domain}', but the model has no function of that name",
                    hint="start from the model that this one was made of",
                )
            for graph in bodies(node):
                check(graph.node)

    for nodes in (proto.graph.node, *(function.node for function in proto.functions)):
        check(nodes)


def _check_maps(graph: onnx.GraphProto) -> None:
    """Dictionaries, of which sequences are too, are no tensors."""
    for kind, infos in (("input", graph.input), ("output", graph.output)):
        for info in infos:
            inner = info.type.sequence_type.elem_type if info.type.HasField("sequence_type") else info.type
            if inner.HasField("map_type"):
                raise ModelError(
                    f"{kind} '{info.name}' of the graph is a dictionary; the runtime has tensors and sequences of them",
                    hint="export it without: skl2onnx.to_onnx(model, x, options={'zipmap': False}), "
                    "onnxmltools.convert_lightgbm(model, initial_types=types, zipmap=False)",
                )


def check_versions(proto: onnx.ModelProto) -> None:
    """Raise ModelError unless the IR version and the opset of the default domain are ones that we can read."""
    if not IR_VERSIONS[0] <= proto.ir_version <= IR_VERSIONS[1]:
        raise ModelError(
            f"ONNX IR version {proto.ir_version} is not supported; {IR_VERSIONS[0]} to {IR_VERSIONS[1]} are",
            hint="pip install -U onnx onnx-ir" if proto.ir_version > IR_VERSIONS[1] else "export the model again",
        )
    versions: dict[str, int] = {}
    for entry in proto.opset_import:
        if versions.setdefault(_domain(entry.domain), entry.version) != entry.version:
            raise ModelError(f"opset '{entry.domain or 'ai.onnx'}' is imported in two versions", hint=DAMAGED)
    supported = f"opsets {OPSETS[0]} to {OPSETS[1]} of ai.onnx are supported"
    if "" not in versions and _uses_default_domain(proto):
        raise ModelError(f"the model does not say which opset of ai.onnx it uses; {supported}", hint=DAMAGED)
    if "" in versions and not OPSETS[0] <= versions[""] <= OPSETS[1]:
        newer = f"export with opset_version={OPSETS[1]}, or: pip install -U onnx"
        raise ModelError(
            f"the model uses opset {versions['']} of ai.onnx, which is not supported; {supported}",
            hint=newer if versions[""] > OPSETS[1] else f"convert it: {_CONVERT}",
        )


def _uses_default_domain(proto: onnx.ModelProto) -> bool:
    """Whether a node of the main graph does, or may through a body or a function."""
    return bool(proto.functions) or any(not _domain(node.domain) or bodies(node) for node in proto.graph.node)


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _check_inputs(graph: onnx.GraphProto) -> None:
    initialized = {tensor.name for tensor in graph.initializer}
    for info in graph.input:
        kind = info.type.WhichOneof("value")
        if info.name in initialized:
            continue
        if kind is None or (kind == "tensor_type" and not info.type.tensor_type.elem_type):
            raise ModelError(f"input '{info.name}' of the graph has no type", hint=DAMAGED)
        if kind == "tensor_type":
            dims = info.type.tensor_type.shape.dim
            check_dims((d.dim_value for d in dims if d.dim_value > 0), f"input '{info.name}' of the graph")


def _check_graph(graph: onnx.GraphProto, outer: Sequence[set[str]], domains: set[str]) -> set[str]:
    """Check one graph in the scopes around it; returns the outer names that it uses."""
    where = f"graph '{graph.name}'"
    inputs = [info.name for info in graph.input]
    names = _declare(inputs, [tensor.name for tensor in graph.initializer], graph.node, where)
    captured = _check_nodes(graph.node, [*outer, names], domains, where)
    if not outer:
        _check_outputs((info.name for info in graph.output), names, where)
        return set()
    used = {info.name for info in graph.output} - names  # a branch may return a value of the graph around it
    _check_outputs(used, set().union(*outer), where)
    return captured | used


def _check_outputs(outputs: Iterable[str], names: set[str], where: str) -> None:
    seen: set[str] = set()
    for name in outputs:
        if name in seen:
            raise ModelError(f"{where} has two outputs named '{name}'", hint=DAMAGED)
        seen.add(name)
        if name not in names:
            raise ModelError(f"output '{name}' of {where} is produced by no node", hint=DAMAGED)


def _declare(
    inputs: Sequence[str], initializers: Sequence[str], nodes: Iterable[onnx.NodeProto], where: str
) -> set[str]:
    """Names of all values of a scope; raises ModelError when two values share one."""
    names: set[str] = set()
    # An initializer may share its name with an input: its default value (in IR version 3 all initializers do).
    for kind, group in (("input", inputs), ("initializer", initializers)):
        seen: set[str] = set()
        for name in group:
            if not isinstance(name, str) or not name:  # protobuf hands out bytes where the text is not UTF-8
                raise ModelError(f"{where} has an {kind} without a readable name", hint=DAMAGED)
            if name in seen:
                raise ModelError(f"{where} has two {kind}s named '{name}'", hint=DAMAGED)
            seen.add(name)
        names |= seen
    for node in nodes:
        for name in node.output:
            if not isinstance(name, str):
                raise ModelError(f"an output of {label(node)} has an unreadable name", hint=DAMAGED)
            if name and name in names:
                raise ModelError(f"value '{name}' has two producers in {where}, one is {label(node)}", hint=DAMAGED)
            names.add(name)
    names.discard("")
    return names


def _check_nodes(nodes: Sequence[onnx.NodeProto], scopes: list[set[str]], domains: set[str], where: str) -> set[str]:
    """Check the nodes of the innermost scope; returns the names of outer scopes that they use."""
    local = scopes[-1]
    needs: list[set[str]] = []
    captured: set[str] = set()
    for node in nodes:
        if not node.op_type:
            raise ModelError(f"{label(node)} of {where} has no operator", hint=DAMAGED)
        if _domain(node.domain) not in domains:
            raise ModelError(
                f"{label(node)} is of domain '{node.domain}', of which the model imports no opset; it imports "
                f"{', '.join(sorted(domain or 'ai.onnx' for domain in domains))}",
                hint=DAMAGED,
            )
        used = {name for name in node.input if name}
        for name in used:
            if not any(name in scope for scope in scopes):
                raise ModelError(f"input '{name!s}' of {label(node)} is produced by no node", hint=DAMAGED)
        for graph in bodies(node):
            _check_body(node, graph)
            used |= _check_graph(graph, scopes, domains)
        needs.append(used & local)
        captured |= used - local
    _check_acyclic(nodes, needs, where)
    return captured


# operator -> inputs and outputs of its body, by those of the node; ONNX's own checks do not count them
_BODIES: dict[str, Callable[[int, int], tuple[int, int]]] = {
    "If": lambda inputs, outputs: (0, outputs),
    "Loop": lambda inputs, outputs: (max(inputs, 2), outputs + 1),
}


def _check_body(node: onnx.NodeProto, graph: onnx.GraphProto) -> None:
    if _domain(node.domain) or node.op_type not in _BODIES:
        return
    expected = _BODIES[node.op_type](len(node.input), len(node.output))
    found = (len(graph.input), len(graph.output))
    if found != expected:
        raise ModelError(
            f"the body '{graph.name}' of {label(node)} has {found[0]} inputs and {found[1]} outputs; it should have "
            f"{expected[0]} and {expected[1]}",
            hint=DAMAGED,
        )


def _check_acyclic(nodes: Sequence[onnx.NodeProto], needs: list[set[str]], where: str) -> None:
    """Raise ModelError when nodes wait for each other. Kahn's algorithm; files are nearly always in order already."""
    producer = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    waits = [{producer[name] for name in names if name in producer} for names in needs]
    users: dict[int, list[int]] = {}
    for index, sources in enumerate(waits):
        for source in sources:
            users.setdefault(source, []).append(index)
    missing = [len(sources) for sources in waits]
    ready = [index for index, count in enumerate(missing) if not count]
    for index in ready:
        for user in users.get(index, ()):
            missing[user] -= 1
            if not missing[user]:
                ready.append(user)
    if len(ready) < len(nodes):
        stuck = next(index for index, count in enumerate(missing) if count)
        raise ModelError(f"{where} has a cycle: {label(nodes[stuck])} waits for its own output", hint=DAMAGED)


def _check_functions(proto: onnx.ModelProto) -> None:
    """Raise ModelError when functions are declared twice, call themselves, or multiply into absurdly many nodes."""
    functions: dict[tuple[str, str, str], onnx.FunctionProto] = {}
    for function in proto.functions:
        key = (_domain(function.domain), function.name, function.overload)
        if functions.setdefault(key, function) is not function:
            raise ModelError(f"function '{function.domain}::{function.name}' is declared twice", hint=DAMAGED)
    sizes: dict[tuple[str, str, str], int] = {}

    def size_of(nodes: Iterable[onnx.NodeProto], callers: tuple[tuple[str, str, str], ...]) -> int:
        total = 0
        for node in nodes:
            key = (_domain(node.domain), node.op_type, node.overload)
            if key in callers or len(callers) > CALL_DEPTH_LIMIT:
                fault = "calls itself" if key in callers else f"is called {len(callers)} levels deep"
                raise ModelError(f"function '{node.domain}::{node.op_type}' {fault}", hint=DAMAGED)
            if key in functions and key not in sizes:
                sizes[key] = size_of(functions[key].node, (*callers, key))
            total += sizes.get(key, 1) + sum(size_of(graph.node, callers) for graph in bodies(node))
        return total

    expanded = max([size_of(proto.graph.node, ()), *(size_of(f.node, (k,)) for k, f in functions.items())])
    if expanded > EXPANDED_NODE_LIMIT:
        raise ModelError(f"with functions inlined the graph has {expanded} nodes; {EXPANDED_NODE_LIMIT} are allowed")
