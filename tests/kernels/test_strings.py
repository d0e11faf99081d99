"""Strings against ONNX Runtime: what moves them, makes them and looks them up."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgeort import lowering, model
from edgeort.engine import Engine
from edgeort.errors import EdgeortError, InputError, UnsupportedError
from edgeort.lowering.regex import Unreadable, program
from edgeort.passes import PassContext, run_passes
from tests.fuzz.lines import joined, joined_model
from tests.kernels.support import LEVELS, open_plan, reference

WORDS = np.array(
    ["", "a", "Béla", "two words", "  lead", "日本", "a" * 300, "a\tb", "Zoë", "ZOË", "x,y,,z", "0"], object
)


def texts(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice(WORDS, shape)


def parse(text: str, opset: int = 20, constants: dict[str, np.ndarray] | None = None) -> onnx.ModelProto:
    imports = f'"": {opset}, "ai.onnx.ml": 4, "com.microsoft": 1'
    parsed = onnx.parser.parse_model(f"<ir_version: 9, opset_import: [{imports}]> {text}")
    for name, array in (constants or {}).items():
        parsed.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return parsed


def opened(proto: onnx.ModelProto, folder: Path, isa: str = LEVELS[0], threads: int = 2) -> Engine:
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    graph = model.clean(model.load(path))
    run_passes(graph, PassContext())
    (folder / "plans").mkdir(exist_ok=True)
    return open_plan(lowering.lower(graph), folder / "plans", threads=threads, isa=isa)


def same(proto: onnx.ModelProto, inputs: Sequence[np.ndarray], folder: Path) -> list[np.ndarray]:
    """Our outputs, equal to ONNX Runtime's, on the first run and on the second."""
    engine = opened(proto, folder)
    want = reference(proto, inputs)
    for _ in range(2):
        got = engine.run(inputs)
        for ours, theirs in zip(got, want, strict=True):
            assert ours.shape == theirs.shape and ours.dtype == theirs.dtype, (ours, theirs)
            np.testing.assert_array_equal(ours, theirs)
    return got


@pytest.mark.parametrize(
    "nodes",
    [
        "y = Identity(x)",
        "s = Constant<value = int64[2] {-1, 2}>() y = Reshape(x, s)",
        "y = Transpose<perm = [1, 0]>(x)",
        "i = Constant<value = int64[2, 2] {0, 3, -1, 1}>() y = Gather<axis = 1>(x, i)",
        "i = Constant<value = int64[1, 6] {0, 3, -1, 1, 2, 2}>() y = GatherElements<axis = 0>(x, i)",
        "i = Constant<value = int64[2, 1] {1, 3}>() y = GatherND(x, i)",
        "y = Concat<axis = 1>(x, x)",
        "a, b = Split<axis = 1, num_outputs = 2>(x) y = Concat<axis = 0>(b, a)",
        "s = Constant<value = int64[2] {3, -1}>() e = Constant<value = int64[2] {0, -9}>()"
        "t = Constant<value = int64[2] {-1, -2}>() a = Constant<value = int64[2] {0, 1}>() y = Slice(x, s, e, a, t)",
        "s = Constant<value = int64[3] {2, 4, 6}>() y = Expand(x, s)",
        "r = Constant<value = int64[2] {2, 3}>() y = Tile(x, r)",
        "c = Constant<value = int64[2] {1, 0}>() b = Cast<to = 9>(c) y = Compress<axis = 0>(x, b)",
        "a = Constant<value = int64[1] {0}>() y = Unsqueeze(x, a)",
        "y = Flatten<axis = 0>(x)",
        "y = Shape(x)",
    ],
)
def test_moves(nodes: str, tmp_path: Path) -> None:
    kind = "int64" if "Shape(x)" in nodes else "string"
    same(parse(f"g (string[4, N] x) => ({kind} y) {{ {nodes} }}"), [texts(4, 6)], tmp_path)


def test_equal_and_where_broadcast(tmp_path: Path) -> None:
    graph = parse("g (string[N, 1] x, string[M] z) => (bool e, string w) { e = Equal(x, z) w = Where(e, x, z) }")
    same(graph, [texts(5, 1), texts(3000, seed=1)], tmp_path)
    same(graph, [texts(0, 1), texts(3, seed=1)], tmp_path)


def test_constants(tmp_path: Path) -> None:
    graph = parse(
        "g (string[N, 2] x) => (string y) { y = Concat<axis = 0>(x, w) }", constants={"w": texts(3, 2, seed=2)}
    )
    same(graph, [texts(4, 2)], tmp_path)


def test_concatenation_broadcasts(tmp_path: Path) -> None:
    graph = parse("g (string[N, 1] x, string[M] z) => (string y) { y = StringConcat(x, z) }")
    same(graph, [texts(4, 1), texts(3, seed=1)], tmp_path)
    same(graph, [texts(4, 1), texts(0, seed=1)], tmp_path)


@pytest.mark.parametrize("attributes", ["", '<delimiter = ",">', '<delimiter = ",", maxsplit = 1>', "<maxsplit = 1>"])
def test_split(attributes: str, tmp_path: Path) -> None:
    """ONNX Runtime finds blanks alone, and no part in an empty string: there the standard's reference decides."""
    graph = parse(f"g (string[N, M] x) => (string y, int64 n) {{ y, n = StringSplit{attributes}(x) }}")
    words = texts(4, 5)
    same(graph, [np.where((words == "a\tb") | (words == ""), "ab", words).astype(object)], tmp_path)
    got = opened(graph, tmp_path).run([np.array([["a\tb c", ""]], object)])
    if "delimiter" in attributes:
        assert got[0].tolist() == [[["a\tb c"], [""]]] and got[1].tolist() == [[1, 1]]
    elif not attributes:
        assert got[0].tolist() == [[["a", "b", "c"], ["", "", ""]]] and got[1].tolist() == [[3, 0]]


def test_results_of_one_operator_feed_the_next(tmp_path: Path) -> None:
    graph = parse(
        "g (string[N] x) => (string y, int64 n) { a = StringConcat(x, x) b, n = StringSplit<delimiter = \",\">(a)"
        " s = Constant<value = int64[1] {-1}>() c = Reshape(b, s) y = StringConcat(c, c) }"
    )  # fmt: skip
    words = texts(20)
    same(graph, [np.where(words == "", "ab", words).astype(object)], tmp_path)


def test_control_flow_keeps_what_its_bodies_made(tmp_path: Path) -> None:
    loop = """g (string[N] x, int64 n, bool c) => (string y, string s) {
        y, s = Loop(n, c, x) <body = b (int64 i, bool in, string[N] now) => (bool go, string[N] next, string[N] each) {
            go = Identity(in) next = StringConcat(now, x) each = StringConcat(x, now) }> }"""
    same(parse(loop), [texts(5), np.array(4), np.array(True)], tmp_path)
    branch = """g (string[N] x, bool c) => (string y) {
        y = If(c) <then_branch = t () => (string[N] a) { a = StringConcat(x, x) },
                   else_branch = e () => (string[N] d) { d = Identity(x) }> }"""
    for condition in (True, False):
        same(parse(branch), [texts(5), np.array(condition)], tmp_path)


def test_unique(tmp_path: Path) -> None:
    graph = parse("g (string[N] x) => (string y, int64 i, int64 r, int64 c) { y, i, r, c = Unique<sorted = 1>(x) }")
    same(graph, [texts(40)], tmp_path)


@pytest.mark.parametrize(
    ("x", "attributes"),
    [
        (texts(6, 2), {"keys_strings": ["a", "Zoë", "", "a"], "values_int64s": [5, 6, 7, 8], "default_int64": -7}),
        (texts(6, 2), {"keys_strings": ["日本", "Béla"], "values_floats": [0.5, 1.5]}),
        (
            np.array([3, -1, 9, 2**40]),
            {"keys_int64s": [9, -1, 2**40], "values_strings": ["n", "m", ""], "default_string": "no"},
        ),
        (np.array([3, -1, 9]), {"keys_int64s": [9, -1], "values_int64s": [1, 2]}),
        (np.array([0.5, -2, 7], np.float32), {"keys_floats": [7.0, 0.5], "values_strings": ["n", "m"]}),
    ],
)  # fmt: skip
def test_label_encoder(x: np.ndarray, attributes: dict[str, object], tmp_path: Path) -> None:
    kinds = {"O": TensorProto.STRING, "i": TensorProto.INT64, "f": TensorProto.FLOAT}
    out = next(name for name in attributes if name.startswith("values_"))
    to = {"values_int64s": TensorProto.INT64, "values_floats": TensorProto.FLOAT, "values_strings": TensorProto.STRING}[
        out
    ]
    node = helper.make_node("LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml", **attributes)
    values = [helper.make_tensor_value_info("x", kinds[x.dtype.kind], [None] * x.ndim)]
    graph = helper.make_graph([node], "g", values, [helper.make_tensor_value_info("y", to, None)])
    imports = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 4)]
    same(helper.make_model(graph, opset_imports=imports, ir_version=9), [x], tmp_path)


def test_one_hot_encoder(tmp_path: Path) -> None:
    graph = parse(
        'g (string[N, 2] x) => (float y) { y = ai.onnx.ml.OneHotEncoder<cats_strings = ["a", "0", "日本"]>(x) }'
    )
    same(graph, [texts(9, 2)], tmp_path)


def test_n_grams(tmp_path: Path) -> None:
    graph = parse("""g (string[N, 6] x) => (float y) { y = TfIdfVectorizer<mode = "TFIDF", min_gram_length = 1,
        max_gram_length = 2, max_skip_count = 1, ngram_counts = [0, 2], ngram_indexes = [0, 1, 2],
        pool_strings = ["a", "0", "a", "a"], weights = [0.5, 2.0, 3.0]>(x) }""")
    same(graph, [np.random.default_rng(3).choice(np.array(["a", "0", "b"], object), (8, 6))], tmp_path)


@pytest.mark.parametrize(
    "attributes",
    [
        'tokenexp = "[a-z]+", pad_value = "#", mincharnum = 1, mark = 0',
        'tokenexp = "[a-zA-Z0-9_]+", pad_value = "", mincharnum = 2, mark = 1',
        'separators = [","], pad_value = "-", mincharnum = 1, mark = 0',
        'separators = ["\\\\s+", ","], pad_value = "-", mincharnum = 1, mark = 0',
        'separators = [""], pad_value = "-", mincharnum = 1, mark = 0',
    ],
)
def test_tokenizer(attributes: str, tmp_path: Path) -> None:
    x = np.array(["some words,here", "one", "a  b c,d", "日本 x"], object)
    same(parse(f"g (string[N] x) => (string y) {{ y = com.microsoft.Tokenizer<{attributes}>(x) }}"), [x], tmp_path)


@pytest.mark.parametrize(("action", "change"), [("UPPER", str.upper), ("LOWER", str.lower), ("NONE", str)])
@pytest.mark.parametrize("sensitive", [0, 1])
def test_normalizer(action: str, change: type[str], sensitive: int, tmp_path: Path) -> None:
    """By the specification: ONNX Runtime needs locales that machines lack."""
    x = np.array(["Zoë", "ZOË", "a", "ΣΑΣ", "ĳssel", "A"], object)
    attributes = f'case_change_action = "{action}", is_case_sensitive = {sensitive}, stopwords = ["zoË", "a"]'
    engine = opened(parse(f"g (string[N] x) => (string y) {{ y = StringNormalizer<{attributes}>(x) }}"), tmp_path)
    stops = ("zoË", "a") if sensitive else ("zoë", "a")
    kept = [word for word in x if (word if sensitive else word.lower()) not in stops]
    assert engine.run([x])[0].tolist() == [change(word) for word in kept if word] or action == "LOWER"
    assert len(engine.run([x])[0]) == len(kept)
    assert engine.run([np.array(["a"], object)])[0].tolist() == [""]


PATTERNS = (
    r"a*", r"(a|b)+c?", r"[^ab]+", r"\d{2,4}-\d+", r"(?i)zoo+", r"^a.*b$", r"\w+@\w+\.com", r"(ab|a)(bc|c)?", r"a??b",
    r"[a-c\d]{3}", r"\bfoo\b.*", r"x{0}y", r"(a*)*b", r"日.", r"(?s)a.b", r"[\w.-]+", r"", r"a|", r"\Bx|x\B.",
)  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns(pattern: str, tmp_path: Path) -> None:
    """Against ONNX Runtime, which runs RE2."""
    rng = random.Random(pattern)
    some = ["", "a", "abc", "zoo", "ZOOO", "12-3", "123-45", "me@x.com", "foo bar", "日本", "a\nb", "y", "xx", "b" * 40]
    x = np.array(some + ["".join(rng.choices("abc12-x.", k=rng.randrange(6))) for _ in range(60)], object)
    node = helper.make_node("RegexFullMatch", ["x"], ["y"], pattern=pattern)
    values = [helper.make_tensor_value_info("x", TensorProto.STRING, ["N"])]
    graph = helper.make_graph([node], "g", values, [helper.make_tensor_value_info("y", TensorProto.BOOL, None)])
    same(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), [x], tmp_path)


@pytest.mark.parametrize(
    "pattern", [r"(a)\1", r"(?=a)b", r"(?<!a)b", r"a++", r"(", r"\pN", "(?:a{200}){200}", "(?i)[é]"]
)
def test_patterns_that_are_refused(pattern: str) -> None:
    with pytest.raises(Unreadable):
        program(pattern)


def test_a_refused_pattern_names_the_node(tmp_path: Path) -> None:
    graph = parse('g (string[N] x) => (bool y) { [match] y = RegexFullMatch<pattern = "(a)\\\\1">(x) }')
    with pytest.raises(UnsupportedError, match=r"node 'match' \(RegexFullMatch\): its pattern has groupref"):
        opened(graph, tmp_path)


def test_a_hard_pattern_takes_no_time(tmp_path: Path) -> None:
    graph = parse('g (string[N] x) => (bool y) { y = RegexFullMatch<pattern = "(a*)*(a*)*c">(x) }')
    assert not opened(graph, tmp_path).run([np.array(["a" * 20_000], object)])[0].any()
    assert re.fullmatch("a*c", "aac")


def test_what_is_no_string(tmp_path: Path) -> None:
    engine = opened(parse("g (string[N] x) => (string y) { y = Identity(x) }"), tmp_path)
    with pytest.raises(InputError, match="must be strings"):
        engine.run([np.array([1, 2])])
    with pytest.raises(InputError, match="must be strings, not NoneType"):
        engine.run([np.array(["a", None], object)])
    (got,) = engine.run([np.array(["a\0b", b"\xff".decode("utf-8", "surrogateescape")], object)])
    assert got.tolist() == ["a\0b", "\udcff"]
    with pytest.raises(EdgeortError):
        engine.run([np.array([["a"]], object)])


@pytest.mark.parametrize("shape", [(3, 7), (1, 1), (2, 0), (0, 5)])
def test_joined(shape: tuple[int, int], tmp_path: Path):
    rng = np.random.default_rng(0)
    entries, kept = rng.integers(0, 4, shape), rng.integers(0, 2, shape).astype(bool)
    proto = joined_model()
    engine = open_plan(joined()[1], tmp_path, threads=2)
    rows = ["".join(np.array(["a", "", "bc", "two words"])[e[k]]) for e, k in zip(entries, kept, strict=True)]
    for _ in range(2):
        (y,) = engine.run([entries, kept])
        assert y.shape == shape[:1] and y.tolist() == rows
    if all(shape):
        np.testing.assert_array_equal(reference(proto, [entries, kept])[0], y)


def test_entries_that_are_kept_must_be_there(tmp_path: Path):
    engine = open_plan(joined()[1], tmp_path)
    entries, kept = np.array([[0, 4, -1]]), np.array([[True, False, False]])
    assert engine.run([entries, kept])[0].tolist() == ["a"]
    for place in (1, 2):
        kept[0, place] = True
        with pytest.raises(EdgeortError, match=f"entry {entries[0, place]} is none of its 4 strings"):
            engine.run([entries, kept])
        kept[0, place] = False


def test_rows_of_nothing_are_not_without_end(tmp_path: Path):
    engine = open_plan(joined()[1], tmp_path)
    entries, kept = np.zeros((1 << 40, 0), np.int64), np.zeros((1 << 40, 0), bool)
    with pytest.raises(EdgeortError, match="output 0 would be 1099511627776 strings"):
        engine.run([entries, kept])
