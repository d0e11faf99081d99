"""Which channels stand or fall together, and what holds them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgeort.quantize.pruning.groups import find_groups
from edgeort.quantize.pruning.tracing import trace
from tests.quantize.models import Net, mobile
from tests.quantize.pruning.test_removing import prepared_of

SIZE = [1, 3, 6, 6]


def groups_of(net: Net, result: str, out: list[int]) -> tuple[dict[str, int], dict[str, str]]:
    """Free channels by the group's layers, and why layers are left."""
    graph = prepared_of(net.model(result, SIZE, out)).model.graph
    groups, left = find_groups(trace(graph))
    return {group.name: len(group.roots) for group in groups}, left


def test_a_residual_block():
    graph = prepared_of(mobile(width=16)).model.graph
    groups, left = find_groups(trace(graph))
    assert {group.name: len(group.roots) for group in groups} == {"n0 + n6": 16, "n2": 32, "n8": 64}
    assert [reader.layer.name for reader in groups[0].readers] == ["n2", "n8"]
    assert list(left) == ["n12"] and "leave the model" in left["n12"]


def test_concat_keeps_apart_what_an_add_behind_it_ties():
    net = Net()
    a, b = net.conv("x", 3, 4), net.conv("x", 3, 5)
    joined = net.op("Concat", a, b, axis=1)
    apart, _ = groups_of(net, net.conv(joined, 9, 2), [1, 2, 6, 6])
    assert apart == {"n0": 4, "n1": 5}
    net.nodes = net.nodes[:3]
    tied, _ = groups_of(net, net.conv(net.op("Add", joined, net.conv("x", 3, 9)), 9, 2), [1, 2, 6, 6])
    assert tied == {"n0 + n1 + n3": 9}


def test_a_gate_stands_with_what_it_multiplies():
    net = Net()
    wide = net.conv("x", 3, 8)
    small = net.conv(net.op("GlobalAveragePool", wide), 8, 4)
    gated = net.op("Mul", wide, net.op("Sigmoid", net.conv(small, 4, 8)))
    found, _ = groups_of(net, net.conv(gated, 8, 2), [1, 2, 6, 6])
    assert found == {"n0 + n3": 8, "n2": 4}


def test_a_channel_behind_flatten_is_all_its_pixels():
    net = Net()
    flat = net.op("Reshape", net.conv("x", 3, 4), net.constant(np.array([1, -1], np.int64)))
    graph = prepared_of(net.model(net.op("MatMul", flat, net.weight(4 * 36, 3)), SIZE, [1, 3])).model.graph
    (group,), _ = find_groups(trace(graph))
    assert group.readers[0].columns.tolist() == np.arange(4 * 36).reshape(4, 36).tolist()


def softmax(net: Net, x: str) -> str:
    return net.op("Softmax", x, axis=1)


def shuffle(net: Net, x: str) -> str:
    torn = net.op("Reshape", x, net.constant(np.array([1, 2, 2, 6, 6], np.int64)))
    return net.op("Reshape", net.op("Transpose", torn, perm=[0, 2, 1, 3, 4]), net.constant(np.array([1, 4, 6, 6])))


def grouped(net: Net, x: str) -> str:
    return net.conv(x, 4, 4, 1, group=2)


def layer_norm(net: Net, x: str) -> str:
    last = net.op("Transpose", x, perm=[0, 2, 3, 1])
    normed = net.op("LayerNormalization", last, net.weight(4), axis=-1)
    return net.op("Transpose", normed, perm=[0, 3, 1, 2])


def across(net: Net, x: str) -> str:
    return net.op("ReduceSum", x, net.constant(np.array([1], np.int64)), keepdims=1)


def broadcast(net: Net, x: str) -> str:
    return net.op("Add", x, net.conv("x", 3, 1))


@pytest.mark.parametrize(
    ("tears", "words"),
    [
        (softmax, "Softmax mixes channels"),
        (shuffle, "Reshape tears channels apart"),
        (grouped, "groups of a convolution"),
        (layer_norm, "LayerNormalization is not understood"),
        (across, "ReduceSum mixes channels"),
        (broadcast, "a channel meets many"),
    ],
)
def test_what_is_not_understood_holds_and_says_so(tears: object, words: str):
    net = Net()
    result = tears(net, net.op("Relu", net.conv("x", 3, 4)))  # type: ignore[operator]
    graph = prepared_of(net.model(result, SIZE, [1, None, 6, 6])).model.graph  # type: ignore[list-item]
    groups, left = find_groups(trace(graph))
    assert groups == [] and words in left["n0"]


def test_numbers_are_the_same_in_a_clone():
    model: ir.Model = prepared_of(mobile()).model
    one, two = trace(model.graph), trace(model.clone().graph)
    for first, second in zip(one.layers, two.layers, strict=True):
        assert one.roots(first.makes).tolist() == two.roots(second.makes).tolist()
