"""What a mutation test of models found, one small case each: a refusal that names the node, or an answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeort import lowering
from edgeort.engine import Engine
from edgeort.errors import EdgeortError, ModelError, PlanError
from edgeort.model import clean, load
from edgeort.passes import PassContext, run_passes
from tests.models import model


def make(text: str, *, opset: int = 18, domains: str = "") -> onnx.ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": {opset}{domains}]> g {text}')


def walk(folder: Path, proto: onnx.ModelProto) -> None:
    """All stages but the runtime."""
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    graph = clean(load(path))
    run_passes(graph, PassContext())
    (folder / "model.plan").write_bytes(lowering.lower(graph).to_bytes())


def edited(text: str, edit: Callable[[onnx.NodeProto], object], **options: object) -> onnx.ModelProto:
    """A model whose first node is edited."""
    proto = make(text, **options)  # type: ignore[arg-type]
    edit(proto.graph.node[0])
    return proto


RELU = "(float[2,3] x) => (float[2,3] y) { y = Relu(x) }"
WIDE = helper.make_tensor("x", TensorProto.FLOAT, [1] * 65, [0.0])

# what is wrong -> (the model, words of the message)
REFUSED: dict[str, tuple[onnx.ModelProto, str]] = {
    "an operand too many": (make("(float[2] x) => (float[2] y) { y = Relu(x, x) }"), "node 'y' (Relu) is not valid"),
    "an attribute of another operator": (make("(float[2] x) => (float[2] y) { y = Relu<axis = 1>(x) }"), "'y' (Relu)"),
    "types that differ": (make("(float[2] x, int64[2] i) => (float[2] y) { y = Add(x, i) }"), "node 'y' (Add)"),
    "shapes that differ": (
        make("(float[2,3] x, float[2,3] w) => (float[2,3] y) { y = MatMul(x, w) }"),
        "node 'y' (MatMul) does not fit its inputs",
    ),
    "a permutation of another rank": (
        make("(float[2,3] x) => (float[a,b,c] y) { y = Transpose<perm = [2, 0, 1]>(x) }"),
        "node 'y' (Transpose)",
    ),
    "an attribute twice": (
        edited(
            "(float[2,3] x) => (float[2,3] y) { y = Softmax<axis = 1>(x) }",
            lambda n: n.attribute.append(n.attribute[0]),
        ),
        "node 'y' (Softmax) has two attributes named 'axis'",
    ),
    "an attribute of no function": (
        edited(
            "(float[2,3] x) => (float[2,3] y) { y = Elu<alpha = 1.0>(x) }",
            lambda n: setattr(n.attribute[0], "ref_attr_name", "beta"),
        ),
        "stands for 'beta' of a function",
    ),
    "an axis beyond any rank": (  # where inference reads past the end
        make("(float[4] x, float[4] w) => (float[4] y) { y = LayerNormalization<axis = 9223372036854775807>(x, w) }"),
        "beyond any rank",
    ),
    "outputs of Split": (  # where inference aborts
        make("(float[2,6] x) => (float[2,3] a) { a, b, c, d = Split<axis = 1, num_outputs = 2>(x) }"),
        "has 4 outputs, but its num_outputs is of 2",
    ),
    "a text that is none": (
        edited(
            '(float[2] x) => (float[2] y) { y = Gelu<approximate = "none">(x) }',
            lambda n: setattr(n.attribute[0], "s", b"\xff\xfe"),
            opset=20,
        ),
        "is no text",
    ),
    "an equation that is none": (  # where inference never ends
        make('(float[2,3] x) => (float[3,2] y) { y = Einsum<equation = "a#b">(x) }'),
        "the equation 'a#b' of node 'y' (Einsum)",
    ),
    "a branch with inputs": (
        make(
            "(bool c, float[2] x) => (float[2] y) { y = If(c)<then_branch = t (float[2] z) => (float[2] a) "
            "{ a = Relu(x) }, else_branch = e () => (float[2] b) { b = Neg(x) }> }"
        ),
        "should have 0 and 1",
    ),
    "a branch with an output less": (
        make(
            "(bool c, float[2] x) => (float[2] y) { y, z = If(c)<then_branch = t () => (float[2] a, float[2] d) "
            "{ a = Relu(x) d = Abs(x) }, else_branch = e () => (float[2] b) { b = Neg(x) }> }"
        ),
        "the body 'e' of node 'y' (If) has 0 inputs and 1 outputs",
    ),
    "a domain of ours": (
        make("(float[2] x) => (float[2] y) { y = edgeort.nhwc.Conv(x) }", domains=', "edgeort.nhwc": 1'),
        "the model has no function of that name",
    ),
    "more dimensions than NumPy has": (
        helper.make_model(
            helper.make_graph(
                [helper.make_node("Relu", ["x"], ["y"])], "g", [], [helper.make_tensor_value_info("y", 1, None)], [WIDE]
            ),
            ir_version=9,
        ),
        "65 dimensions",
    ),
    "more dimensions than kernels have": (
        make("(float[1,1,1,1,1,1,1,1,1,4] x) => (float[1,1,1,1,1,1,1,1,1,4] y) { y = Relu(x) }"),
        "input 'x' has 10 dimensions",
    ),
    "data twice": (
        helper.make_model(
            helper.make_graph(
                [helper.make_node("Add", ["x", "w"], ["y"])],
                "g",
                [helper.make_tensor_value_info("x", 1, [1])],
                [helper.make_tensor_value_info("y", 1, [1])],
                [TensorProto(name="w", data_type=1, dims=[1], raw_data=bytes(4), float_data=[1.0])],
            ),
            ir_version=9,
        ),
        "holds its data twice",
    ),
    "an unknown element type": (make("(float[2] x) => (float[2] y) { y = Cast<to = 65536>(x) }"), "node 'y' (Cast)"),
    "a number beyond 32 bits": (
        make(
            "(float[1,1,4,4] x) => (float[1,1,a,b] y) { y = MaxPool<kernel_shape = [2, 2], "
            "dilations = [4294967296, 1]>(x) }"
        ),
        "4294967296",
    ),
    "an unknown mode": (
        make('(float[2] x, int64[2] p) => (float[n] y) { y = Pad<mode = "odd">(x, p) }'),
        "its mode is 'odd'",
    ),
    "an unknown direction": (
        make('(uint8[2] x, uint8[2] s) => (uint8[2] y) { y = BitShift<direction = "UP">(x, s) }'),
        "its direction is 'UP'",
    ),
    "one operand of com.microsoft's": (
        make("(uint8[2] x) => (uint8[2] y) { y = com.microsoft.QLinearAdd(x) }", domains=', "com.microsoft": 1'),
        "com.microsoft.QLinearAdd",
    ),
    "no weights of MatMulNBits": (
        make(
            "(float[2,4] x) => (float[2,4] y) { y = com.microsoft.MatMulNBits"
            "<K = 4, N = 4, bits = 4, block_size = 32>(x) }",
            domains=', "com.microsoft": 1',
        ),
        "must be constants",
    ),
    "float64 in a convolution": (
        make("(double[1,1,4,4] x, double[1,1,3,3] w) => (double[1,1,2,2] y) { y = Conv(x, w) }"),
        "node 'y' (Conv): only float32",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_hostile_models_are_refused(tmp_path: Path, what: str) -> None:
    proto, words = REFUSED[what]
    with pytest.raises(EdgeortError) as caught:
        walk(tmp_path, proto)
    assert words in str(caught.value) and caught.value.hint


def test_an_input_of_unknown_rank_is_loaded(tmp_path: Path) -> None:
    proto = make(RELU)
    proto.graph.input[0].type.tensor_type.ClearField("shape")
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    assert load(tmp_path / "m.onnx").graph.inputs[0].shape is None


def test_a_stale_shape_of_another_rank_gives_way(tmp_path: Path) -> None:
    proto = make("(float[2,3] x) => (float[3,2] y) { t = Transpose(x) y = Relu(t) }")
    proto.graph.value_info.append(helper.make_tensor_value_info("t", TensorProto.FLOAT, [7, 7, 7]))
    proto.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 9
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    model = load(tmp_path / "m.onnx")
    assert [list(node.outputs[0].shape or ()) for node in model.graph] == [[3, 2], [3, 2]]


def test_contradictions_that_appear_when_constants_fold_are_for_the_runtime(
    tmp_path: Path, whole_library: Path
) -> None:
    """Slice has a shape and its bound swapped: of which rank the target of the Reshape is shows only when folded."""
    proto = make(
        "(float[1,8,2,3] x) => (float[n,c,h,w] y) <int64[1] zero = {0}, int64[1] one = {1}, int64[1] two = {2}> {"
        " s = Shape(x) n0 = Slice(zero, s, one) c0 = Slice(s, one, two) t = Concat<axis = 0>(n0, c0, two, two)"
        " r = Reshape(x, t) y = Transpose<perm = [0, 1, 4, 2, 5, 3]>(r) }"
    )
    walk(tmp_path, proto)
    engine = Engine(whole_library, tmp_path / "model.plan")
    with pytest.raises(PlanError, match="Reshape"):
        engine.run([np.zeros((1, 8, 2, 3), np.float32)])


def test_a_broken_body_stays_a_node(tmp_path: Path) -> None:
    """Attributes of com.microsoft's operators are checked by nobody."""
    proto = make(
        "(float[2,4] x, float[4,12] w) => (float[2,4] y) { y = com.microsoft.Attention<num_heads = 0>(x, w) }",
        domains=', "com.microsoft": 1',
    )
    with pytest.raises(EdgeortError, match="Attention"):
        walk(tmp_path, proto)


def test_bugs_of_ours_are_not_blamed_on_the_model(tmp_path: Path) -> None:
    def broken(model: object, ctx: object) -> int:
        raise IndexError("ours")

    (tmp_path / "m.onnx").write_bytes(make(RELU).SerializeToString())
    with pytest.raises(IndexError, match="ours"):
        run_passes(load(tmp_path / "m.onnx"), PassContext(), (broken,))  # type: ignore[arg-type]


def test_what_a_pass_stumbles_over_is_blamed_on_a_model_that_contradicts_itself(tmp_path: Path) -> None:
    def stumbling(model: object, ctx: object) -> int:
        raise IndexError

    (tmp_path / "m.onnx").write_bytes(make(RELU).SerializeToString())
    model = load(tmp_path / "m.onnx")
    node = model.graph.node(0)
    node.op_type = "MatMul"
    with pytest.raises(ModelError, match="MatMul"):
        run_passes(model, PassContext(), (stumbling,))  # type: ignore[arg-type]


def test_pads_along_some_axes_are_valid(tmp_path: Path) -> None:
    """Inference has to see the axes: declarations of constants are left as they are."""
    pads = [numpy_helper.from_array(np.array(values), name) for name, values in (("p", [1, 2]), ("a", [-2]))]
    pads.append(numpy_helper.from_array(np.float32(-1), "v"))
    node = helper.make_node("Pad", ["x", "p", "v", "a"], ["y"])
    onnx.save(model([node], [("x", [1, 2, 3, 4])], [("y", [1, 2, 6, 4])], pads, opset=18), tmp_path / "m.onnx")
    assert list(load(tmp_path / "m.onnx").graph.outputs[0].shape or ()) == [1, 2, 6, 4]


def test_outputs_may_have_no_type(tmp_path: Path) -> None:
    found = model([helper.make_node("Relu", ["x"], ["y"])], [("x", [2])], [("y", [2])])
    found.graph.output[0].ClearField("type")
    onnx.save(found, tmp_path / "m.onnx")
    assert load(tmp_path / "m.onnx").graph.outputs[0].name == "y"


def test_deprecated_operators_are_read(tmp_path: Path) -> None:
    """PyTorch wrote GroupNormalization of opset 18, with a scale for each group; the next opset has another."""
    two = [numpy_helper.from_array(np.ones(2, np.float32), name) for name in ("s", "b")]
    node = helper.make_node("GroupNormalization", ["x", "s", "b"], ["y"], num_groups=2)
    onnx.save(model([node], [("x", [1, 4, 3])], [("y", [1, 4, 3])], two, opset=18), tmp_path / "m.onnx")
    assert load(tmp_path / "m.onnx").graph[0].op_type == "GroupNormalization"
