"""Normalisations."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var, types

from edgeort.converters.coreml.emission import Emission, Refused, Results, positive, scalar, static_shape
from edgeort.passes import edit

_EPSILON = 1e-5


def batch_norm(e: Emission, node: ir.Node) -> Results:
    """BatchNormalization with its stored statistics; a factor and an offset where the rank is no picture's."""
    x = e.input(node)
    if edit.integer(node, "training_mode", 0):
        raise Refused("it is in training mode")
    gamma, beta, mean, variance = (e.constant(node, index, "its statistics") for index in range(1, 5))
    epsilon = edit.number(node, "epsilon", _EPSILON)
    if 3 <= x.rank <= 5:
        return mb.batch_norm(
            x=x, mean=mean, variance=variance, gamma=gamma, beta=beta, epsilon=scalar(x, epsilon)
        )
    factor = gamma / np.sqrt(variance + gamma.dtype.type(epsilon))
    shape = [1, -1] + [1] * (x.rank - 2)
    return mb.add(x=mb.mul(x=x, y=factor.reshape(shape)), y=(beta - mean * factor).reshape(shape))


def instance_norm(e: Emission, node: ir.Node) -> Results:
    """InstanceNormalization."""
    x = e.input(node)
    gamma, beta = (e.constant(node, index, "its scale and bias") for index in (1, 2))
    if x.rank == 3 or x.rank == 4:
        epsilon = scalar(x, edit.number(node, "epsilon", _EPSILON))
        return mb.instance_norm(x=x, gamma=gamma, beta=beta, epsilon=epsilon)
    shape = [1, -1] + [1] * (x.rank - 2)
    normal = _standardise(x, list(range(2, x.rank)), edit.number(node, "epsilon", _EPSILON))
    return mb.add(x=mb.mul(x=normal, y=gamma.reshape(shape)), y=beta.reshape(shape))


def layer_norm(e: Emission, node: ir.Node) -> Results:
    """LayerNormalization; only its first output."""
    if any(output.uses() or output.is_graph_output() for output in node.outputs[1:]):
        raise Refused("its mean and deviation are read")
    x = e.input(node)
    first = positive(edit.integer(node, "axis", -1), x.rank)
    axes = list(range(first, x.rank))
    epsilon = scalar(x, edit.number(node, "epsilon", _EPSILON))
    gamma, beta = e.known(node, 1), e.known(node, 2)
    stored = gamma is not None and (beta is not None or edit.operand(node, 2) is None)
    inner = x.shape[first:]
    if stored and all(isinstance(size, int) for size in inner):
        parts = {"gamma": gamma, "beta": beta}
        given = {key: np.broadcast_to(array, inner).copy() for key, array in parts.items() if array is not None}
        return mb.layer_norm(x=x, axes=axes, epsilon=epsilon, **given)
    y = mb.mul(x=mb.layer_norm(x=x, axes=axes, epsilon=epsilon), y=e.input(node, 1))
    bias = e.optional(node, 2)
    return y if bias is None else mb.add(x=y, y=bias)


def rms_norm(e: Emission, node: ir.Node) -> Results:
    """RMSNormalization: x / sqrt(mean(x^2) + epsilon) * scale."""
    x = e.input(node)
    axes = list(range(positive(edit.integer(node, "axis", -1), x.rank), x.rank))
    square = mb.reduce_mean(x=mb.mul(x=x, y=x), axes=axes, keep_dims=True)
    root = mb.sqrt(x=mb.add(x=square, y=scalar(x, edit.number(node, "epsilon", _EPSILON))))
    return mb.mul(x=mb.real_div(x=x, y=root), y=e.input(node, 1))


def group_norm(e: Emission, node: ir.Node) -> Results:
    """GroupNormalization: each group of channels is standardised; scale and bias are by channel, or by group."""
    x = e.input(node)
    groups = edit.integer(node, "num_groups", 1)
    shape = static_shape(x, "its shape")
    gamma, beta = (e.constant(node, index, "its scale and bias") for index in (1, 2))
    if gamma.size != shape[1]:  # before opset 21
        gamma, beta = (np.repeat(array, shape[1] // groups) for array in (gamma, beta))
    split = mb.reshape(x=x, shape=[shape[0], groups, -1])
    normal = mb.reshape(x=_standardise(split, [2], edit.number(node, "epsilon", _EPSILON)), shape=list(shape))
    by_channel = [1, -1] + [1] * (x.rank - 2)
    return mb.add(x=mb.mul(x=normal, y=gamma.reshape(by_channel)), y=beta.reshape(by_channel))


def lrn(e: Emission, node: ir.Node) -> Results:
    """LRN over channels, whose window is centred."""
    x = e.input(node)
    size = edit.integer(node, "size", 1)
    if size % 2 == 0:
        raise Refused("its window is even")
    numbers = {"alpha": ("alpha", 1e-4), "beta": ("beta", 0.75), "k": ("bias", 1.0)}
    given = {key: scalar(x, edit.number(node, name, default)) for key, (name, default) in numbers.items()}
    return mb.local_response_norm(x=x, size=size, **given)


def lp_norm(e: Emission, node: ir.Node) -> Results:
    """LpNormalization: x over its norm of order 1 or 2; where that is 0, the result is 0."""
    x = e.input(node)
    norm = mb.reduce_l1_norm if edit.integer(node, "p", 2) == 1 else mb.reduce_l2_norm
    length = norm(x=x, axes=[edit.integer(node, "axis", -1)], keep_dims=True)
    smallest = 2.0**-24 if x.dtype == types.fp16 or e.options.precision == "float16" else 2.0**-126
    return mb.real_div(x=x, y=mb.maximum(x=length, y=scalar(x, smallest)))


def _standardise(x: Var, axes: list[int], epsilon: float) -> Var:
    return mb.layer_norm(x=x, axes=axes, epsilon=scalar(x, epsilon))
