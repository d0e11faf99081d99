"""Bodies of classical machine learning (ai.onnx.ml): outputs are float32, labels the classes' names or numbers.

Where the specification leaves open what a classifier of two classes answers, it is what ONNX Runtime answers.
OneHotEncoder gives zeros for an unknown category, also where it may be an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from edgeort.model.bodies.builder import DOUBLE, FLOAT, INT64, Body, Unknown

DOMAIN = "ai.onnx.ml"


def _x(b: Body) -> str:
    """The input as float32."""
    return b.input(0) if b.dtype(0) == FLOAT else b.cast(b.input(0), FLOAT)


def _floats(b: Body, name: str) -> np.ndarray:
    return np.array(b.attribute(name) or (), np.float32)


def _transformed(b: Body, scores: str, transform: str | int) -> str:
    """After the post_transform; TreeEnsemble has its number."""
    name = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO")[transform] if isinstance(transform, int) else transform
    if name == "LOGISTIC":
        return b.op("Sigmoid", scores)
    if name == "SOFTMAX":
        return b.op("Softmax", scores, axis=-1)
    if name == "SOFTMAX_ZERO":
        top = b.reduce("ReduceMax", scores, [-1])
        there = b.cast(b.op("Not", b.op("Equal", scores, b.array(0, FLOAT))), FLOAT)
        powers = b.op("Mul", b.op("Exp", b.op("Sub", scores, top)), there)
        return b.op("Div", powers, b.op("Max", b.reduce("ReduceSum", powers, [-1]), b.array(1e-30, FLOAT)))
    if name != "NONE":
        raise Unknown
    return scores


def _classes(b: Body, numbers: str) -> Sequence[Any]:
    return b.attribute("classlabels_strings") or b.attribute(numbers) or ()


def _named(b: Body, classes: Sequence[Any], index: str) -> str:
    """The labels of int64 places."""
    names = b.texts(classes) if isinstance(classes[0], str) else b.array(classes, INT64)
    return b.op("Gather", names, index, axis=0)


def _of_one_score(b: Body, classes: Sequence[Any], score: str, threshold: float, scores: str) -> list[str]:
    """The second class where a score [n, 1] is above a threshold."""
    above = b.op("Greater", score, b.array(threshold, FLOAT))
    return [_named(b, classes, b.squeeze(b.cast(above, INT64), 1)), scores]


def _of_scores(b: Body, classes: Sequence[Any], scores: str, transform: str) -> list[str]:
    """The first class of the highest score."""
    label = _named(b, classes, b.op("ArgMax", scores, axis=1, keepdims=0))
    return [label, _transformed(b, scores, transform)]


def _flipped(b: Body, score: str) -> str:
    return b.op("Concat", b.op("Neg", score), score, axis=1)


def _complement(b: Body, score: str) -> str:
    return b.op("Concat", b.op("Sub", b.array(1, FLOAT), score), score, axis=1)


def tree_classifier(b: Body) -> list[str]:
    """Trees vote for classes; two classes of which only one is ever voted for share one score."""
    classes, transform = _classes(b, "classlabels_int64s"), b.attribute("post_transform", "NONE")
    ids = [int(i) for i in b.attribute("class_ids") or ()]
    kept = {k: a for k, a in b.node.attributes.items() if k.startswith(("nodes_", "base_values"))}
    attributes = {name: _plain(a.value) for name, a in kept.items()}
    single = len(classes) == 2 and len(set(ids)) == 1
    attributes["target_ids"] = [0] * len(ids) if single else ids
    for name in ("treeids", "nodeids", "weights", "weights_as_tensor"):
        if (value := b.attribute(f"class_{name}")) is not None:
            attributes[f"target_{name}"] = _plain(value)
    if single and len(attributes.get("base_values", ())) == 2:
        attributes["base_values"] = attributes["base_values"][1:]
    targets = 1 if single else len(classes)
    if not classes:
        raise Unknown
    (scores,) = b.ops("TreeEnsembleRegressor", b.names, 1, domain=DOMAIN, n_targets=targets, **attributes)
    if not single:
        return _of_scores(b, classes, scores, transform)
    weights = b.attribute("class_weights_as_tensor")
    array = _floats(b, "class_weights") if weights is None else weights.numpy()
    if (array >= 0).all():
        return _of_one_score(b, classes, scores, 0.5, _complement(b, scores))
    both = _flipped(b, scores)
    return _of_one_score(b, classes, scores, 0.0, b.op("Sigmoid", both) if transform == "LOGISTIC" else both)


def _plain(value: Any) -> Any:
    """As onnx.helper takes an attribute."""
    return ir.serde.serialize_tensor(value) if isinstance(value, ir.TensorProtocol) else value


def without_transform(b: Body) -> list[str]:
    """Trees, and what follows their sum."""
    transform = b.attribute("post_transform", 0)
    if transform in (0, "NONE"):
        raise Unknown  # there is a kernel
    attributes = {name: _plain(a.value) for name, a in b.node.attributes.items() if name != "post_transform"}
    (scores,) = b.ops(b.node.op_type, b.names, 1, domain=DOMAIN, **attributes)
    return [_transformed(b, scores, transform)]


def _linear(b: Body, rows: int) -> str:
    """x coefficients^T + intercepts."""
    coefficients, intercepts = _floats(b, "coefficients"), _floats(b, "intercepts")
    if rows < 1 or not coefficients.size or coefficients.size % rows or intercepts.size not in (0, 1, rows):
        raise Unknown
    table = coefficients.reshape(rows, -1)
    x = b.op("Reshape", _x(b), b.ints(-1, table.shape[1]))
    scores = b.op("MatMul", x, b.array(table.T, FLOAT))
    return b.op("Add", scores, b.array(intercepts, FLOAT)) if intercepts.size else scores


def linear_regressor(b: Body) -> list[str]:
    """One product."""
    scores = _linear(b, int(b.attribute("targets", 1)))
    return [_transformed(b, scores, b.attribute("post_transform", "NONE"))]


def linear_classifier(b: Body) -> list[str]:
    """One product; two classes may share one score."""
    classes, transform = _classes(b, "classlabels_ints"), b.attribute("post_transform", "NONE")
    rows = max(len(_floats(b, "intercepts")), 1)
    if not classes:
        raise Unknown
    scores = _linear(b, rows)
    if rows == len(classes):
        return _of_scores(b, classes, scores, transform)
    if rows != 1 or len(classes) != 2:
        raise Unknown
    if transform == "LOGISTIC":
        return _of_one_score(b, classes, scores, 0.0, _complement(b, b.op("Sigmoid", scores)))
    return _of_one_score(b, classes, scores, 0.0, _transformed(b, _flipped(b, scores), transform))


def svm_regressor(b: Body) -> list[str]:
    """Sum over support vectors s of coefficient x kernel(x, s), + rho; without any, a linear function."""
    coefficients, rho = _floats(b, "coefficients"), _floats(b, "rho")
    supports = int(b.attribute("n_supports", 0))
    x = _x(b) if b.rank(0) > 1 else b.unsqueeze(_x(b), 0)
    weighed = _kernel(b, x, _floats(b, "support_vectors").reshape(supports, -1)) if supports else x
    y = b.op("Add", b.op("MatMul", weighed, b.array(coefficients.reshape(-1, 1), FLOAT)), b.array(rho[:1], FLOAT))
    if int(b.attribute("one_class", 0)):
        y = b.op("Where", b.op("Greater", y, b.array(0, FLOAT)), b.array(1, FLOAT), b.array(-1, FLOAT))
    return [_transformed(b, y, b.attribute("post_transform", "NONE"))]


def _kernel(b: Body, x: str, vectors: np.ndarray) -> str:
    """[n, supports]."""
    kind = b.attribute("kernel_type", "LINEAR")
    gamma, coef0, degree = (
        (*_floats(b, "kernel_params"), 0.0, 0.0, 3.0)[:3] if b.attribute("kernel_params") else (0, 0, 3)
    )
    if kind == "RBF":
        apart = b.op("Sub", b.unsqueeze(x, 1), b.array(vectors[None], FLOAT))
        square = b.reduce("ReduceSum", b.op("Mul", apart, apart), [2], keepdims=0)
        return b.op("Exp", b.op("Mul", square, b.array(-float(gamma), FLOAT)))
    product = b.op("MatMul", x, b.array(vectors.T, FLOAT))
    if kind == "LINEAR":
        return product
    affine = b.op("Add", b.op("Mul", product, b.array(float(gamma), FLOAT)), b.array(float(coef0), FLOAT))
    if kind == "POLY":
        return b.op("Pow", affine, b.array(float(degree), FLOAT))
    if kind == "SIGMOID":
        return b.op("Tanh", affine)
    raise Unknown


def scaler(b: Body) -> list[str]:
    """(x - offset) * scale."""
    offset, scale = _floats(b, "offset"), _floats(b, "scale")
    x = b.op("Sub", _x(b), b.array(offset, FLOAT)) if offset.size else _x(b)
    return [b.op("Mul", x, b.array(scale, FLOAT)) if scale.size else x]


def normalizer(b: Body) -> list[str]:
    """Rows divided by their norm, where that is not 0."""
    x, kind = _x(b), b.attribute("norm", "MAX")
    size = b.op("Abs", x) if kind == "L1" else b.op("Mul", x, x) if kind == "L2" else x
    norm = b.reduce("ReduceMax" if kind == "MAX" else "ReduceSum", size, [-1])
    norm = b.op("Sqrt", norm) if kind == "L2" else norm
    one = b.op("Where", b.op("Equal", norm, b.array(0, FLOAT)), b.array(1, FLOAT), norm)
    return [b.op("Div", x, one)]


def imputer(b: Body) -> list[str]:
    """One value, or NaN, becomes another, which may differ from column to column."""
    kind = "floats" if b.dtype(0) in (FLOAT, DOUBLE) else "int64s"
    values = b.attribute(f"imputed_value_{kind}")
    replaced = b.attribute(f"replaced_value_{kind[:-1]}", 0)
    if values is None:
        raise Unknown
    number = b.array(replaced, b.dtype(0))
    missing = b.op("IsNaN", b.input(0)) if replaced != replaced else b.op("Equal", b.input(0), number)
    return [b.op("Where", missing, b.array(values, b.dtype(0)), b.input(0))]


def feature_vectorizer(b: Body) -> list[str]:
    """Columns side by side."""
    parts = []
    for index, name in enumerate(b.names):
        part = name if b.dtype(index) == FLOAT else b.cast(name, FLOAT)
        parts.append(part if b.rank(index) > 1 else b.unsqueeze(part, 0))
    return [b.op("Concat", *parts, axis=1)]


def one_hot_encoder(b: Body) -> list[str]:
    """A new last axis: 1 at the place of the category."""
    names, numbers = b.attribute("cats_strings"), b.attribute("cats_int64s")
    if b.dtype(0) == ir.DataType.STRING:
        if not names:
            raise Unknown
        same = b.op("Equal", b.unsqueeze(b.input(0), -1), b.texts(names))
    else:
        if not numbers:
            raise Unknown
        same = b.op("Equal", b.unsqueeze(b.cast(b.input(0), INT64), -1), b.array(numbers, INT64))
    return [b.cast(same, FLOAT)]


BODIES = {
    (DOMAIN, "TreeEnsembleClassifier"): tree_classifier,
    (DOMAIN, "TreeEnsembleRegressor"): without_transform,
    (DOMAIN, "TreeEnsemble"): without_transform,
    (DOMAIN, "LinearRegressor"): linear_regressor,
    (DOMAIN, "LinearClassifier"): linear_classifier,
    (DOMAIN, "SVMRegressor"): svm_regressor,
    (DOMAIN, "Scaler"): scaler,
    (DOMAIN, "Normalizer"): normalizer,
    (DOMAIN, "Imputer"): imputer,
    (DOMAIN, "FeatureVectorizer"): feature_vectorizer,
    (DOMAIN, "OneHotEncoder"): one_hot_encoder,
}
