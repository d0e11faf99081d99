"""Bodies of operators that a few others say, and of operators on float64 that have a kernel for float32 alone."""

from __future__ import annotations

import math

import onnx_ir as ir

from edgeort.model.bodies.builder import FLOAT, INT64, Body, Unknown


def tensor_scatter(b: Body) -> list[str]:
    """Rows of the update go to the cache from a row on that each batch entry names; circular ones wrap."""
    cache, update = b.input(0), b.input(1)
    rank = b.rank(0)
    axis = int(b.attribute("axis", -2)) % rank
    rows = b.op("Reshape", b.range(b.size(update, axis)), b.ints(*[-1 if d == axis else 1 for d in range(rank)]))
    if b.has(2):
        first = b.op("Reshape", b.cast(b.input(2), INT64), b.ints(-1, *[1] * (rank - 1)))
        rows = b.op("Add", rows, first)
    if b.attribute("mode", "linear") == "circular":
        rows = b.op("Mod", rows, b.size(cache, axis))
    return [b.op("ScatterElements", cache, b.op("Expand", rows, b.op("Shape", update)), update, axis=axis)]


def array_feature_extractor(b: Body) -> list[str]:
    """Columns of the last axis."""
    x = b.input(0) if b.rank(0) > 1 else b.unsqueeze(b.input(0), 0)
    return [b.op("Gather", x, b.op("Reshape", b.input(1), b.ints(-1)), axis=-1)]


def binarizer(b: Body) -> list[str]:
    """1 where a value is above the threshold, else 0."""
    x = b.input(0)
    return [b.cast(b.op("Greater", x, b.number(float(b.attribute("threshold", 0.0)))), b.dtype(0))]


def matmul64(b: Body) -> list[str]:
    """float64: the sum over k of rows times columns."""
    if b.dtype(0) != ir.DataType.DOUBLE:
        raise Unknown
    x, y = b.names
    left, right = b.rank(0), b.rank(1)
    wide = b.unsqueeze(x if left > 1 else b.unsqueeze(x, 0), -1)  # [..., m, k, 1]
    other = b.unsqueeze(y if right > 1 else b.unsqueeze(y, 1), -3)  # [..., 1, k, n]
    product = b.reduce("ReduceSum", b.op("Mul", wide, other), [-2], keepdims=0)
    if left == 1:
        product = b.squeeze(product, -2)
    return [product if right > 1 else b.squeeze(product, -1)]


def gemm64(b: Body) -> list[str]:
    """float64: the product of two matrices, and what is added to it."""
    if b.dtype(0) != ir.DataType.DOUBLE:
        raise Unknown
    operands = [
        b.op("Transpose", b.input(index), perm=[1, 0]) if b.attribute(name, 0) else b.input(index)
        for index, name in enumerate(("transA", "transB"))
    ]
    y = _times(b, b.op("MatMul", *operands), float(b.attribute("alpha", 1.0)))
    return [b.op("Add", y, _times(b, b.input(2), float(b.attribute("beta", 1.0)))) if b.has(2) else y]


def _times(b: Body, value: str, factor: float) -> str:
    return value if factor == 1.0 else b.op("Mul", value, b.number(factor))


def sigmoid64(b: Body) -> list[str]:
    """float64: 1 / (1 + exp(-x))."""
    if b.dtype(0) != ir.DataType.DOUBLE:
        raise Unknown
    one = b.number(1.0)
    return [b.op("Div", one, b.op("Add", one, b.op("Exp", b.op("Neg", b.input(0)))))]


def tanh64(b: Body) -> list[str]:
    """float64: (1 - e) / (1 + e) with e = exp(-2 |x|), and the sign of x; its error is absolute, of some 1e-16."""
    if b.dtype(0) != ir.DataType.DOUBLE:
        raise Unknown
    one, x = b.number(1.0), b.input(0)
    e = b.op("Exp", b.op("Mul", b.op("Abs", x), b.number(-2.0)))
    return [b.op("Mul", b.op("Sign", x), b.op("Div", b.op("Sub", one, e), b.op("Add", one, e)))]


def random_normal(b: Body) -> list[str]:
    """Of two uniform numbers (Box and Muller 1958)."""
    seed = float(b.attribute("seed", 0.0))
    shape = {} if b.names else {"shape": list(b.attribute("shape"))}
    name = "RandomUniformLike" if b.names else "RandomUniform"
    first, second = (
        b.op(name, *b.names, dtype=FLOAT.value, seed=at, low=low, high=high, **shape)
        for at, low, high in ((seed, 2.0**-25, 1.0), (seed + 0.5, 0.0, 2 * math.pi))
    )
    radius = b.op("Sqrt", b.op("Mul", b.op("Log", first), b.array(-2.0, FLOAT)))
    normal = b.op("Mul", radius, b.op("Cos", second))
    scaled = b.op("Mul", normal, b.array(float(b.attribute("scale", 1.0)), FLOAT))
    made = b.op("Add", scaled, b.array(float(b.attribute("mean", 0.0)), FLOAT))
    return [b.cast(made, ir.DataType(int(b.attribute("dtype", FLOAT.value))))]


def einsum_of_diagonals(b: Body) -> list[str]:
    """An operand that has an index twice is read along its diagonal: every n + 1st entry of the two axes as one."""
    equation = str(b.attribute("equation", "")).replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(b.names) or all(_repeated(term) is None for term in terms):
        raise Unknown
    operands = []
    for index, name in enumerate(b.names):
        shape = [b.dim(index, axis) for axis in range(b.rank(index))]
        while (label := _repeated(terms[index])) is not None:
            name, terms[index], shape = _diagonal(b, name, terms[index], shape, label)
        operands.append(name)
    if not arrow:  # what occurs once, in alphabetical order
        letters = [letter for letter in left if letter.isalpha()]
        right = "..." * ("." in left) + "".join(sorted(letter for letter in letters if letters.count(letter) == 1))
    return [b.op("Einsum", *operands, equation=f"{','.join(terms)}->{right}")]


def _repeated(term: str) -> str | None:
    return next((letter for letter in term if letter.isalpha() and term.count(letter) > 1), None)


def _diagonal(b: Body, name: str, term: str, shape: list[int], label: str) -> tuple[str, str, list[int]]:
    """Without two of an index's axes, and with the index as the last axis; the term and the shape of that."""
    before, behind = term.partition("...")[0::2] if "..." in term else (term, "")
    axes = [*range(len(before)), *range(len(shape) - len(behind), len(shape))]
    letters = before + behind
    first, second = [axis for axis, letter in zip(axes, letters, strict=True) if letter == label][:2]
    size = shape[first]
    if shape[second] != size:
        raise Unknown
    others = [axis for axis in range(len(shape)) if axis not in (first, second)]
    kept = [shape[axis] for axis in others]
    flat = b.op("Reshape", b.op("Transpose", name, perm=[*others, first, second]), b.ints(*kept, size * size))
    steps = [b.ints(value) for value in (0, size * size, len(kept), size + 1)]
    rest = term.replace(label, "", 2) + label
    return b.op("Slice", flat, *steps), rest, [*kept, size]


BODIES = {
    ("", "Einsum"): einsum_of_diagonals,
    ("", "TensorScatter"): tensor_scatter,
    ("", "MatMul"): matmul64,
    ("", "Gemm"): gemm64,
    ("", "Sigmoid"): sigmoid64,
    ("", "Tanh"): tanh64,
    ("", "RandomNormal"): random_normal,
    ("", "RandomNormalLike"): random_normal,
    ("ai.onnx.ml", "ArrayFeatureExtractor"): array_feature_extractor,
    ("ai.onnx.ml", "Binarizer"): binarizer,
}
