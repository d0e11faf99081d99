"""Sequences and optionals whose tensors the graph tells: the answers are those of ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import edgeort
from edgeort import lowering
from edgeort.engine import Engine
from edgeort.errors import ModelError
from edgeort.model import clean, load
from edgeort.passes import PassContext, run_passes

X = np.arange(24, dtype=np.float32).reshape(6, 4)
ONE, TWO, FOUR = (f"c{n} = Constant <value = int64 {{{n}}}> ()" for n in (1, 2, 4))
APPENDING = """(float[4] x, int64 n) => (float[m,4] y, float[4] last) {{
    t = Constant <value = bool {{1}}> () s = SequenceEmpty ()
    last, r = Loop (n, t, x, s) <body = b (int64 it, bool c, float[4] v, seq(float[4]) q)
        => (bool c2, float[4] v2, seq(float[4]) q2) {{
        c2 = Identity (c) v2 = Add (v, v) q2 = SequenceInsert ({inserted}) }}>
    y = ConcatFromSequence <axis = 0, new_axis = 1> (r) }}"""

# what -> (the model, its inputs)
MODELS: dict[str, tuple[str, dict[str, np.ndarray]]] = {
    "parts of one size": (
        f"(float[6,4] x) => (float[2,4] y) {{ {TWO} {ONE} s = SplitToSequence <axis = 0> (x, c2)"
        " y = SequenceAt (s, c1) }",
        {"x": X},
    ),
    "the last part is smaller": (
        f"(float[6,4] x) => (float[2,4] y, int64 n) {{ {FOUR} {ONE} s = SplitToSequence <axis = 0> (x, c4)"
        " y = SequenceAt (s, c1) n = SequenceLength (s) }",
        {"x": X},
    ),
    "parts of given sizes": (
        f"(float[6,4] x) => (float[6,4] y) <int64[2] sizes = {{1, 3}}> {{ {ONE}"
        " s = SplitToSequence <axis = -1> (x, sizes)"
        " a = SequenceAt (s, c1) b = SequenceErase (s, c1) d = SequenceInsert (b, a, c1)"
        " y = ConcatFromSequence <axis = 1> (d) }",
        {"x": X},
    ),
    "any number of parts without the axis": (
        "(float[n,4] x, int64 i) => (float[4] y, int64 k, float[n,4] z) {"
        " s = SplitToSequence <axis = 0, keepdims = 0> (x)"
        " y = SequenceAt (s, i) k = SequenceLength (s) z = ConcatFromSequence <axis = 0, new_axis = 1> (s) }",
        {"x": X, "i": np.array(-2)},
    ),
    "any number of parts": (
        f"(float[n,4] x) => (float[m,4] y, int64 k) {{ {FOUR} {ONE} s = SplitToSequence <axis = 0> (x, c4)"
        " y = SequenceAt (s, c1) k = SequenceLength (s) }",
        {"x": X},
    ),
    "lists that grow and shrink": (
        f"(float[6,4] x) => (float[2,6,4] y) {{ {ONE} a = SequenceEmpty () b = SequenceInsert (a, x) r = Relu (x)"
        " n = Neg (x) d = SequenceInsert (b, r) e = SequenceInsert (d, n, c1) f = SequenceErase (e)"
        " g = Identity (f) y = ConcatFromSequence <axis = 0, new_axis = 1> (g) }",
        {"x": X},
    ),
    "a computed index": (
        "(float[6,4] x, int64 i) => (float[6,4] y) { n = Neg (x) s = SequenceConstruct (n, x) y = SequenceAt (s, i) }",
        {"x": X, "i": np.array(1)},
    ),
    "read in a branch": (
        f"(float[6,4] x, bool c) => (float[6,4] y) {{ {ONE} n = Neg (x) s = SequenceConstruct (n, x)"
        " y = If (c) <then_branch = t () => (float[6,4] a) { a = SequenceAt (s, c1) },"
        " else_branch = e () => (float[6,4] b) { b = Abs (x) }> }",
        {"x": X, "c": np.array(True)},
    ),
    "a loop that appends": (APPENDING.format(inserted="q, v2"), {"x": X[0], "n": np.array(3)}),
    "an optional": (
        "(float[6,4] x) => (float[6,4] y, bool has, bool none) { o = Optional (x) y = OptionalGetElement (o)"
        " has = OptionalHasElement (o) none = OptionalHasElement (, ) }",
        {"x": X},
    ),
}

SEQUENCE_OPERATORS = frozenset(
    (
        *(("", f"Sequence{name}") for name in ("At", "Construct", "Empty", "Erase", "Insert", "Length", "Map")),
        *(("", name) for name in ("ConcatFromSequence", "SplitToSequence", "Optional", "OptionalGetElement")),
        ("", "OptionalHasElement"),
    )
)


def make(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 18]> g {text}')


@pytest.mark.parametrize("what", MODELS)
def test_sequences_become_tensors(tmp_path: Path, whole_library: Path, what: str) -> None:
    text, feeds = MODELS[what]
    proto = make(text)
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    graph = clean(load(tmp_path / "m.onnx"))
    assert not {(node.domain, node.op_type) for node in graph.graph.all_nodes()} & SEQUENCE_OPERATORS
    run_passes(graph, PassContext())
    (tmp_path / "m.plan").write_bytes(lowering.lower(graph).to_bytes())
    engine = Engine(whole_library, tmp_path / "m.plan", threads=1)
    got = engine.run([feeds[info.name] for info in engine.inputs])
    engine.close()
    want = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, feeds)
    for ours, theirs in zip(got, want, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype


DATA_DECIDE: dict[str, tuple[str, dict[str, np.ndarray]]] = {
    "sizes": (
        "(float[n,4] x, int64[k] s) => (float[a,4] y) <int64 i = {1}> { q = SplitToSequence (x, s)"
        " y = SequenceAt (q, i) }",
        {"x": X, "s": np.array([1, 3, 2])},
    ),
    "where a loop inserts": (APPENDING.format(inserted="q, v2, it"), {"x": X[0], "n": np.array(3)}),
}


@pytest.mark.parametrize("what", DATA_DECIDE)
def test_what_data_decide_is_left_to_the_runtime(tmp_path: Path, what: str) -> None:
    text, feeds = DATA_DECIDE[what]
    (tmp_path / "m.onnx").write_bytes(make(text).SerializeToString())
    want = onnxruntime.InferenceSession(make(text).SerializeToString()).run(None, feeds)
    with edgeort.InferenceSession(tmp_path / "m.onnx", threads=1) as session:
        for ours, theirs in zip(session.run(None, feeds), want, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_an_index_beyond_a_sequence_is_refused(tmp_path: Path) -> None:
    text = "(float[3] x) => (float[3] y) <int64 i = {2}> { s = SequenceConstruct (x, x) y = SequenceAt (s, i) }"
    (tmp_path / "m.onnx").write_bytes(make(text).SerializeToString())
    with pytest.raises(ModelError, match="node 'y' .SequenceAt. reads entry 2 of a sequence of 2 tensors"):
        clean(load(tmp_path / "m.onnx"))
