"""`edgeort inspect`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeort.cli.common import Json, Shape, command, print_json, print_table, size

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeort.device_profiles import Profile
    from edgeort.inspection import Inspection, Precisions, Tensor, Unsupported
    from edgeort.lowering.plan import PlanBuilder
    from edgeort.lowering.storage import SparseWeights

OPERATORS_SHOWN = 40


@command
def inspect(
    model: Annotated[Path, typer.Argument(help="An .onnx file.")],
    device: Annotated[
        str | None, typer.Option("--device", metavar="NAME", help="List what this device's runtime cannot run.")
    ] = None,
    shape: Shape = None,
    as_json: Json = False,
) -> None:
    """Show operators, sizes, multiply-adds, and what cannot be run."""
    import dataclasses

    from edgeort import device_profiles, inspection
    from edgeort.model import load, parse_shapes

    profile = None if device is None else device_profiles.load(device)
    graph = load(model, shapes=parse_shapes(shape or ()))
    found = inspection.inspect(graph, profile)
    if profile is not None:
        cleaned = _prepared(graph, profile)
        unsupported, plan = _unsupported(cleaned), None
        if not unsupported:
            plan, unsupported = _plan(cleaned, profile)
        found = dataclasses.replace(found, unsupported=unsupported)
        if plan is not None:
            from edgeort.lowering.storage import sparse_weights

            weights = list(sparse_weights(plan))
            found = dataclasses.replace(found, precisions=_precisions(plan), sparse=weights)
    if as_json:
        print_json(found.to_dict())
    else:
        _print(model, found)


def _prepared(graph: ir.Model, profile: Profile) -> ir.Model:
    """The model as lowering gets it, behind clean-up and passes."""
    from edgeort.model import clean
    from edgeort.passes import PassContext, run_passes

    cleaned = clean(graph)
    run_passes(cleaned, PassContext(profile=profile))
    return cleaned


def _unsupported(cleaned: ir.Model) -> list[Unsupported]:
    """What is left without a kernel."""
    from edgeort.inspection import Unsupported
    from edgeort.lowering import unsupported_nodes

    found = []
    for node, reason in unsupported_nodes(cleaned):
        op = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
        found.append(Unsupported(node.name or str(node.outputs[0].name), op, reason))
    return found


def _plan(cleaned: ir.Model, profile: Profile) -> tuple[PlanBuilder | None, list[Unsupported]]:
    """The plan of a model; where it cannot be lowered, what a build would say."""
    from edgeort.errors import UnsupportedError
    from edgeort.inspection import Unsupported
    from edgeort.lowering import lower
    from edgeort.lowering.where_int8 import rates_of

    try:
        return lower(cleaned, rates_of(profile)), []
    except UnsupportedError as error:
        where = re.fullmatch(r"(?:node '(.*)' \((.*?)\): )?(.*)", str(error), re.DOTALL)
        assert where is not None
        return None, [Unsupported(where[1] or "the model", where[2] or "", where[3])]


def _precisions(plan: PlanBuilder) -> Precisions:
    """What runs in which precision, and how weights are stored."""
    from collections import Counter

    from edgeort.inspection import Precisions, Unsupported

    counts = Counter(plan.precision(node) for node in plan.nodes)
    floats = [Unsupported(n.name, n.op, plan.reasons[n.name]) for n in plan.nodes if n.name in plan.reasons]
    stored: Counter[str] = Counter()
    for node in plan.nodes:
        form, size_bytes = plan.weights(node)
        stored[form] += size_bytes
    return Precisions(dict(counts.most_common()), floats, {name: n for name, n in stored.most_common() if name})


def _print(path: Path, found: Inspection) -> None:
    opsets = ", ".join(f"{domain} {version}" for domain, version in found.opsets.items())
    bound = f" and those of {found.unknown_macs} node(s) whose shapes are unknown" if found.unknown_macs else ""
    item = " for one item of the batch" if found.batch_of_one else ""
    rows = [
        ("made by", f"{found.producer or 'unknown'}, opset {opsets}, IR version {found.ir_version}"),
        *(("input", _value(value)) for value in found.inputs),
        *(("output", _value(value)) for value in found.outputs),
        ("parameters", f"{found.parameter_count:,}, {size(found.total_parameter_bytes)}"),
        ("multiply-adds", f"{found.total_macs:,}{item}{bound}"),
        ("nodes", str(found.node_count)),
    ]
    print_table(str(path), rows)
    operators = list(found.operators.items())[:OPERATORS_SHOWN]
    print_table("operators", [(name, str(count)) for name, count in operators], ("operator", "nodes"))
    if found.device is not None and found.unsupported:
        nodes = [(u.node, u.op_type, u.reason) for u in found.unsupported]
        print_table(f"no kernel on {found.device}", nodes, ("node", "operator", "reason"))
    elif found.device is not None:
        typer.echo(f"{found.device} can run every node")
    if found.precisions is not None:
        _print_precisions(found.precisions)
    if found.sparse:
        _print_sparse(found.sparse)


def _print_precisions(found: Precisions) -> None:
    counts = [(name, str(count)) for name, count in found.nodes.items()]
    print_table("precision", counts, ("precision", "nodes of the plan"))
    if found.weights_bytes:
        stored = [(name, size(count)) for name, count in found.weights_bytes.items()]
        print_table("weights", stored, ("stored as", "in the plan"))
    if found.not_int8:
        nodes = [(entry.node, entry.op_type, entry.reason) for entry in found.not_int8]
        print_table("products in float32", nodes, ("node", "operator", "why not int8"))


def _print_sparse(found: Sequence[SparseWeights]) -> None:
    rows = [
        (
            one.node,
            f"{one.zeros:.0%}",
            size(one.stored_bytes),
            size(one.dense_bytes),
            "skips them" if one.kernel else "",
        )
        for one in found
    ]
    print_table("weights stored without their zeros", rows, ("node", "zeros", "stored", "dense", "the kernel"))


def _value(value: Tensor) -> str:
    dims = "unknown rank" if value.shape is None else "x".join(map(str, value.shape)) or "scalar"
    return f"{value.name}: {value.dtype} {dims}"
