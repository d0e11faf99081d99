"""Marks subgraphs that run as one: a producer with the elementwise nodes after it, or elementwise nodes alone.

    Conv -> Relu -> Add(., r)         one group: anchor Conv, program Relu, Add; r is read tile by tile
    Sigmoid -> Mul -> Tanh            one group without an anchor

Nothing is rewritten: members carry metadata_props `edgeort.group` (the group's name) and `edgeort.role` ("anchor" or
"program"). A group has one output, its inner values have no other reader and are no graph outputs.

A group with an anchor runs at the anchor's place in the graph's order, so that its program reads what comes from nodes
before the anchor. Where a program node that no group took needs something later, and no later anchor wants it, the
members move to the last one's place. A group without an anchor runs at its last member's place. All program values are
float32 and have the shape of the group's output; other operands broadcast into it.

A QuantizeLinear may end a group. A DequantizeLinear of an activation is in none: programs read its integers, so that
its result exists where they do; but a group without an anchor that reads one tensor takes both where its own nodes
alone read them: kernels look up what it makes of a byte. One of several tensors is cut there: what it makes of each
tensor by itself is looked up, too, and sums of bytes have a kernel of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import onnx_ir as ir

from edgeort.model import dynamic_products
from edgeort.passes.context import PassContext
from edgeort.passes.edit import constant, dims, is_op, rank
from edgeort.passes.elementwise import WITH_CONSTANTS, is_program_operator
from edgeort.passes.functions import NHWC
from edgeort.passes.quantised import dequantized, integers_of, quantity, widens_constant

GROUP, ROLE = "edgeort.group", "edgeort.role"
MAX_PROGRAM = 12  # program nodes after an anchor
MAX_ALONE = 16  # program nodes of a group without an anchor
MAX_INPUTS = 8  # tensors that a group without an anchor reads

ANCHORS: frozenset[tuple[str, str]] = frozenset(
    (
        (NHWC, "Conv"),
        (NHWC, "ConvTranspose"),
        (NHWC, "MaxPool"),
        (NHWC, "AveragePool"),
        (NHWC, "LpPool"),
        (NHWC, "GlobalAveragePool"),
        (NHWC, "GlobalMaxPool"),
        (NHWC, "GlobalLpPool"),
        (NHWC, "InstanceNormalization"),
        (NHWC, "GroupNormalization"),
        (NHWC, "BatchNormalization"),
        ("", "Gemm"),
        ("", "MatMul"),
        ("", "LayerNormalization"),
        ("edgeort", "LayerNorm"),
        (dynamic_products.DOMAIN, dynamic_products.NAME),
        ("edgeort", "TensorQuantMatMul"),
        ("com.microsoft", "MatMulNBits"),
    )
)


def group_epilogues(model: ir.Model, ctx: PassContext) -> int:
    """Marks the groups of the main graph, and moves members to where they can run; returns how many groups."""
    return _Grouping(model.graph, ctx).run()


@dataclass
class _Grouping:
    graph: ir.Graph
    ctx: PassContext
    position: dict[ir.Node, int] = field(default_factory=dict)
    grouped: set[ir.Node] = field(default_factory=set)
    count: int = 0

    def run(self) -> int:
        """First the groups with an anchor, then what they can take at a later place, then the rest."""
        self.position = {node: i for i, node in enumerate(self.graph)}
        for node in self.graph:
            node.metadata_props.pop(GROUP, None)
            node.metadata_props.pop(ROLE, None)
        programs: dict[ir.Node, list[ir.Node]] = {node: [] for node in self.graph if _is_anchor(node)}
        for later in (False, True):
            for anchor, program in programs.items():
                self.grouped.difference_update(program)
                longer = self._grow(anchor, later)
                if later and len(longer) > len(program):
                    self._gather([anchor, *longer])
                programs[anchor] = longer
                self.grouped.update(longer)
        for anchor, program in programs.items():
            self._mark(anchor, program)
        for node in self.graph:
            if node not in self.grouped and self._fits(node):
                self._mark(None, self._grow_alone(node))
        return self.count

    def _mark(self, anchor: ir.Node | None, program: list[ir.Node]) -> None:
        members = [*([anchor] if anchor else []), *program]
        if len(members) < 2:
            return
        name = f"g{self.count}_{members[0].name or members[0].op_type}"
        for node in members:
            node.metadata_props[GROUP] = name
            node.metadata_props[ROLE] = "anchor" if node is anchor else "program"
        self.grouped.update(members)
        self.count += 1

    def _gather(self, members: list[ir.Node]) -> None:
        """Moves the members to the place of the last, which comes after all that they read."""
        for node in members[:-1]:
            self.graph.remove(node)
            self.graph.insert_before(members[-1], node)

    def _grow(self, anchor: ir.Node, later: bool) -> list[ir.Node]:
        """The longest program after `anchor`, node by node in the graph's order, that leaves one output.

        It reads what the graph computes before the anchor; with `later` also what comes after it. One output means
        that nothing outside depends on the members but by that output, so that no cycle can arise.
        """
        out, members, rejected = anchor.outputs[0], [anchor], set[ir.Node]()
        best: list[ir.Node] = []
        if out.shape is None or out.dtype != ir.DataType.FLOAT:
            return best
        while len(members) <= MAX_PROGRAM:
            readers = {use.node for member in members for use in member.outputs[0].uses()}
            candidates = readers - set(members) - rejected - self.grouped
            node = min((n for n in candidates if n in self.position), key=self.position.__getitem__, default=None)
            if node is None:
                break
            reason = self._reason(node, anchor, members, later)
            if reason is not None:
                rejected.add(node)
                if reason:
                    self.ctx.refuse("group_epilogues", node, reason)
                continue
            members.append(node)
            if len(_live_outputs(members)) == 1:
                best = members[1:]
        return best

    def _reason(self, node: ir.Node, anchor: ir.Node, members: list[ir.Node], later: bool) -> str | None:
        """Why `node` cannot join the program; empty when that needs no words, None when it can."""
        if not self._fits(node):
            return ""
        inside, out = {m.outputs[0] for m in members}, anchor.outputs[0]
        for value in node.inputs:
            if value is None or value in inside:
                continue
            source = dequantized(value)
            producer = (value if source is None else integers_of(source)).producer()
            if not later and producer is not None and self.position.get(producer, -1) >= self.position[anchor]:
                return ""  # `value` does not exist yet when the anchor runs; its own producer may take the node
            reason = _broadcast_reason(value, out)
            if reason:
                return reason
        return None  # an elementwise result of values that broadcast into one shape has that shape

    def _fits(self, node: ir.Node) -> bool:
        """Whether the node can be a program node at all: operator, dtype, constants where needed, shape known."""
        if node.graph is not self.graph or node.outputs[0].shape is None:
            return False
        if is_op(node, "QuantizeLinear"):
            return (
                quantity(node) is not None and node.inputs[0] is not None and node.inputs[0].dtype == ir.DataType.FLOAT
            )
        if not is_program_operator(node) or len(node.inputs) > 3:
            return False
        if node.op_type in ("Min", "Max") and len(node.inputs) != 2:
            return False
        values = [v for v in (*node.inputs, *node.outputs) if v is not None]
        if any(v.dtype != ir.DataType.FLOAT for v in values):
            return False
        constants = [v for v in node.inputs[1:] if v is not None]
        return (node.domain, node.op_type) not in WITH_CONSTANTS or all(constant(v) is not None for v in constants)

    def _grow_alone(self, seed: ir.Node) -> list[ir.Node]:
        """The largest connected group of elementwise nodes around `seed` that leaves one output."""
        members, rejected = [seed], set[ir.Node]()
        best: list[ir.Node] = []
        while len(members) < MAX_ALONE:
            candidates = set(self._neighbours(members)) - set(members) - rejected - self.grouped
            node = min((n for n in candidates if n in self.position), key=self.position.__getitem__, default=None)
            if node is None:
                break
            if not (self._fits(node) or _restores(node, members)) or not self._joins(node, members):
                rejected.add(node)
                continue
            members.append(node)
            live = _live_outputs(members)
            ends = len(live) == 1 and not is_op(live[0].producer(), "DequantizeLinear")
            restores = any(is_op(member, "DequantizeLinear") for member in members)
            if ends and len(_external(members)) <= (1 if restores else MAX_INPUTS):
                best = sorted(members, key=self.position.__getitem__)
        return best if self._joins(seed, []) else []

    def _joins(self, node: ir.Node, members: list[ir.Node]) -> bool:
        """Whether `node` has the members' shape: because it reads one of them, or because both are known."""
        out = members[0].outputs[0] if members else node.outputs[0]
        inside = {m.outputs[0] for m in members}
        if not inside.intersection(v for v in node.inputs if v is not None) and not _same_dims(node.outputs[0], out):
            return False
        return not any(v is not None and v not in inside and _broadcast_reason(v, out) for v in node.inputs)

    def _neighbours(self, members: list[ir.Node]) -> Iterator[ir.Node]:
        """Readers of the members' outputs, and producers that only the members read."""
        inside = set(members)
        for member in members:
            yield from (use.node for use in member.outputs[0].uses())
            for value in member.inputs:
                producer = None if value is None else value.producer()
                if value is None or producer is None or value.is_graph_output():
                    continue
                if all(use.node in inside for use in value.uses()):
                    yield producer


def _is_anchor(node: ir.Node) -> bool:
    if (node.domain, node.op_type) not in ANCHORS:
        return False
    if node.op_type != "MatMul":
        return True
    weight, source = node.inputs[1], node.inputs[1].producer() if node.inputs[1] is not None else None
    known = constant(weight) is not None or (source is not None and widens_constant(source))
    return known and (rank(weight) or 0) >= 2  # the product with a vector has no columns to broadcast along


def _restores(node: ir.Node, members: list[ir.Node]) -> bool:
    """Whether the node dequantises what one of the members quantised."""
    source = node.inputs[0].producer() if node.inputs and node.inputs[0] is not None else None
    return dequantized(node.outputs[0]) is node and source in members


def _live_outputs(members: list[ir.Node]) -> list[ir.Value]:
    """The members' values that something outside reads."""
    inside, values = set(members), [out for member in members for out in member.outputs]
    return [v for v in values if v.is_graph_output() or any(use.node not in inside for use in v.uses())]


def _external(members: Iterable[ir.Node]) -> set[ir.Value]:
    """The values that the members read from outside, without single-element constants."""
    made = {m.outputs[0] for m in members}
    values = {v for m in members for v in m.inputs if v is not None and v not in made}
    return {v for v in values if (array := constant(v)) is None or array.size > 1}


def _same_dims(a: ir.Value, b: ir.Value) -> bool:
    """Whether both shapes are known to be equal."""
    if a.shape is None or b.shape is None:
        return False
    return None not in dims(a) and dims(a) == dims(b)


def _broadcast_reason(value: ir.Value, out: ir.Value) -> str | None:
    """Why `value` is not known to broadcast into the shape of `out`; None when it does."""
    if value.shape is None or out.shape is None:
        return f"the shape of its operand {value.name!r} is unknown"
    sizes, target = dims(value), dims(out)
    if len(sizes) > len(target):
        return f"its operand {value.name!r} has a higher rank than the output it would be applied to"
    for size, full in zip(reversed(sizes), reversed(target), strict=False):
        if size != 1 and (size is None or size != full):
            return f"its operand {value.name!r} {_text(sizes)} is not known to broadcast into {_text(target)}"
    return None


def _text(sizes: list[int | str | None]) -> str:
    """A shape for people; long expressions are cut."""
    words = [str(s) if s is not None else "?" for s in sizes]
    return "[" + ",".join(w if len(w) <= 24 else w[:23] + "…" for w in words) + "]"
