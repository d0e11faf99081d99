"""Bodies of what training adds: BatchNormalization and Dropout as they train, the optimizers.

By their definitions in the ONNX specification.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgeort.model.bodies.builder import BOOL, FLOAT, Body, Unknown

TRAINING = "ai.onnx.preview.training"


def batch_normalization(b: Body) -> list[str]:
    """With the statistics of the batch, and those that run along."""
    if not b.attribute("training_mode", 0):
        raise Unknown
    x, scale, bias, mean, variance = b.names[:5]
    rank, momentum = b.rank(0), float(b.attribute("momentum", 0.9))
    axes = [axis for axis in range(rank) if axis != 1]
    batch_mean = b.reduce("ReduceMean", x, axes)
    centered = b.op("Sub", x, batch_mean)
    batch_variance = b.reduce("ReduceMean", b.op("Mul", centered, centered), axes)

    def channel(value: str) -> str:
        return b.op("Reshape", value, b.ints(1, -1, *[1] * (rank - 2)))

    def running(old: str, new: str) -> str:
        flat = b.op("Reshape", new, b.ints(-1))
        return b.op("Add", b.op("Mul", old, b.number(momentum, 3)), b.op("Mul", flat, b.number(1 - momentum, 3)))

    deviation = b.op("Sqrt", b.op("Add", batch_variance, b.number(float(b.attribute("epsilon", 1e-5)))))
    y = b.op("Add", b.op("Mul", b.op("Div", centered, deviation), channel(scale)), channel(bias))
    return [y, running(mean, batch_mean), running(variance, batch_variance)]


def dropout(b: Body) -> list[str]:
    """As it trains: values are dropped at random, the others scaled."""
    if not b.has(2):
        raise Unknown
    x, training = b.input(0), b.op("Reshape", b.input(2), b.ints())
    ratio = b.cast(b.input(1), FLOAT) if b.has(1) else b.array(0.5, FLOAT)
    seed = {"seed": float(self_seed)} if (self_seed := b.attribute("seed")) is not None else {}
    random = b.op("RandomUniformLike", x, dtype=FLOAT.value, **seed)
    kept = b.op("Or", b.op("GreaterOrEqual", random, ratio), b.op("Not", training))
    scale = b.op("Where", training, b.op("Sub", b.array(1.0, FLOAT), ratio), b.array(1.0, FLOAT))
    scaled = b.op("Div", b.cast(x, FLOAT), scale)
    return [b.op("CastLike", b.op("Where", kept, scaled, b.array(0.0, FLOAT)), x), b.cast(kept, BOOL)]


# Of one tensor: the step's rate, the tensor, its gradient, its states -> the new tensor and states.
Step = Callable[[Body, str, Sequence[str]], list[str]]


def _optimizer(states: int, step: Step) -> Callable[[Body], list[str]]:
    """Inputs are the rate, the count of updates, the tensors, their gradients, each group of their states."""

    def body(b: Body) -> list[str]:
        n = (len(b.names) - 2) // (2 + states)
        made = [step(b, b.input(0), [b.input(2 + k * n + i) for k in range(2 + states)]) for i in range(n)]
        return [group[k] for k in range(1 + states) for group in made]

    return body


def _regularized(b: Body, tensor: str, gradient: str) -> str:
    norm = b.number(float(b.attribute("norm_coefficient", 0.0)))
    return b.op("Add", b.op("Mul", tensor, norm), gradient)


def _adagrad(b: Body, rate: str, values: Sequence[str]) -> list[str]:
    """Duchi et al. 2011."""
    x, gradient, history = values
    decay = b.op("Mul", b.cast(b.input(1), FLOAT), b.number(float(b.attribute("decay_factor", 0.0))))
    rate = b.op("Div", rate, b.op("Add", decay, b.number(1.0)))
    g = _regularized(b, x, gradient)
    new = b.op("Add", history, b.op("Mul", g, g))
    epsilon = b.number(float(b.attribute("epsilon", 1e-6)))
    step = b.op("Div", b.op("Mul", g, rate), b.op("Add", b.op("Sqrt", new), epsilon))
    return [b.op("Sub", x, step), new]


def _adam(b: Body, rate: str, values: Sequence[str]) -> list[str]:
    """Kingma and Ba 2014, arXiv:1412.6980."""
    x, gradient, first, second = values
    alpha, beta = (float(b.attribute(name, default)) for name, default in (("alpha", 0.9), ("beta", 0.999)))
    g = _regularized(b, x, gradient)

    def mixed(old: str, new: str, part: float) -> str:
        return b.op("Add", b.op("Mul", old, b.number(part)), b.op("Mul", new, b.number(1 - part)))

    v, h = mixed(first, g, alpha), mixed(second, b.op("Mul", g, g), beta)
    updates = b.cast(b.input(1), FLOAT)
    one = b.number(1.0)
    unbiased = [b.op("Sub", one, b.op("Pow", b.number(part), updates)) for part in (beta, alpha)]
    grown = b.op("Div", b.op("Mul", rate, b.op("Sqrt", unbiased[0])), unbiased[1])
    corrected = b.op("Where", b.op("Greater", updates, b.number(0.0)), grown, rate)
    root = b.op("Add", b.op("Sqrt", h), b.number(float(b.attribute("epsilon", 1e-6))))
    moved = b.op("Sub", x, b.op("Div", b.op("Mul", corrected, v), root))
    after = b.number(1 - float(b.attribute("norm_coefficient_post", 0.0)))
    return [b.op("Mul", moved, after), v, h]


def _momentum(b: Body, rate: str, values: Sequence[str]) -> list[str]:
    """Sutskever et al. 2013; mode nesterov looks ahead."""
    x, gradient, velocity = values
    g = _regularized(b, x, gradient)
    alpha, beta = b.number(float(b.attribute("alpha", 0.0))), b.number(float(b.attribute("beta", 0.0)))
    first = b.op("Equal", b.cast(b.input(1), FLOAT), b.number(0.0))
    v = b.op("Add", b.op("Mul", velocity, alpha), b.op("Mul", g, b.op("Where", first, b.number(1.0), beta)))
    step = b.op("Add", g, b.op("Mul", v, alpha)) if b.attribute("mode") == "nesterov" else v
    return [b.op("Sub", x, b.op("Mul", step, rate)), v]


BODIES = {
    ("", "BatchNormalization"): batch_normalization,
    ("", "Dropout"): dropout,
    (TRAINING, "Adagrad"): _optimizer(1, _adagrad),
    (TRAINING, "Adam"): _optimizer(2, _adam),
    (TRAINING, "Momentum"): _optimizer(1, _momentum),
}
