"""Loading hostile and odd files, fixing shapes, cleaning up."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgeort.errors import EdgeortError, ModelError, ShapeError
from edgeort.inspection import inspect
from edgeort.model import clean, fix_shapes, free_dimensions, infer_shapes, load, parse_shape, parse_shapes

HEAD = '<ir_version: 8, opset_import: ["" : 17]>\n'
CONV = """g (float[n,3,8,8] x) => (float[n,4,8,8] y) <float[4] b = {1, 2, 3, 4}>
{ k = Conv<pads=[1,1,1,1]>(x, w, b)  y = Relu(k) }"""
EVERYTHING = """<ir_version: 8, opset_import: ["" : 17, "f" : 1]>
g (float[n,3,8,8] x, bool c) => (float[n,m] y, float[n,4,4,4] z) <int64[2] s = {0, -1}>
{ k = Conv<pads=[1,1,1,1]>(x, w)
  i = Identity(k)
  r = Reshape(i, s)
  e = f.Twice(r)
  y = If(c) <then_branch = t () => (float[n,m] q) { q = Relu(e) }, else_branch = f () => (float[n,m] p) { p = Neg(r) }>
  z = MaxPool<kernel_shape=[2,2], strides=[2,2]>(i) }
<domain: "f", opset_import: ["" : 17]>
Twice (a) => (o) { o = Add(a, a) }"""


def make(text: str, **weights: np.ndarray) -> onnx.ModelProto:
    """A model from ONNX text; `weights` become initializers, which the text itself can only give small values."""
    proto = onnx.ModelProto()
    parsed = onnx.parser.parse_model(text if text.startswith("<") else HEAD + text)
    proto.CopyFrom(parsed)
    proto.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    return proto


def conv(count: int = 4) -> onnx.ModelProto:
    weight = np.arange(count * 27, dtype=np.float32).reshape(count, 3, 3, 3) / 100
    return make(CONV, w=weight)


def everything() -> onnx.ModelProto:
    return make(EVERYTHING, w=np.linspace(-1, 1, 108, dtype=np.float32).reshape(4, 3, 3, 3))


def write(folder: Path, proto: onnx.ModelProto | bytes) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(proto if isinstance(proto, bytes) else proto.SerializeToString())
    return path


def refusal(folder: Path, proto: onnx.ModelProto | bytes) -> ModelError:
    """The error of loading `proto`, which names the file."""
    path = write(folder, proto)
    with pytest.raises(ModelError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    return caught.value


def run(model: ir.Model | onnx.ModelProto, **feeds: np.ndarray) -> list[np.ndarray]:
    import onnxruntime

    proto = model if isinstance(model, onnx.ModelProto) else ir.to_proto(model)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def operators(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph.all_nodes()]


# --- files ---------------------------------------------------------------------------------------------------------


def test_a_model_is_loaded_with_weights_where_they_are(tmp_path: Path) -> None:
    model = load(write(tmp_path, conv()))
    weight = model.graph.initializers["w"].const_value
    assert weight is not None and weight.numpy().shape == (4, 3, 3, 3)
    assert operators(model) == ["Conv", "Relu"]
    assert free_dimensions(model) == {"x": ("n", 3, 8, 8)}


def test_missing_file_folder_and_empty_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        load(tmp_path / "nothing.onnx")
    with pytest.raises(ModelError, match="cannot be read"):
        load("a\0b.onnx")
    assert "empty" in str(refusal(tmp_path, b""))
    with pytest.raises(ModelError, match="a folder") as caught:
        load(tmp_path)
    assert str(tmp_path / "model.onnx") in str(caught.value.hint)


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(ModelError, match="not a regular file"):
        load(tmp_path / "pipe.onnx")


def test_a_file_over_two_gib_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "big.onnx"
    with path.open("wb") as file:
        file.truncate(2**31)  # sparse: takes no space
    with pytest.raises(ModelError, match="2 GiB"):
        load(path)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\x03\x04" + bytes(100), "zip archive"),
        (b"\x1c\0\0\0TFL3" + bytes(100), "TensorFlow Lite"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"<!DOCTYPE html>", "web page"),
        (b"hello, world", "not an ONNX file"),
        (bytes(64), "not an ONNX file"),
        (b"\xff" * 64, "not an ONNX file"),
    ],
)
def test_other_formats_are_named(tmp_path: Path, data: bytes, what: str) -> None:
    error = refusal(tmp_path, data)
    assert what in str(error) and error.hint


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_says_how_much_is_missing(tmp_path: Path, kept: float) -> None:
    data = conv(400).SerializeToString()
    cut = data[: int(len(data) * kept)]
    assert f"truncated: it has {len(cut)} bytes" in str(refusal(tmp_path, cut))


def test_every_truncation_is_an_error(tmp_path: Path) -> None:
    data = everything().SerializeToString()
    for length in range(0, len(data) - 1, 7):
        refusal(tmp_path, data[:length])


def walk(path: Path) -> None:
    model = load(path)
    free_dimensions(model)
    inspect(model)
    clean(model)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), flips=st.integers(1, 4))
def test_damaged_bytes_never_escape_as_another_error(
    tmp_path_factory: pytest.TempPathFactory, seed: int, flips: int
) -> None:
    data = bytearray(everything().SerializeToString())
    source = random.Random(seed)
    for _ in range(flips):
        data[source.randrange(len(data))] = source.randrange(256)
    path = write(tmp_path_factory.mktemp("damaged"), bytes(data))
    try:
        walk(path)
    except EdgeortError as error:
        assert str(error)


# --- versions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2, 99])
def test_ir_versions_out_of_range(tmp_path: Path, version: int) -> None:
    proto = conv()
    proto.ir_version = version
    assert f"IR version {version} is not supported; 3 to {onnx.IR_VERSION}" in str(refusal(tmp_path, proto))


def test_opsets_out_of_range(tmp_path: Path) -> None:
    proto = conv()
    proto.opset_import[0].version = 999
    error = refusal(tmp_path, proto)
    assert "opset 999" in str(error) and "pip install -U onnx" in str(error.hint)
    assert f"7 to {onnx.defs.onnx_opset_version()} of ai.onnx" in str(error)


def test_missing_and_contradictory_opset_imports(tmp_path: Path) -> None:
    proto = conv()
    del proto.opset_import[:]
    assert "does not say which opset" in str(refusal(tmp_path, proto))
    proto = conv()
    proto.opset_import.append(helper.make_opsetid("ai.onnx", 18))
    assert "in two versions" in str(refusal(tmp_path, proto))
    proto = conv()
    proto.graph.node[1].domain = "com.example"
    assert "imports no opset; it imports ai.onnx" in str(refusal(tmp_path, proto))


def test_the_default_domain_has_one_name(tmp_path: Path) -> None:
    proto = conv()
    proto.opset_import[0].domain = proto.graph.node[0].domain = "ai.onnx"
    model = load(write(tmp_path, proto))
    assert model.opset_imports == {"": 17} and {node.domain for node in model.graph} == {""}


def test_initializers_of_old_files_are_no_inputs(tmp_path: Path) -> None:
    proto = conv()
    proto.ir_version = 3
    proto.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 3, 3, 3]))
    model = load(write(tmp_path, proto))
    assert [value.name for value in model.graph.inputs] == ["x"]
    assert "w" in model.graph.initializers
    x = np.ones((1, 3, 8, 8), np.float32)
    np.testing.assert_array_equal(run(model, x=x)[0], run(conv(), x=x)[0])


# --- graphs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("g (float[3] x) => (float[3] y) { a = Add(x, b)  b = Relu(a)  y = Relu(b) }", "cycle"),
        ("g (float[3] x) => (float[3] y) { y = Add(x, y) }", "cycle"),
        ("g (float[3] x) => (float[3] y) { y = Add(x, nothing) }", "input 'nothing' of node 'y' (Add)"),
        ("g (float[3] x) => (float[3] y) { a = Relu(x) }", "output 'y' of graph 'g' is produced by no node"),
        ("g (float[3] x) => (float[3] y) { y = Relu(x)  y = Neg(x) }", "value 'y' has two producers"),
        ("g (float[3] x, float[3] x) => (float[3] y) { y = Relu(x) }", "two inputs named 'x'"),
        ("g (float[3] x) => (float[3] y, float[3] y) { y = Relu(x) }", "two outputs named 'y'"),
        ("g (float[3] x) => () { y = Relu(x) }", "no outputs"),
        (
            "g (bool c) => (float[3] y) { y = If(c) <then_branch = t () => (float[3] q) { q = Relu(z) },"
            " else_branch = e () => (float[3] r) { r = Relu(z) }>  z = Relu(y) }",
            "cycle",
        ),
    ],
)
def test_insane_graphs(tmp_path: Path, text: str, message: str) -> None:
    assert message in str(refusal(tmp_path, make(text)))


def test_nodes_in_any_order_are_sorted(tmp_path: Path) -> None:
    proto = make("g (float[3] x) => (float[3] y) { y = Relu(a)  a = Neg(x) }")
    assert operators(load(write(tmp_path, proto))) == ["Neg", "Relu"]


def test_subgraphs_may_use_values_around_them(tmp_path: Path) -> None:
    model = clean(load(write(tmp_path, everything())))
    assert "If" in operators(model)
    x = np.linspace(-1, 1, 384, dtype=np.float32).reshape(2, 3, 8, 8)
    for condition in (True, False):
        feeds = {"x": x, "c": np.array(condition)}
        for ours, theirs in zip(run(model, **feeds), run(everything(), **feeds), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_functions_that_call_themselves_or_multiply(tmp_path: Path) -> None:
    imports = 'opset_import: ["" : 17, "f" : 1]>'
    loop = f'<domain: "f", {imports}\nA (a) => (o) {{ o = f.A(a) }}'
    text = f"<ir_version: 8, {imports}\ng (float[3] x) => (float[3] y) {{ y = f.A(x) }}\n"
    assert "calls itself" in str(refusal(tmp_path, make(text + loop)))
    bomb = [f'<domain: "f", {imports}\nF0 (a) => (o) {{ o = Add(a, a) }}']
    for level in range(1, 40):
        bomb.append(f'<domain: "f", {imports}\nF{level} (a) => (o) {{ b = f.F{level - 1}(a)  o = f.F{level - 1}(b) }}')
    text = f"<ir_version: 8, {imports}\ng (float[3] x) => (float[3] y) {{ y = f.F39(x) }}\n"
    assert "with functions inlined" in str(refusal(tmp_path, make(text + "\n".join(bomb))))


# --- tensors -------------------------------------------------------------------------------------------------------


def _tensor(**fields: object) -> onnx.TensorProto:
    defaults: dict[str, object] = {"name": "w", "dims": [4, 3, 3, 3], "data_type": TensorProto.FLOAT}
    return onnx.TensorProto(**{**defaults, **fields})


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (_tensor(raw_data=bytes(431)), "which is 432 bytes, but holds 431"),
        (_tensor(), "108 entries of float_data, but it has 0"),
        (_tensor(float_data=[0.0] * 107), "but it has 107"),
        (_tensor(float_data=[0.0] * 108, int32_data=[1]), "1 entries of int32_data"),
        (_tensor(dims=[-4, 3, 3, 3]), "negative dimension"),
        (_tensor(dims=[2**62, 2**62], raw_data=b""), "absurdly large"),
        (_tensor(dims=[0, 2**62], raw_data=b""), "absurdly large"),
        (_tensor(data_type=1234), "unknown data type 1234"),
        (_tensor(data_type=0), "no data type"),
        (_tensor(data_type=TensorProto.STRING, raw_data=b"x"), "cannot be stored as raw bytes"),
    ],
)
def test_tensors_whose_data_disagrees_with_their_dims(tmp_path: Path, tensor: onnx.TensorProto, message: str) -> None:
    proto = make(CONV)
    proto.graph.initializer.append(tensor)
    error = refusal(tmp_path, proto)
    assert message in str(error) and "'w'" in str(error)


def test_duplicate_nameless_and_sparse_initializers(tmp_path: Path) -> None:
    proto = conv()
    proto.graph.initializer.append(proto.graph.initializer[0])
    assert "two initializers named 'b'" in str(refusal(tmp_path, proto))
    proto = conv()
    proto.graph.initializer.add(data_type=1)
    assert "without a readable name" in str(refusal(tmp_path, proto))
    proto = conv()
    proto.graph.sparse_initializer.add()
    assert "sparse" in str(refusal(tmp_path, proto))


def test_a_constant_of_absurd_size(tmp_path: Path) -> None:
    proto = make("g (float[3] x) => (float[3] y) { k = Constant<value = float[1] {1}>()  y = Add(x, k) }")
    proto.graph.node[0].attribute[0].t.dims[:] = [2**40]
    assert "is 1099511627776 entries" in str(refusal(tmp_path, proto))


def test_packed_four_bit_tensors_have_half_the_bytes(tmp_path: Path) -> None:
    proto = make('<ir_version: 10, opset_import: ["" : 21]> g (float[3] x) => (float[3] y) { y = Relu(x) }')
    proto.graph.initializer.add(name="w", dims=[5], data_type=TensorProto.INT4, raw_data=b"\x21\x43\x05")
    tensor = load(write(tmp_path, proto)).graph.initializers["w"].const_value
    assert tensor is not None and tensor.numpy().astype(int).tolist() == [1, 2, 3, 4, 5]


# --- external data -------------------------------------------------------------------------------------------------


def external(folder: Path, location: str = "weights.bin", **entries: object) -> onnx.ModelProto:
    """The convolution with its weight declared in another file, which is written when it lies in `folder`."""
    proto = conv()
    weight = proto.graph.initializer[-1]
    if "/" not in location and "\\" not in location and "\0" not in location and location:
        (folder / location).write_bytes(bytes(16) + weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": 16, "length": 432, **entries}.items():
        weight.external_data.add(key=key, value=str(value))
    return proto


def test_external_data_is_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, external(tmp_path))
    monkeypatch.chdir(tmp_path)
    model = load("model.onnx")  # a bare name: the folder is then empty, which must not switch the checks off
    monkeypatch.chdir("/")
    weight = model.graph.initializers["w"].const_value
    assert isinstance(weight, ir.ExternalTensor) and Path(weight.base_dir) == tmp_path
    np.testing.assert_array_equal(weight.numpy(), numpy_helper.to_array(conv().graph.initializer[-1]))


@pytest.mark.parametrize(
    "location", ["../weights.bin", "/etc/passwd", "a/../../b", "C:\\weights.bin", "..\\w", "\\\\host\\w", "", "a\0b"]
)
def test_external_data_outside_the_folder(tmp_path: Path, location: str) -> None:
    error = refusal(tmp_path, external(tmp_path, location))
    assert "must lie in the model's own folder" in str(error) and error.hint


def test_links_out_of_the_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    proto = external(inside)
    shutil.move(inside / "weights.bin", outside / "weights.bin")
    (inside / "weights.bin").symlink_to(outside / "weights.bin")
    assert "a link that leads out" in str(refusal(inside, proto))
    (inside / "weights.bin").unlink()
    (inside / "sub").symlink_to(outside)
    assert "a link that leads out" in str(refusal(inside, external(inside, "sub/weights.bin")))
    (inside / "weights.bin").hardlink_to(outside / "weights.bin")
    assert "2 hard links" in str(refusal(inside, proto))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"offset": 17}, "needs bytes 17 to 449 of 'weights.bin', which has only 448"),
        ({"offset": 2**63}, "which has only 448"),
        ({"offset": -1}, "not a whole number"),
        ({"length": "many"}, "not a whole number"),
        ({"length": "9" * 5000}, "not a whole number"),
        ({"length": 431}, "which is 432 bytes, but has 431"),
    ],
)
def test_external_offsets_and_lengths(tmp_path: Path, entries: dict[str, object], message: str) -> None:
    assert message in str(refusal(tmp_path, external(tmp_path, **entries)))


def test_external_file_missing_or_a_folder(tmp_path: Path) -> None:
    proto = external(tmp_path)
    (tmp_path / "weights.bin").unlink()
    assert "which is missing" in str(refusal(tmp_path, proto))
    (tmp_path / "weights.bin").mkdir()
    assert "not a regular file" in str(refusal(tmp_path, proto))


# --- shapes --------------------------------------------------------------------------------------------------------


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


# --- clean-up ------------------------------------------------------------------------------------------------------


def test_shape_arithmetic_constants_identities_and_repetitions_go() -> None:
    text = """g (float[2,8] x) => (float[2,2,4] y, float[2,2,4] z) <float one = {1}>
    { s = Shape(x)  i = Constant<value_int=0>()  n = Gather(s, i)  o = Constant<value_ints=[0]>()  u = Unsqueeze(n, o)
      c = Constant<value_ints=[2,4]>()  t = Concat<axis=0>(u, c)  r = Reshape(x, t)  d = Identity(r)  m = Mul(d, one)
      p = Exp(m)  q = Exp(m)  dead = Log(q)  y = Relu(p)  z = Neg(q) }"""
    proto = make(text)
    model = clean(ir.from_proto(proto))
    assert operators(model) == ["Reshape", "Exp", "Relu", "Neg"]
    assert all(value.shape == ir.Shape([2, 2, 4]) for node in model.graph for value in node.outputs)
    x = np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8)
    for ours, theirs in zip(run(model, x=x), run(proto, x=x), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_clean_leaves_its_argument_alone_and_keeps_symbols(tmp_path: Path) -> None:
    model = load(write(tmp_path, everything()))
    before = ir.to_proto(model).SerializeToString()
    cleaned = clean(model)
    assert ir.to_proto(model).SerializeToString() == before
    assert free_dimensions(cleaned) == {"x": ("n", 3, 8, 8)}
    assert not cleaned.functions and "Add" in operators(cleaned)


@pytest.mark.parametrize(
    "body",
    [
        "<int64[2] s = {1048576, 1048576}, float one = {1}> { e = Expand(one, s)  y = Add(x, e) }",
        "<int64[2] s = {1048576, 1048576}> { e = ConstantOfShape(s)  y = Add(x, e) }",
        "<int64[2] s = {1048576, 1048576}, float[1,1] one = {1}> { e = Tile(one, s)  y = Add(x, e) }",
        "<int64[4] s = {0, 0, 1048576, 1048576}, float[1,1] one = {1}> { e = Pad(one, s)  y = Add(x, e) }",
        "<int64 s = {4000000000}, int64 o = {0}, int64 i = {1}> { e = Range(o, s, i)  f = Cast<to=1>(e) y = Add(x, f)}",
        "<int64[1] s = {1}> { "
        + " ".join(
            f"c{i} = Concat<axis=0>({f'c{i - 1}' if i else 's'}, {f'c{i - 1}' if i else 's'})" for i in range(40)
        )
        + " y = Expand(x, c39) }",
    ],
)
def test_small_files_that_would_unfold_into_huge_constants(body: str) -> None:
    """Each of these fills any memory when it is folded, or followed by shape inference."""
    model = clean(ir.from_proto(make(f"g (float[n,3] x) => (float[a,b] y) {body}")))
    assert all(
        value.const_value is not None and value.const_value.size <= 65536 for value in model.graph.initializers.values()
    )
    assert len(operators(model)) >= 2


def test_weights_are_folded_only_into_their_own_place() -> None:
    half = np.ones((512, 512), np.float16)
    text = (
        "g (float[n,512] x) => (float[n,512] y) { f = Cast<to=1>(w)  t = Transpose<perm=[1,0]>(f)  y = MatMul(x, t) }"
    )
    model = clean(ir.from_proto(make(text, w=half)))
    assert operators(model) == ["MatMul"] and len(model.graph.initializers) == 1


def test_quantisation_is_kept() -> None:
    text = """g (float[n,2] x) => (float[n,2] y) <float s = {0.5}, int8 z = {0}, int8[2,2] w = {1, 2, 3, 4}>
    { q = QuantizeLinear(x, s, z)  d = DequantizeLinear(q, s, z)  v = DequantizeLinear(w, s, z)  y = MatMul(d, v) }"""
    model = clean(ir.from_proto(make(text)))
    assert operators(model) == ["QuantizeLinear", "DequantizeLinear", "DequantizeLinear", "MatMul"]


def test_a_broadcast_by_one_is_no_identity() -> None:
    text = "g (float[3] x) => (float[1,1,3] y) <float[1,1,1] one = {1}> { y = Mul(x, one) }"
    assert clean(ir.from_proto(make(text))).graph.outputs[0].shape == ir.Shape([1, 1, 3])


def test_an_input_that_is_an_output_keeps_its_name() -> None:
    model = clean(ir.from_proto(make("g (float[3] x) => (float[3] x, float[3] y) { y = Identity(x) }")))
    assert [value.name for value in model.graph.inputs] == ["x"]
    assert [value.name for value in model.graph.outputs] == ["x", "y"]


def test_a_branch_may_hand_on_what_is_outside() -> None:
    """As PyTorch's exporter writes a squeeze of unknown rank: one branch squeezes, the other one is an Identity."""
    text = """g (float[n,1] x, bool c) => (float[m] z, float[n,1] w) {
      r = Relu(x)
      p, q = If (c) <
        then_branch = a () => (float[n,1] a0, float[n,1] a1) { a0 = Identity(r)  a1 = Identity(r) },
        else_branch = b () => (float[n,1] b0, float[n,1] b1) { t = Neg(r)  b0 = Identity(t)  b1 = Identity(b0) }
      >
      u = Identity(p)  s = Flatten<axis=0>(u)  z = Relu(s)  w = Identity(q) }"""
    proto = make(text)
    model = clean(ir.from_proto(proto))
    # What stays hands on an outer value, or an output for the second time.
    assert sorted(node.op_type for node in model.graph.all_nodes()) == [
        "Flatten", "Identity", "Identity", "Identity", "If", "Neg", "Relu", "Relu",
    ]  # fmt: skip
    x = np.array([[1], [-2], [3]], np.float32)
    for c in (True, False):
        for ours, theirs in zip(run(model, x=x, c=np.array(c)), run(proto, x=x, c=np.array(c)), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_failing_step_is_left_out(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(model: ir.Model) -> ir.passes.PassResult:
        model.graph.outputs.clear()
        raise RuntimeError("broken\nin detail")

    monkeypatch.setattr("edgeort.model.cleaning._fold", broken)
    proto = make("g (float[3] x) => (float[3] y) { a = Identity(x)  y = Relu(a) }")
    assert operators(clean(ir.from_proto(proto))) == ["Relu"]
    assert "'fold constants' failed and was left out: broken" in caplog.text
    proto.graph.node[1].op_type = "NoSuchOperator"
    with pytest.raises(ModelError, match="not valid ONNX.*NoSuchOperator"):
        clean(ir.from_proto(proto))


REAL_MODELS = {
    "nudenet": ("320n.onnx", (1, 3, 64, 64)),
    "rapidocr_onnxruntime": ("models/ch_PP-OCRv4_rec_infer.onnx", (2, 3, 48, 64)),
    "magika": ("models/standard_v3_3/model.onnx", (2, 2048)),
}


@pytest.mark.slow
@pytest.mark.parametrize("package", sorted(REAL_MODELS))
def test_real_models_compute_the_same_after_the_clean_up(package: str) -> None:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"needs the package {package}, which brings the model")
    name, shape = REAL_MODELS[package]
    path = Path(next(iter(spec.submodule_search_locations))) / name
    model = load(path)
    cleaned = clean(model)
    assert all(value.shape is not None for node in cleaned.graph for value in node.outputs if value.name)
    entry = model.graph.inputs[0]
    assert entry.dtype is not None
    feeds = {str(entry.name): np.random.default_rng(0).integers(0, 200, shape).astype(entry.dtype.numpy())}
    for ours, theirs in zip(run(cleaned, **feeds), run(onnx.load(path), **feeds), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * max(1e-3, float(np.ptp(theirs))))


def test_two_shapes_of_one_input_are_refused() -> None:
    assert parse_shapes(["x=1x3", "y=2", "x=1,3"]) == {"x": (1, 3), "y": (2,)}
    with pytest.raises(ShapeError, match="'x' is given two shapes, 1x3 and 1x4"):
        parse_shapes(["x=1x3", "x=1x4"])


def test_a_node_without_a_name_gets_that_of_its_output() -> None:
    proto = make("g (float[2] x) => (float[2] y) { a = Relu(x) y = Sin(a) }")
    proto.graph.node[1].name = "wave"
    assert [node.name for node in clean(ir.from_proto(proto)).graph] == ["a", "wave"]
