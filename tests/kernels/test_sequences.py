"""Sequences and optionals that come from outside, or whose length data decide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import edgeort
from edgeort.errors import EdgeortError, InputError


def floats(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)


def check(text: str, feeds: dict[str, Any], opset: int = 18) -> list[Any]:
    """Our outputs, equal to ONNX Runtime's on the first run and on the second."""
    import onnxruntime as ort

    proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": {opset}]> {text}')
    want = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)
    with edgeort.InferenceSession(proto, threads=2) as session:
        for _ in range(2):
            got = session.run(None, feeds)
            for ours, theirs in zip(got, want, strict=True):
                assert isinstance(ours, list) == isinstance(theirs, list)
                pairs = zip(ours, theirs, strict=True) if isinstance(theirs, list) else [(ours, theirs)]
                for a, b in pairs:
                    assert a.dtype == np.asarray(b).dtype
                    np.testing.assert_array_equal(a, b)
    return got


LIST = [floats(2, 3), floats(4), np.float32([]), floats(1, 1, 2)]


@pytest.mark.parametrize(
    ("nodes", "kind"),
    [
        ("y = Identity(s)", "seq(float[])"),
        ("y = SequenceLength(s)", "int64"),
        ("y = SequenceAt(s, i)", "float"),
        ("y = SequenceErase(s, i)", "seq(float[])"),
        ("y = SequenceErase(s)", "seq(float[])"),
        ("t = SequenceAt(s, i) y = SequenceInsert(s, t)", "seq(float[])"),
        ("t = SequenceAt(s, i) y = SequenceInsert(s, t, i)", "seq(float[])"),
    ],
)
@pytest.mark.parametrize("index", [0, 2, -1, -4])
def test_operators(nodes: str, kind: str, index: int) -> None:
    check(f"g (seq(float[]) s, int64 i) => ({kind} y) {{ {nodes} }}", {"s": LIST, "i": np.array(index)})


@pytest.mark.parametrize(("axis", "new_axis"), [(0, 0), (1, 0), (-1, 0), (0, 1), (1, 1), (-1, 1)])
def test_concat(axis: int, new_axis: int) -> None:
    text = f"g (seq(float[]) s) => (float y) {{ y = ConcatFromSequence<axis = {axis}, new_axis = {new_axis}>(s) }}"
    check(text, {"s": [floats(2, 3), floats(2, 3) + 6, floats(2, 3) - 1]})


@pytest.mark.parametrize("sizes", [np.array(2), np.array(3), np.array([1, 4, 0])])
def test_split(sizes: np.ndarray) -> None:
    shape = "" if sizes.ndim == 0 else "[K]"
    text = f"g (float[N, 5] x, int64{shape} k) => (seq(float[]) y) {{ y = SplitToSequence<axis = 1>(x, k) }}"
    check(text, {"x": floats(3, 5), "k": sizes})


def test_strings_in_a_sequence() -> None:
    texts = [np.array(["a", "bé"], object), np.array([["", "日本"]], object)]
    got = check("g (seq(string[]) s, int64 i) => (string y) { y = SequenceAt(s, i) }", {"s": texts, "i": np.array(1)})
    assert got[0].tolist() == [["", "日本"]]


def test_a_loop_that_collects() -> None:
    text = """g (seq(float[]) s, int64 n, bool c, float[2] x) => (seq(float[]) y) {
        y = Loop(n, c, s) <body = b (int64 i, bool in, seq(float[]) now) => (bool go, seq(float[]) next) {
            go = Identity(in) f = Cast<to = 1>(i) t = Mul(x, f) next = SequenceInsert(now, t) }> }"""
    feeds = {"s": LIST, "n": np.array(5), "c": np.array(True), "x": floats(2)}
    assert len(check(text, feeds)[0]) == len(LIST) + 5


def test_a_loop_collects_as_often_as_it_is_run() -> None:
    """Of tensors of other sizes each time, in the memory of the run before; one that is taken out is gone."""
    proto = onnx.parser.parse_model(
        """<ir_version: 9, opset_import: ["": 18]> g (seq(float[]) s, int64 n, float[K] x) => (seq(float[]) y) {
        c = Constant<value = bool {1}>() first = Constant<value_int = 0>()
        y = Loop(n, c, s) <body = b (int64 i, bool in, seq(float[]) now) => (bool go, seq(float[]) next) {
            go = Identity(in) f = Cast<to = 1>(i) t = Mul(x, f) longer = SequenceInsert(now, t)
            next = SequenceErase(longer, first) }> }"""
    )
    with edgeort.InferenceSession(proto, threads=1) as session:
        for trips, size in ((5, 3), (40, 900), (2, 7)):
            x = np.linspace(1, 2, size, dtype=np.float32)
            (got,) = session.run(None, {"s": LIST, "n": np.array(trips), "x": x})
            want = [*LIST, *(x * np.float32(i) for i in range(trips))][trips:]
            assert len(got) == len(want) and all(np.array_equal(a, b) for a, b in zip(got, want, strict=True))


def test_a_branch_chooses_a_sequence() -> None:
    text = """g (seq(float[]) s, bool c) => (seq(float[]) y) {
        y = If(c) <then_branch = t () => (seq(float[]) a) { a = SequenceErase(s) },
                   else_branch = e () => (seq(float[]) b) { b = Identity(s) }> }"""
    for condition in (True, False):
        assert len(check(text, {"s": LIST, "c": np.array(condition)})[0]) == len(LIST) - condition


def test_optionals_are_none_or_a_value() -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["": 18]> g (optional(float[N]) x) => (bool h, optional(float[N]) y)'
        "{ h = OptionalHasElement(x) y = Identity(x) }"
    )
    with edgeort.InferenceSession(proto, threads=1) as session:
        assert session.get_inputs()[0].type == "optional(tensor(float))"
        has, value = session.run(None, {"x": floats(3)})
        assert has and value.tolist() == [0, 1, 2]
        has, value = session.run(None, {"x": None})
        assert not has and value is None


def test_bad_sequences() -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["": 18]> g (seq(float[]) s, int64 i) => (float y) { y = SequenceAt(s, i) }'
    )
    with edgeort.InferenceSession(proto, threads=1) as session:
        assert session.get_inputs()[0].type == "seq(tensor(float))"
        with pytest.raises(EdgeortError, match="a sequence of 1 tensors has no place 3"):
            session.run(None, {"s": [floats(2)], "i": np.array(3)})
        with pytest.raises(InputError, match="must be a list of arrays, not ndarray"):
            session.run(None, {"s": floats(2), "i": np.array(0)})
        with pytest.raises(InputError, match="which the runtime does not have"):
            session.run(None, {"s": [np.zeros(2, complex)], "i": np.array(0)})
        assert session.run(None, {"s": [floats(2)], "i": np.array(0)})[0].tolist() == [0, 1]


def test_a_bundle_of_sequences_says_what_it_cannot(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(
        onnx.parser.parse_model(
            '<ir_version: 9, opset_import: ["": 18]> g (seq(float[]) s) => (int64 y) { y = SequenceLength(s) }'
        ).SerializeToString()
    )
    with pytest.raises(EdgeortError, match="sequence"):
        edgeort.build(path, "host", tmp_path / "bundle")
