"""Einsum as products of two operands at a time.

    bhid,bhjd->bhij     Transpose(b) to b h d j, MatMul: b, h are batches, i rows, j columns, d summed
    td,edh->eth         further rows and columns, here e, are batches in which the other operand has size 1
    bhd,hde->be         further summed indices, here h, are batches too, and summed afterwards
    bj,bji->bi          a vector is one row
    bij,bj->bi          but where the summed index of the matrix is its last, or there is none: Mul, ReduceSum

Labels of one operand alone that the result lacks are summed first. A label twice in one operand is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from edgeort.lowering import layout, typed
from edgeort.lowering.context import F32, Group, Lowering, text, unsupported
from edgeort.lowering.move import integer_list
from edgeort.lowering.params import PARAMS

_ELLIPSIS = "0123456789"  # the labels of dimensions that `...` stands for
_ONE = "-"  # the label of a dimension of 1


@dataclass(frozen=True)
class _Term:
    tensor: int
    labels: str


def _expand(node: ir.Node, labels: str, ellipsis: int) -> str:
    if "..." in labels:
        labels = labels.replace("...", _ELLIPSIS[len(_ELLIPSIS) - ellipsis :])
    if len(set(labels)) < len(labels):
        raise unsupported(node, f"takes a diagonal ({labels})", "replace it with Gather or a product with EyeLike")
    return labels


def _parse(ctx: Lowering, node: ir.Node) -> tuple[list[_Term], str]:
    """The operands with their labels, and the result's labels."""
    left, arrow, right = text(node, "equation").replace(" ", "").partition("->")
    parts, terms, widest = left.split(","), [], 0
    if len(parts) != len(node.inputs):
        raise unsupported(node, f"has {len(node.inputs)} operands for the equation {text(node, 'equation')!r}")
    for value, labels in zip(node.inputs, parts, strict=True):
        hidden = 0
        if "..." in labels:
            if value is None or value.shape is None:
                raise unsupported(node, "has an ellipsis over an operand of unknown rank")
            hidden = len(value.shape) - len(labels.replace("...", ""))
        widest = max(widest, hidden)
        terms.append(_Term(ctx.value(value), _expand(node, labels, hidden)))
    if arrow:
        return terms, _expand(node, right, widest)
    every = "".join(term.labels for term in terms)
    dots = "".join(sorted({label for label in every if label in _ELLIPSIS}))
    return terms, dots + "".join(sorted(label for label in set(every) - set(dots) if every.count(label) == 1))


class _Products:
    """Emits the plan nodes of one Einsum, whose element type is `code`."""

    def __init__(self, ctx: Lowering, node: ir.Node, code: int) -> None:
        self.ctx, self.node, self.code = ctx, node, code

    def emit(self, op: str, params: bytes, *inputs: int) -> int:
        out = self.ctx.plan.activation(f"{self.node.name}.{op}", self.code)
        self.ctx.emit(op, self.node, params, inputs=inputs, outputs=[out])
        return out

    def sum(self, term: _Term, kept: Collection[str]) -> _Term:
        """Without the labels that nobody else needs."""
        axes = [axis for axis, label in enumerate(term.labels) if label not in kept]
        if not axes:
            return term
        params = PARAMS["ListParams"].pack(count=len(axes), values=axes)
        labels = "".join(label for label in term.labels if label in kept)
        return _Term(self.emit("ReduceSum", params, term.tensor), labels)

    def ordered(self, term: _Term, labels: str) -> _Term:
        """In the order of `labels`; what the term lacks becomes a dimension of 1."""
        own = [label for label in labels if label in term.labels]
        tensor = term.tensor
        perm = [term.labels.index(label) for label in own]
        if perm != sorted(perm):
            tensor = self.emit("Transpose", PARAMS["ListParams"].pack(count=len(perm), values=perm), tensor)
        if missing := [axis for axis, label in enumerate(labels) if label not in own]:
            tensor = self.emit("Unsqueeze", b"", tensor, integer_list(self.ctx, self.node, "axes", missing))
        return _Term(tensor, labels)

    def pair(self, a: _Term, b: _Term, kept: Collection[str]) -> _Term:
        """The product of two operands, summed over the labels that are not kept."""
        a, b = self.sum(a, {*kept, *b.labels}), self.sum(b, {*kept, *a.labels})
        batch = "".join(label for label in a.labels if label in b.labels and label in kept)
        summed = "".join(label for label in a.labels if label in b.labels and label not in kept)
        rows = "".join(label for label in a.labels if label not in b.labels)
        columns = "".join(label for label in b.labels if label not in a.labels)
        if not columns:
            a, b, rows, columns = b, a, columns, rows
        if self.code == F32 and summed and columns and (rows or b.labels[-1] not in summed):
            return self.sum(self.matrices(a, b, batch, rows, summed, columns), kept)
        labels = batch + rows + columns + summed
        self.check_rank(len(labels))
        product = self.emit("Mul", b"", self.ordered(a, labels).tensor, self.ordered(b, labels).tensor)
        return self.sum(_Term(product, labels), kept)

    def matrices(self, a: _Term, b: _Term, batch: str, rows: str, summed: str, columns: str) -> _Term:
        """The product over the last of `summed`; the others are still there."""
        row = rows[-1:] or _ONE
        # b is the same matrix for all rows that are batches, which therefore run fastest
        outer = batch + summed[:-1] + columns[:-1] + rows[:-1]
        self.check_rank(len(outer) + 2)
        params = PARAMS["GemmParams"].pack(alpha=1.0, epilogue=layout.PROGRAM.pack())
        operands = self.ordered(a, outer + row + summed[-1]), self.ordered(b, outer + summed[-1] + columns[-1])
        product = self.emit("Gemm", params, *(term.tensor for term in operands))
        if not rows:
            product = self.emit("Squeeze", b"", product, integer_list(self.ctx, self.node, "axes", [len(outer)]))
        return _Term(product, outer + rows[-1:] + columns[-1])

    def check_rank(self, count: int) -> None:
        if count > layout.MAX_RANK:
            raise unsupported(self.node, f"needs {count} indices at once; the limit is {layout.MAX_RANK}")


def einsum(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Operands are multiplied from the left."""
    code = ctx.code(node.inputs[0])  # type: ignore[arg-type]
    if layout.DTYPES[code][0] not in ("f32", "f64", "i32", "i64", "u32", "u64"):
        raise unsupported(node, f"has no kernel for element type {layout.DTYPES[code][0]}")
    terms, output = _parse(ctx, node)
    products = _Products(ctx, node, code)
    while len(terms) > 1:
        kept: Sequence[str] = output + "".join(term.labels for term in terms[2:])
        terms = [products.pair(terms[0], terms[1], kept), *terms[2:]]
    result = products.ordered(products.sum(terms[0], output), output)
    typed.cast(ctx, node, result.tensor, code, ctx.result(node.outputs[0]))


HANDLERS = {("", "Einsum"): einsum}
