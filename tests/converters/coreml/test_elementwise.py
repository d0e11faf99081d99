"""Activations, arithmetic, comparisons: many nodes in one package, each compared with ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeort.converters import coreml
from tests.converters.coreml.support import Graph, check

PLAIN = (
    "Relu", "Sigmoid", "Tanh", "Softsign", "Softplus", "LeakyRelu", "Elu", "ThresholdedRelu", "Selu", "Celu",
    "HardSigmoid", "HardSwish", "Mish", "Abs", "Ceil", "Floor", "Round", "Sign", "Neg", "Exp", "Erf", "Sin", "Cos",
    "Tan", "Atan", "Sinh", "Cosh", "Asinh", "Shrink", "Softmax", "LogSoftmax", "Hardmax", "Identity", "IsNaN",
)  # fmt: skip
OPTIONS = {
    "LeakyRelu": {"alpha": 0.3}, "Elu": {"alpha": 0.7}, "Celu": {"alpha": 1.7}, "Shrink": {"lambd": 0.6, "bias": 0.2},
    "HardSigmoid": {"alpha": 0.3, "beta": 0.4}, "ThresholdedRelu": {"alpha": 0.4}, "Selu": {"alpha": 1.5, "gamma": 1.2},
}  # fmt: skip
POSITIVE = ("Sqrt", "Log", "Reciprocal")
INSIDE_ONE = ("Asin", "Acos", "Atanh")


@pytest.mark.parametrize("min_os", ["15.0", "17.0"])
def test_functions_of_one_number(min_os: str, rng: np.random.Generator, tmp_path: Path):
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32) * 2
    x[0, 0, 0, :4] = 0.5, -0.5, 1.5, 2.5  # ties of Round
    graph = Graph({"x": x, "p": np.abs(x) + 0.1, "o": np.tanh(x) * 0.9}, opset=20)
    for op in PLAIN:
        graph.add(op, "x", **OPTIONS.get(op, {}))
    graph.add("Softmax", "x", axis=1)
    graph.add("LogSoftmax", "x", axis=1)
    graph.add("Gelu", "x")
    graph.add("Gelu", "x", approximate="tanh")
    for op in POSITIVE:
        graph.add(op, "p")
    graph.add("Acosh", graph.add("Add", "p", np.float32(1)))
    for op in INSIDE_ONE:
        graph.add(op, "o")
    check(graph, tmp_path, coreml.Options(precision="float32", min_os=min_os), tolerance=1e-5)


def test_parameters_that_are_tensors(rng: np.random.Generator, tmp_path: Path):
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32) * 5
    graph = Graph({"x": x, "low": np.float32([-1.5]).reshape(()), "i": np.arange(-4, 5)})
    graph.add("PRelu", "x", np.float32([0.1, 0.2, 0.3]).reshape(3, 1, 1))
    graph.add("PRelu", "x", np.float32([0.1, 0.2, 0.3, 0.4, 0.5]))
    for low, high in ((0, 6), (0, None), (-1, 1), (None, 2), (-2, None), (None, None), (0, np.finfo(np.float32).max)):
        graph.add("Clip", "x", *(None if end is None else np.float32(end) for end in (low, high)))
    graph.add("Clip", "x", "low", np.float32(3))
    graph.add("Clip", "i", np.int64(-2), np.int64(2))
    check(graph, tmp_path)


def test_arithmetic(rng: np.random.Generator, tmp_path: Path):
    a, b = (rng.standard_normal(shape).astype(np.float32) + 3 for shape in ((2, 3, 4), (3, 1)))
    i, j = np.array([-7, -6, 0, 5, 7, 9]), np.array([2, -4, 3, 3, -2, 4])
    graph = Graph({"a": a, "b": b, "i": i, "j": j})
    for op in ("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Mean"):
        graph.add(op, "a", "b")
    for op in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Mod"):
        graph.add(op, "i", "j")
    graph.add("Mod", "i", "j", fmod=1)
    graph.add("Mod", "a", "b", fmod=1)
    graph.add("Max", "a", "b", np.float32(3.1))
    graph.add("Max", "a")
    minus = graph.add("Neg", "a")
    for exponent in (2, 3, -1, 4):
        graph.add("Pow", minus, np.float32(exponent))
    for exponent in (0.5, -0.5, 1.7):
        graph.add("Pow", "a", np.float32(exponent))
    check(graph, tmp_path)


def test_comparisons_logic_and_choice(rng: np.random.Generator, tmp_path: Path):
    a, b = (rng.integers(-2, 3, shape).astype(np.float32) for shape in ((2, 3, 4), (3, 1)))
    p, q = (rng.random(shape) > 0.5 for shape in ((2, 3, 4), (4,)))
    graph = Graph({"a": a, "b": b, "p": p, "q": q, "i": np.arange(4)})
    for op in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"):
        graph.add(op, "a", "b")
    graph.add("Equal", "p", "q")
    for op in ("And", "Or", "Xor"):
        graph.add(op, "p", "q")
    graph.add("Not", "p")
    graph.add("Where", "p", "a", "b")
    graph.add("Where", "p", np.float32(1), np.float32(-1))
    graph.add("Where", "q", "i", np.int64(7))
    for target in (1, 6, 7, 9, 10):  # float, int32, int64, bool, float16
        graph.add("Cast", "a", to=target)
        graph.add("Cast", "p", to=target)
    check(graph, tmp_path)


def test_float16_keeps_open_ends_and_masks(rng: np.random.Generator, tmp_path: Path):
    """-3.4e38, which exporters write for a masked place, is a number in float16 too: no row becomes NaN."""
    x = rng.standard_normal((2, 6)).astype(np.float32)
    mask = np.array([[True] * 4 + [False] * 2, [False] * 6])
    graph = Graph({"x": x, "mask": mask})
    least = np.finfo(np.float32).min
    graph.add("Softmax", graph.add("Where", "mask", "x", least))
    penalty = graph.add("Mul", graph.add("Sub", np.float32(1), graph.add("Cast", "mask", to=1)), least)
    graph.add("Softmax", graph.add("Add", "x", penalty))
    graph.outputs = [name for name in graph.outputs if name.startswith("softmax")]
    check(graph, tmp_path, coreml.Options(), tolerance=2e-3)
