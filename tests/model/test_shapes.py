"""Shapes as the user gives them, and free dimensions that become fixed."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from edgeort.errors import ShapeError
from edgeort.model import fix_shapes, free_dimensions, infer_shapes, load, parse_shape, parse_shapes
from tests.model.support import conv, make, refusal, write


def test_parse_shape() -> None:
    assert parse_shape("x=1x3x224x224") == ("x", (1, 3, 224, 224))
    assert parse_shape("a=b:0=batchx?x80") == ("a=b:0", ("batch", "?", 80))
    assert parse_shape("x=1,max_len,80") == ("x", (1, "max_len", 80))
    assert parse_shape("x=7") == ("x", (7,))


@pytest.mark.parametrize(
    "text",
    ["", "x", "=1x2", "x=", "x=1x", "x=1xx3", "x=0x3", "x=-1x3", "x=1.5", "x=1 2", "x=99999999999", "x=²", "x=1,"],
)
def test_malformed_shapes_show_the_right_form(text: str) -> None:
    with pytest.raises(ShapeError) as caught:
        parse_shape(text)
    assert "--shape NAME=1x3x224x224" in str(caught.value.hint)


TWO_INPUTS = "g (float[n,k] a, float[n,3] b) => (float[n,m] y) { y = Concat<axis=1>(a, b) }"


def two_inputs() -> ir.Model:
    return ir.from_proto(make(TWO_INPUTS))


def test_fixing_one_dimension_fixes_its_name_everywhere() -> None:
    model = fix_shapes(two_inputs(), {"a": (4, "?")})
    assert free_dimensions(model) == {"a": (4, "k")}
    model = fix_shapes(model, {"a": (4, 5)})
    assert free_dimensions(model) == {}
    assert model.graph.outputs[0].shape == ir.Shape([4, 8])


def test_question_marks_are_not_one_name() -> None:
    model = two_inputs()
    for value in model.graph.inputs:
        value.shape = ir.Shape(["?", 3])
    assert free_dimensions(fix_shapes(model, {"a": (4, 3)})) == {"b": ("?", 3)}


def test_stale_shapes_in_the_file_give_way(tmp_path: Path) -> None:
    proto = make("g (float[n,3] x) => (float[1,3] y) { a = Relu(x)  y = Neg(a) }")
    proto.graph.value_info.append(helper.make_tensor_value_info("a", TensorProto.FLOAT, [1, 3]))
    model = load(write(tmp_path, proto), shapes={"x": (2, 3)})
    assert [value.shape for node in model.graph for value in node.outputs] == [ir.Shape([2, 3]), ir.Shape([2, 3])]


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"z": (1, 2)}, "no input 'z'; its inputs are a (nxk), b (nx3)"),
        ({"a": (1, 2, 3)}, "has 2 dimensions (nxk), but 1x2x3 has 3"),
        ({"b": (1, 4)}, "the model fixes 3 there"),
        ({"b": (1, "c")}, "the model fixes 3 there"),
        ({"a": (1, 2), "b": (2, 3)}, "'n' is 1 already"),
        ({"a": (0, 2)}, "they start at 1"),
        ({"a": (2**31 - 1, 2**31 - 1)}, "absurdly large"),
    ],
)
def test_shapes_that_do_not_fit(tmp_path: Path, shapes: dict[str, tuple[int | str, ...]], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        load(write(tmp_path, make(TWO_INPUTS)), shapes=shapes)
    assert message in str(caught.value) and "--shape" in str(caught.value.hint)


def test_negative_dimensions_are_unknown(tmp_path: Path) -> None:
    proto = conv()
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    assert free_dimensions(load(write(tmp_path, proto))) == {"x": ("?", 3, 8, 8)}


def test_an_input_of_absurd_size(tmp_path: Path) -> None:
    proto = conv()
    for dim in proto.graph.input[0].type.tensor_type.shape.dim:
        dim.dim_value = 2**20
    assert "input 'x' of the graph is absurdly large" in str(refusal(tmp_path, proto))


def test_rank_behind_a_computed_shape() -> None:
    text = """g (float[n,8] x, int64[1] k) => (float y)
    <int64[1] a = {2}> { t = Concat<axis=0>(k, a, k)  r = Reshape(x, t)  q = Relu(r)  y = ReduceSum(q) }"""
    model = infer_shapes(ir.from_proto(make(text)))
    shapes = {value.name: value.shape for node in model.graph for value in node.outputs}
    assert shapes["q"] is not None and len(shapes["q"]) == 3


def test_two_shapes_of_one_input_are_refused() -> None:
    assert parse_shapes(["x=1x3", "y=2", "x=1,3"]) == {"x": (1, 3), "y": (2,)}
    with pytest.raises(ShapeError, match="'x' is given two shapes, 1x3 and 1x4"):
        parse_shapes(["x=1x3", "x=1x4"])
