"""Products of matrices: MatMul, Gemm, Einsum."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var

from edgeort.converters.coreml.emission import Emission, Refused, Results, is_float, scalar, static_shape
from edgeort.converters.coreml.quantised import weight_matrix
from edgeort.passes import edit

_LINEAR_RANK = 3  # the greatest rank of MIL's `linear`


def matmul(e: Emission, node: ir.Node) -> Results:
    """MatMul; by a stored matrix as `linear`, whose weights compress by output channel."""
    x, y = e.input(node), edit.operand(node, 1)
    if is_float(x) and 2 <= x.rank <= _LINEAR_RANK:
        weight = weight_matrix(e, y, transposed=True)
        if weight is not None:
            return mb.linear(x=x, weight=weight)
    return _product(x, e.var(y))


def _product(x: Var, y: Var) -> Var:
    if not is_float(x):
        raise Refused("it multiplies integers")
    squeezed = [axis for axis, operand in ((-2, x), (-1, y)) if operand.rank == 1]
    x = mb.expand_dims(x=x, axes=[0]) if x.rank == 1 else x
    y = mb.expand_dims(x=y, axes=[1]) if y.rank == 1 else y
    z = mb.matmul(x=x, y=y)
    return mb.squeeze(x=z, axes=squeezed) if squeezed else z


def gemm(e: Emission, node: ir.Node) -> Results:
    """alpha * A' * B' + beta * C."""
    x, b = e.input(node), edit.operand(node, 1)
    flags = [edit.integer(node, key, 0) == 1 for key in ("transA", "transB")]
    alpha, beta = edit.number(node, "alpha", 1.0), edit.number(node, "beta", 1.0)
    if not is_float(x):
        raise Refused("it multiplies integers")
    weight = weight_matrix(e, b, transposed=not flags[1]) if alpha == 1 else None
    bias = e.known(node, 2)
    if weight is None:
        y = mb.matmul(x=x, y=e.var(b), transpose_x=flags[0], transpose_y=flags[1])
        y = y if alpha == 1 else mb.mul(x=y, y=scalar(y, alpha))
    else:
        x = mb.transpose(x=x, perm=[1, 0]) if flags[0] else x
        if bias is not None and bias.size == weight.shape[0] and bias.shape[-1] == bias.size:
            return mb.linear(x=x, weight=weight, bias=bias.reshape(-1) * bias.dtype.type(beta))
        y = mb.linear(x=x, weight=weight)
    if edit.operand(node, 2) is None:
        return y
    c = e.input(node, 2)
    return mb.add(x=y, y=c if beta == 1 else mb.mul(x=c, y=scalar(c, beta)))


def einsum(e: Emission, node: ir.Node) -> Results:
    """Einsum of one or two operands, each letter once in each: sums, transposes and one product of matrices."""
    terms, out = _equation(node)
    operands = [e.var(value) for value in node.inputs]
    if any(len(term) != operand.rank for term, operand in zip(terms, operands, strict=True)):
        raise Refused("its equation does not have the ranks of its operands")
    alone = []
    for index, term in enumerate(terms):
        elsewhere = set(out).union(*(other for place, other in enumerate(terms) if place != index))
        gone = [axis for axis, letter in enumerate(term) if letter not in elsewhere]
        x = operands[index]
        alone.append(mb.reduce_sum(x=x, axes=gone, keep_dims=False) if gone else x)
        terms[index] = "".join(letter for letter in term if letter in elsewhere)
    if len(terms) == 1:
        return _ordered(alone[0], terms[0], out)
    return _contract(alone[0], alone[1], terms, out)


def _equation(node: ir.Node) -> tuple[list[str], str]:
    equation = edit.text(node, "equation", "").replace(" ", "")
    if "." in equation:
        raise Refused(f"its equation {equation!r} has an ellipsis")
    left, arrow, out = equation.partition("->")
    terms = left.split(",")
    if not arrow:
        out = "".join(sorted(letter for letter in set(left) - {","} if left.count(letter) == 1))
    if len(terms) > 2 or any(len(set(term)) < len(term) for term in (*terms, out)):
        raise Refused(f"its equation {equation!r} has more than two operands, or a letter twice in one")
    return terms, out


def _ordered(x: Var, have: str, want: str) -> Var:
    return mb.identity(x=x) if have == want else mb.transpose(x=x, perm=[have.index(letter) for letter in want])


def _contract(x: Var, y: Var, terms: list[str], out: str) -> Var:
    """[batch, rows, summed] times [batch, summed, columns]; several letters of a kind become one axis."""
    first, second = terms
    batch = "".join(letter for letter in out if letter in first and letter in second)
    summed = "".join(letter for letter in first if letter in second and letter not in out)
    rows, columns = ("".join(c for c in out if c in mine and c not in batch) for mine in (first, second))
    sizes = dict(zip(first, x.shape, strict=True)) | dict(zip(second, y.shape, strict=True))
    left = _grouped(_ordered(x, first, batch + rows + summed), (batch, rows, summed), sizes)
    right = _grouped(_ordered(y, second, batch + summed + columns), (batch, summed, columns), sizes)
    z = mb.matmul(x=left, y=right)
    order = batch + rows + columns
    if len(rows) != 1 or len(columns) != 1:
        whole = [sizes[letter] for letter in order]
        if sum(not isinstance(size, (int, np.integer)) for size in whole) > 1:
            raise Refused("it merges axes, and more than one dimension is free")
        z = mb.reshape(x=z, shape=[int(n) if isinstance(n, (int, np.integer)) else -1 for n in whole] or [1])
        if not order:
            z = mb.squeeze(x=z, axes=[0])
    return _ordered(z, order, out)


def _grouped(x: Var, groups: tuple[str, str, str], sizes: dict[str, object]) -> Var:
    batch, *pair = groups
    if all(len(group) == 1 for group in pair):
        return x
    shape = [sizes[letter] for letter in batch]
    for group in pair:
        inner = [sizes[letter] for letter in group]
        known = all(isinstance(size, (int, np.integer)) for size in inner)
        shape.append(int(np.prod(inner, dtype=int)) if known else -1)
    if sum(not isinstance(size, (int, np.integer)) or size == -1 for size in shape) > 1:
        static_shape(x, "a dimension that it merges")
    return mb.reshape(x=x, shape=[int(n) if isinstance(n, (int, np.integer)) else -1 for n in shape])
