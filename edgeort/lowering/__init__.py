"""IR -> plan. One file an operator family; HANDLERS says which.

A handler is `handler(ctx, node, group)`: it emits plan nodes whose result is `group.output`. Only the families in
ANCHORS run a group's program themselves; for the others the program follows as a plan node of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import NoneType

import onnx_ir as ir

from edgeort.device_profiles.rates import CoreRates
from edgeort.errors import UnsupportedError
from edgeort.lowering import (
    attention,
    control,
    dynamic,
    einsum,
    half,
    image,
    index,
    integers,
    layout,
    matrix,
    move,
    nbits,
    norm,
    pool,
    program,
    quantised,
    rare,
    reduce,
    resize,
    rnn,
    sequences,
    strings,
    trees,
    typed,
)
from edgeort.lowering.context import Group, Lowering, unsupported
from edgeort.lowering.plan import PlanBuilder, code_of
from edgeort.model import bounds, dynamic_products
from edgeort.model.operators import blaming
from edgeort.passes import PassContext, run_passes
from edgeort.passes.functions import DOMAIN, NHWC
from edgeort.passes.group_epilogues import GROUP, ROLE
from edgeort.passes.quantised import quantity

Handler = Callable[[Lowering, ir.Node, Group], None]

# Families that run a group's program on their own output tiles.
ANCHORS: dict[tuple[str, str], Handler] = {
    ("", "MatMul"): matrix.matmul,
    ("", "Gemm"): matrix.gemm,
    (dynamic_products.DOMAIN, dynamic_products.NAME): dynamic.product,
    (DOMAIN, "TensorQuantMatMul"): dynamic.tensor_product,
    (nbits.DOMAIN, nbits.NAME): nbits.matmul_nbits,
    (NHWC, "Conv"): matrix.conv,
    (NHWC, "ConvTranspose"): matrix.conv_transpose,
}

HANDLERS: dict[tuple[str, str], Handler] = {
    **pool.HANDLERS,
    **resize.HANDLERS,
    **image.HANDLERS,
    **norm.HANDLERS,
    **move.HANDLERS,
    **index.HANDLERS,
    **typed.HANDLERS,
    **reduce.HANDLERS,
    **rnn.HANDLERS,
    **einsum.HANDLERS,
    **attention.HANDLERS,
    **control.HANDLERS,
    **rare.HANDLERS,
    **sequences.HANDLERS,
    **strings.HANDLERS,
    **trees.HANDLERS,
}


_NOT_OURS = {
    ("", "ImageDecoder"): "it decodes picture files, for which a runtime without dependencies has no code: "
    "decode them before the model, and give it pixels",
}


def lower(model: ir.Model, rates: CoreRates | None = None) -> PlanBuilder:
    """The plan of a model that went through the passes. `rates` say which products int8 pays for; None: all.

    UnsupportedError names the first node without a kernel, ModelError one whose operands do not fit it.
    """
    for kind, values in (("input", model.graph.inputs), ("output", model.graph.outputs)):
        _check_types(values, kind)
    for value in model.graph.inputs:
        if value.shape is None and isinstance(value.type, ir.TensorType):
            raise UnsupportedError(
                f"input {value.name!r} has no shape", hint=f"--shape {value.name}=1x3x224x224 sets it"
            )
    with blaming(model):
        return _lower(model, rates)


def _check_types(values: Iterable[ir.Value], kind: str) -> None:
    """Tensors, and sequences and optionals of them, are what the runtime has."""
    for value in values:
        if not isinstance(value.type, (ir.TensorType, ir.SequenceType, ir.OptionalType, NoneType)):
            name = type(value.type).__name__.removesuffix("Type").lower()
            raise UnsupportedError(
                f"{kind} {value.name!r} is of type {name}; the runtime has tensors and sequences of them",
                hint=f"make an {kind} of its tensors",
            )


def _lower(model: ir.Model, rates: CoreRates | None) -> PlanBuilder:
    """The plan of a model, or of a body, whose inputs may be of any rank."""
    ctx = Lowering(opset=model.opset_imports.get("", 17), rates=rates)
    ctx.lower_body = lambda body: _lower(_prepared(body, model), rates)
    graph = model.graph
    ctx.plan.bounds = bounds(model)
    for value in graph.inputs:
        if value.type is None or value.dtype is None:
            raise UnsupportedError(f"input {value.name!r} has no element type")
        code = code_of(value, f"input {value.name!r}")
        dims = [d if isinstance(d, int) else d.value for d in value.shape or ()]
        ctx.tensors[value] = ctx.plan.input(value.name or "", code, [None] if code == layout.TENSOR_CODE else dims)
    for node, group in _schedule(graph):
        _lower_node(ctx, node, group)
    ctx.plan.outputs = [ctx.value(value) for value in graph.outputs]
    for value, tensor in zip(graph.outputs, ctx.plan.outputs, strict=True):
        ctx.plan.tensors[tensor].name = value.name or ""
    if not ctx.plan.is_quantised:
        ctx.plan.reasons.clear()
    return ctx.plan


def _prepared(body: ir.Model, outer: ir.Model) -> ir.Model:
    """The body after the passes."""
    body.graph.opset_imports.update(outer.opset_imports)
    body.functions.update(outer.functions)
    run_passes(body, PassContext())
    return body


def unsupported_nodes(model: ir.Model) -> list[tuple[ir.Node, str]]:
    """Every node that `lower` would refuse, with the reason; for reports."""
    found = []
    ctx = Lowering(opset=model.opset_imports.get("", 17))
    for node, group in _schedule(model.graph):
        try:
            reason = _missing(ctx, node) if group.anchor is not None else None
        except UnsupportedError as error:
            reason = str(error)
        if reason is not None:
            found.append((node, reason))
        for graph in control.bodies(node):
            found += unsupported_nodes(_prepared(control.outlined(graph)[0], model))
    return found


def _missing(ctx: Lowering, node: ir.Node) -> str | None:
    """Why no kernel takes the node; None when one does."""
    key = (node.domain, node.op_type)
    if key in ANCHORS or key in HANDLERS or _is_program(ctx, node) or integers.is_late(node):
        return None
    if key in _NOT_OURS:
        return _NOT_OURS[key]
    if (NHWC, node.op_type) in ANCHORS | HANDLERS and any(v is not None and v.shape is None for v in node.inputs):
        return "the rank of its input is not known: what makes that may not fit the shapes of the model's inputs"
    if not _is_elementwise(node):
        return "the runtime has no kernel for this operator"
    if half.computes(ctx, node):
        return None
    types = dict.fromkeys(v.dtype.name.lower() for v in node.inputs if v is not None and v.dtype is not None)
    return f"the runtime has no kernel for this operator on {', '.join(types)}"


def _schedule(graph: ir.Graph) -> Iterator[tuple[ir.Node, Group]]:
    """Each node that starts a plan node, with its group: one with an anchor at the anchor, one without at its last."""
    members: dict[str, list[ir.Node]] = {}
    for node in graph:
        if name := node.metadata_props.get(GROUP):
            members.setdefault(name, []).append(node)
    for node in graph:
        name = node.metadata_props.get(GROUP)
        if name is None:
            yield node, Group(node.name or "", node, ())
            continue
        nodes = members[name]
        anchor = next((n for n in nodes if n.metadata_props[ROLE] == "anchor"), None)
        if node is (anchor or nodes[-1]):
            yield node, Group(name, anchor, tuple(n for n in nodes if n is not anchor))


def _is_elementwise(node: ir.Node) -> bool:
    if quantity(node) is not None:
        return True
    return node.domain in ("", DOMAIN) and (
        node.op_type in program.UNARY or node.op_type in program.BINARY or node.op_type == "Clip"
    )


def _lower_node(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """UnsupportedError names the node, whatever raises it."""
    try:
        _lower_group(ctx, node, group)
    except UnsupportedError as error:
        if str(error).startswith("node "):
            raise
        raise unsupported(node, str(error), error.hint) from error


def _lower_group(ctx: Lowering, node: ir.Node, group: Group) -> None:
    if group.anchor is None:
        program.elementwise(ctx, group.program)
    elif integers.is_late(node):
        ctx.deferred[node.outputs[0]] = lambda: _lower_anchor(ctx, node, group)
    elif integers.moves(ctx, node):
        integers.move(ctx, node, lambda inner: _lower_anchor(inner, node, group))
    elif half.computes(ctx, node):
        half.in_wide_type(ctx, node, lambda inner: _lower_anchor(inner, node, group))
    else:
        _lower_anchor(ctx, node, group)


def _lower_anchor(ctx: Lowering, node: ir.Node, group: Group) -> None:
    if (node.domain, node.op_type) in quantised.PRODUCTS:
        reason = quantised.product(ctx, node, group)
        if reason is None:
            return
        ctx.plan.reasons[node.name or node.op_type] = reason
    _lower_float(ctx, node, group)


def _lower_float(ctx: Lowering, node: ir.Node, group: Group) -> None:
    key = (node.domain, node.op_type)
    if group.program and quantity(group.program[-1]) is not None:
        _lower_float(ctx, node, Group(group.name, node, group.program[:-1]))
        program.elementwise(ctx, group.program[-1:])
        return
    if key in ANCHORS:
        ANCHORS[key](ctx, node, group)
        return
    if _is_program(ctx, node):
        program.elementwise(ctx, [node])
    elif key in HANDLERS:
        HANDLERS[key](ctx, node, Group(group.name, node, ()))
    else:
        raise unsupported(node, str(_missing(ctx, node)))
    if group.program:
        program.elementwise(ctx, group.program)


def _is_program(ctx: Lowering, node: ir.Node) -> bool:
    """Whether the node alone is a float32 program."""
    if quantity(node) is not None:
        return True
    if not _is_elementwise(node) or not ctx.is_f32(*node.inputs, *node.outputs):
        return False
    if node.op_type == "Clip":
        return program.clip_is_constant(ctx, node)
    if node.op_type in program.BINARY:
        return len(node.inputs) == 2
    return len(node.inputs) == 1
