"""The clean-up: what goes, what stays, and that the model computes the same."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import edgeort
from edgeort.errors import ModelError
from edgeort.model import clean, free_dimensions, load
from tests.model.support import everything, make, operators, run, write


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


def test_strings_are_not_folded_and_do_not_stop_the_fold(caplog: pytest.LogCaptureFixture) -> None:
    """scikit-learn's classifiers end so: their labels are a constant of a rank that another operator changes."""
    text = """g (float[4] x, int64[1] i) => (string[1,1] s, float[4] y)
    <string[3] classes = {"a", "b", "long"}, int64[1] axes = {0}, float[1] one = {1}>
    { u = Unsqueeze(classes, axes)  s = Gather<axis=1>(u, i)  two = Add(one, one)  y = Mul(x, two) }"""
    proto = make(text)
    for label in proto.graph.initializer:
        if label.name == "classes":
            label.string_data[:] = [b"a", b"b", b"long"]
    model = clean(ir.from_proto(proto))
    assert not caplog.records
    assert operators(model) == ["Unsqueeze", "Gather", "Mul"]
    feeds = {"x": np.ones(4, np.float32), "i": np.array([2])}
    for ours, theirs in zip(run(model, **feeds), run(proto, **feeds), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_constant_that_is_an_output_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    text = "g (float[1] x) => (float[1] y, float[1] c) <float[1] c = {1}, float[1] d = {1}> { y = Add(x, d) }"
    model = clean(ir.from_proto(make(text)))
    assert operators(model) == ["Add"] and not caplog.records


def test_quantisation_is_kept() -> None:
    text = """g (float[n,2] x) => (float[n,2] y) <float s = {0.5}, int8 z = {0}, int8[2,2] w = {1, 2, 3, 4}>
    { q = QuantizeLinear(x, s, z)  d = DequantizeLinear(q, s, z)  v = DequantizeLinear(w, s, z)  y = MatMul(d, v) }"""
    model = clean(ir.from_proto(make(text)))
    assert operators(model) == ["QuantizeLinear", "DequantizeLinear", "DequantizeLinear", "MatMul"]


def test_a_broadcast_by_one_is_no_identity() -> None:
    text = "g (float[3] x) => (float[1,1,3] y) <float[1,1,1] one = {1}> { y = Mul(x, one) }"
    assert clean(ir.from_proto(make(text))).graph.outputs[0].shape == ir.Shape([1, 1, 3])


@pytest.mark.parametrize("step", ["Add(x, c)", "Add(c, x)", "Sub(x, c)", "Mul(x, c)", "Mul(c, x)", "Div(x, c)"])
def test_only_the_very_neutral_number_goes(step: str) -> None:
    """Of silence, Log(x + 1e-10) is a number, and Log(x) is not."""
    neutral = 1.0 if "Mul" in step or "Div" in step else 0.0
    text = f"g (float[4] x) => (float[4] y) <float c = {{VALUE}}> {{ d = {step}  y = Abs(d) }}"
    for value in (1e-12, 1e-9, 1.000001):
        assert len(operators(clean(ir.from_proto(make(text.replace("VALUE", repr(value))))))) == 2
    assert operators(clean(ir.from_proto(make(text.replace("VALUE", str(neutral)))))) == ["Abs"]


def test_a_wrong_rank_of_an_output_gives_way() -> None:
    """ONNX cannot tell the dimensions of a Reshape to products of others, but how many there are."""
    text = """g (float[n,m,k] x) => (float[1,s] y) <int64 i = {0}, int64 j = {1}, int64[1] a = {0}, int64[1] b = {-1}>
    { s = Shape(x)  d = Gather(s, i)  e = Gather(s, j)  p = Mul(d, e)  u = Unsqueeze(p, a)  v = Unsqueeze(d, a)
      t = Concat<axis=0>(v, u, b)  r = Relu(x)  y = Reshape(r, t) }"""
    shape = clean(ir.from_proto(make(text))).graph.outputs[0].shape
    assert shape is not None and shape.rank() == 3
    session = edgeort.InferenceSession(make(text), threads=1)
    assert session.run(None, {"x": np.ones((1, 2, 3), np.float32)})[0].shape == (1, 2, 3)


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


def test_a_node_without_a_name_gets_that_of_its_output() -> None:
    proto = make("g (float[2] x) => (float[2] y) { a = Relu(x) y = Sin(a) }")
    proto.graph.node[1].name = "wave"
    assert [node.name for node in clean(ir.from_proto(proto)).graph] == ["a", "wave"]


def test_names_of_nodes_are_one_of_a_kind_over_all_bodies() -> None:
    """By which the quantiser, its ledger and --exclude tell nodes apart."""
    proto = make("""g (bool c, float[2] x) => (float[2] y) {
        k = Relu(x)
        y = If(c) <then_branch = t () => (float[2] q) { q = Sin(k) }, else_branch = f () => (float[2] p) { p = Cos(k) }>
    }""")
    bodies = [attribute.g for attribute in proto.graph.node[1].attribute]
    for node in (proto.graph.node[0], *(body.node[0] for body in bodies)):
        node.name = "n"
    proto.graph.node[1].name = "n_1"
    names = [node.name for node in clean(ir.from_proto(proto)).graph.all_nodes()]
    assert len(set(names)) == len(names) == 4 and {"n", "n_1"} < set(names)


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
