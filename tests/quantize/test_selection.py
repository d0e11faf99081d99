"""What becomes int8 and what stays float, on the graphs that decide it."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

from edgeort.quantize.forms import Form
from edgeort.quantize.functions import behind
from edgeort.quantize.layers import head
from edgeort.quantize.selection import EXCLUDED, Selection, select
from tests.quantize.models import SIDE, Net, mobile


def graph(proto: onnx.ModelProto) -> ir.Graph:
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto)).graph


def chosen(proto: onnx.ModelProto, exclude: tuple[str, ...] = ()) -> tuple[Selection, set[str]]:
    selection = select(graph(proto), exclude)
    return selection, {str(value.name) for value in selection.tensors}


def outputs(proto: onnx.ModelProto, *op_types: str) -> set[str]:
    return {node.output[0] for node in proto.graph.node if node.op_type in op_types}


def test_a_network_of_convolutions():
    proto = mobile()
    selection, tensors = chosen(proto)
    assert len(selection.layers) == 6
    clamped = outputs(proto, "Clip", "Relu")
    ends = outputs(proto, "Add", "GlobalAveragePool", "Flatten")
    projected = {proto.graph.node[6].output[0]}
    assert tensors == {"x"} | clamped | ends | projected, "neither what a clip reads nor the logits"
    (moved,) = selection.source
    assert (moved.name, selection.source[moved].name) == tuple(
        o for t in ("Flatten", "GlobalAveragePool") for o in outputs(proto, t)
    )


def test_excluded_layers_stay_float():
    proto = mobile()
    selection, _ = chosen(proto, ("n0",))
    assert selection.left == {"n0": "it was excluded"}
    assert len(selection.layers) == 5


def test_gates_stay_float():
    net = Net()
    x = net.op("Relu", net.conv("x", 3, 8))
    squeezed = net.op("Relu", net.conv(net.op("GlobalAveragePool", x), 8, 4))
    gate = net.op("Sigmoid", net.conv(squeezed, 4, 8))
    proto = net.model(net.conv(net.op("Mul", x, gate), 8, 3), [1, 3, SIDE, SIDE], [1, 3, SIDE, SIDE])
    selection, tensors = chosen(proto)
    assert set(selection.left.values()) == {"it computes a gate; only its weights are int8"}
    assert [selection.forms[layer.name] for layer in selection.layers] == ["static", "float", "float", "static"]
    assert tensors == {"x", x, proto.graph.node[-3].output[0]}
    assert proto.graph.node[-3].op_type == "Mul"


def test_a_hard_swish_head_behind_a_pool_is_no_gate():
    net = Net()
    pooled = net.conv(net.op("GlobalAveragePool", net.conv("x", 3, 8)), 8, 6)
    proto = net.model(net.op("Mul", pooled, net.op("HardSigmoid", pooled)), [1, 3, SIDE, SIDE], [1, 6, 1, 1])
    assert chosen(proto)[0].left == {}


def test_a_pooled_head_times_a_constant_is_no_gate():
    net = Net()
    pooled = net.conv(net.op("GlobalAveragePool", net.conv("x", 3, 8)), 8, 6)
    scaled = net.op("Mul", pooled, net.constant(np.array(0.5, np.float32)))
    assert chosen(net.model(scaled, [1, 3, SIDE, SIDE], [1, 6, 1, 1]))[0].left == {}


def test_the_stream_around_layer_norms_stays_float():
    net = Net()
    scale, shift = net.weight(16), net.weight(16)
    stream = "x"
    for _ in range(2):
        normed = net.op("LayerNormalization", stream, scale, shift)
        stream = net.op("Add", stream, net.op("MatMul", normed, net.weight(16, 16)))
    proto = net.model(net.op("LayerNormalization", stream, scale, shift), [1, 5, 16], [1, 5, 16])
    selection, tensors = chosen(proto)
    assert list(selection.forms.values()) == ["dynamic", "dynamic"]
    assert tensors == set()
    norms = [node.output[0] for node in proto.graph.node if node.op_type == "LayerNormalization"]
    assert {str(v.name) for v in select(graph(proto), (), {"": Form.STATIC}).tensors} == set(norms[:2])


def test_heads_of_data_movement_stay_float():
    net = Net()
    body = net.op("Relu", net.conv("x", 3, 8))
    head_ = net.op("Concat", net.conv(body, 8, 2), net.conv(body, 8, 2), axis=1)
    tensors = chosen(net.model(net.op("Sigmoid", head_), [1, 3, SIDE, SIDE], [1, 4, SIDE, SIDE]))[1]
    assert tensors == {"x", body}


def test_concats_pools_and_resizes_between_convolutions():
    net = Net()
    body = net.op("Relu", net.conv("x", 3, 8))
    pooled = net.op("MaxPool", body, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    joined = net.op("Concat", body, pooled, axis=1)
    proto = net.model(net.conv(joined, 16, 3), [1, 3, SIDE, SIDE], [1, 3, SIDE, SIDE])
    selection, tensors = chosen(proto)
    assert tensors == {"x", body, pooled, joined}
    assert {str(a.name): str(b.name) for a, b in selection.source.items()} == {pooled: body}


def test_layers_that_cannot_be():
    net = Net()
    proto = net.model(net.op("MatMul", "x", net.op("Transpose", "x")), [4, 4], [4, 4])
    assert chosen(proto)[0].left == {"n1": "its weight is not a constant"}
    net = Net()
    proto = net.model(net.op("Gemm", "x", net.weight(4, 4), alpha=2.0), [4, 4], [4, 4])
    assert chosen(proto)[0].left == {"n0": "it scales or transposes its input"}


def test_heads_and_activations():
    net = Net()
    first = net.conv("x", 3, 8)
    clipped = net.op("Relu", first)
    second = net.conv(clipped, 8, 8)
    silu = net.op("Mul", second, net.op("Sigmoid", second))
    swished = net.op("HardSwish", net.conv(silu, 8, 3))
    values = {str(v.name): v for n in graph(net.model(swished, [1, 3, 4, 4], [1, 3, 4, 4])) for v in n.outputs}
    assert head(values[first]).name == clipped
    assert head(values[second]).name == second
    assert behind(values[first]).result.name == clipped
    assert behind(values[second]).result.name == silu
    assert behind(values[net.nodes[-3].output[0]]).result.name == swished


def test_recurrent_layers_are_none_and_listed_where_they_are_excluded():
    net = Net()
    y = net.op("LSTM", "x", net.weight(1, 32, 6), net.weight(1, 32, 8), hidden_size=8)
    proto = net.model(net.op("MatMul", y, net.weight(8, 4)), [5, 1, 6], [5, 1, 1, 4])
    selection, _ = chosen(proto)
    assert selection.left == {}
    assert [layer.name for layer in selection.layers] == ["n1"]
    selection, _ = chosen(proto, exclude=("n0",))
    assert selection.left["n0"] == EXCLUDED
