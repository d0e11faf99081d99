"""WordPiece against the algorithm as BERT's authors wrote it down, and against Hugging Face's tokenizers."""

from __future__ import annotations

import importlib.util
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgeort
from edgeort.bundle import Vocabulary
from edgeort.errors import InputError
from edgeort.text import WordPiece, unicode_tables
from tests.cli.support import call
from tests.models import HOST, ON_HOST, mlp

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
PIECES = [
    *"abcdefghijklmnopqrstuvwxyz0123456789.,!?#-_'$",
    *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz0123456789"),
    *("hello", "world", "un", "##aff", "##able", "##ab", "界", "世", "##界"),
    *("é", "##é", "ᄒ", "##ᅡ", "##ᆫ", "И", "и"),
]  # fmt: skip
TOKENS = [*SPECIAL, *dict.fromkeys(PIECES)]
IDS = {token: index for index, token in enumerate(TOKENS)}


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def uncased(vocabulary: Path) -> WordPiece:
    return WordPiece(vocabulary)


@pytest.fixture(scope="module")
def cased(vocabulary: Path) -> WordPiece:
    return WordPiece(vocabulary, cased=True)


def is_punctuation(c: str) -> bool:
    return (c.isascii() and c.isprintable() and not c.isalnum() and c != " ") or unicodedata.category(c)[0] == "P"


def is_cjk(c: str) -> bool:
    near = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))
    far = ((0x20000, 0x2A6DF), (0x2A700, 0x2CEAF), (0x2F800, 0x2FA1F))
    return any(first <= ord(c) <= last for first, last in (*near, *far))


def split(text: str, *, cased: bool) -> list[str]:
    out = []
    for c in text:
        category = unicodedata.category(c)
        if c in "\t\n\r" or category in ("Zs", "Zl", "Zp"):
            out.append(" ")
        elif category not in ("Cc", "Cf", "Co", "Cs") and c != "\ufffd":
            folded = c if cased else unicode_tables.folded(c if isinstance(c, int) else ord(c))
            folded = "".join(f" {f} " if is_punctuation(f) else f for f in folded)
            out.append(f" {folded} " if is_cjk(c) else folded)
    return "".join(out).split(" ")


def pieces(word: str) -> list[int]:
    if len(word) > 100:
        return [IDS["[UNK]"]]
    found, begin = [], 0
    while begin < len(word):
        names = [("##" if begin else "") + word[begin:end] for end in range(len(word), begin, -1)]
        name = next((name for name in names if name in IDS), None)
        if name is None:
            return [IDS["[UNK]"]]
        found.append(IDS[name])
        begin += len(name) - (2 if begin else 0)
    return found


def reference(text: str, *, cased: bool = False) -> list[int]:
    inner = [index for word in split(text, cased=cased) if word for index in pieces(word)]
    return [IDS["[CLS]"], *inner[:510], IDS["[SEP]"]]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("", []),
        (" \t\n ", []),
        ("Hello, world!", ["hello", ",", "world", "!"]),
        ("unaffable", ["un", "##aff", "##able"]),
        ("HÉLLO", ["hello"]),
        ("He\u0301llo", ["hello"]),
        ("he\u200bllo\x00", ["hello"]),
        ("世界", ["世", "界"]),
        ("a世b", ["a", "世", "b"]),
        ("한", ["ᄒ", "##ᅡ", "##ᆫ"]),
        ("И", ["и"]),
        ("漢 a", ["[UNK]", "a"]),
        ("ab漢", ["a", "##b", "[UNK]"]),
        ("a" * 100, ["a", *["##a"] * 99]),
        ("a" * 101, ["[UNK]"]),
        ("[SEP]", ["[UNK]", "s", "##e", "##p", "[UNK]"]),
    ],
)
def test_examples(uncased: WordPiece, text: str, want: list[str]):
    assert [TOKENS[i] for i in uncased.encode(text)] == ["[CLS]", *want, "[SEP]"]


def test_cased_keeps_letters_and_accents(cased: WordPiece):
    assert [TOKENS[i] for i in cased.encode("И é E")] == ["[CLS]", "И", "é", "[UNK]", "[SEP]"]


TEXTS = st.text(
    st.one_of(st.sampled_from("abcdEFÉé界世한ß .,#-'\t\u0301\u200b"), st.characters(codec="utf-8")), max_size=200
)


@settings(max_examples=400)
@given(TEXTS)
def test_the_reference(uncased: WordPiece, cased: WordPiece, text: str):
    assert uncased.encode(text).tolist() == reference(text)
    assert cased.encode(text).tolist() == reference(text, cased=True)


def test_every_character(uncased: WordPiece):
    """Between two letters, so that what is left out, split off or folded shows."""
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    for start in range(0, len(codes), 50):
        text = " ".join(f"a{chr(code)}b" for code in codes[start : start + 50])
        assert uncased.encode(text).tolist() == reference(text), f"near {codes[start]:#x}"


def test_bytes_that_are_no_utf8_are_left_out(uncased: WordPiece):
    assert uncased.encode("hel\ud800lo").tolist() == uncased.encode("hello").tolist()


@pytest.mark.parametrize("length", [2, 3, 5, 64])
def test_cut_before_sep(vocabulary: Path, length: int):
    ids = WordPiece(vocabulary, max_length=length).encode("hello unaffable world " * 20)
    assert ids.tolist() == [*reference("hello unaffable world " * 20)[: length - 1], IDS["[SEP]"]]


def test_batch_is_padded(uncased: WordPiece):
    ids, mask = uncased.encode_batch(["hello world", "", "a"])
    assert ids.dtype == mask.dtype == np.int64
    assert ids.tolist() == [[2, IDS["hello"], IDS["world"], 3], [2, 3, 0, 0], [2, IDS["a"], 3, 0]]
    assert mask.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]]
    assert uncased.encode_batch([])[0].shape == (0, 0)


def test_windows_line_ends(tmp_path: Path):
    (tmp_path / "vocab.txt").write_bytes("\r\n".join(TOKENS).encode())
    assert WordPiece(tmp_path / "vocab.txt").encode("hello").tolist() == [2, IDS["hello"], 3]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "cannot be opened"),
        (b"", "is empty"),
        (b"hello\nworld\n", "no WordPiece vocabulary"),
        (b"\xff\n[UNK]\n", "no WordPiece vocabulary"),
    ],
)
def test_bad_vocabularies(tmp_path: Path, data: bytes | None, message: str):
    path = tmp_path / "vocab.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        WordPiece(path)
    with pytest.raises(InputError):
        Vocabulary(path).check()


def test_too_short(vocabulary: Path):
    with pytest.raises(InputError, match="max_length is 1"):
        WordPiece(vocabulary, max_length=1)


def test_tables_are_up_to_date():
    written = unicode_tables.PATH.read_text(encoding="utf-8")
    version = written.splitlines()[0].split()[-1].rstrip(".")
    if version != unicodedata.unidata_version:
        pytest.skip(f"this Python has Unicode {unicodedata.unidata_version}, the tables are of {version}")
    assert written == unicode_tables.text()


def test_bundle_has_a_tokenizer(tmp_path: Path, vocabulary: Path):
    import onnx

    onnx.save(mlp(), tmp_path / "m.onnx")
    out = tmp_path / "b"
    result = call(
        "build",
        tmp_path / "m.onnx",
        "--device",
        "host",
        "--provider",
        "cpu",
        "-o",
        out,
        "--vocab",
        vocabulary,
        "--cased",
    )
    assert result.exit_code == 0
    assert (out / "include/edgeort_text.h").is_file()
    assert WordPiece(out).encode("И").tolist() == [2, IDS["И"], 3]
    edgeort.build(tmp_path / "m.onnx", HOST, tmp_path / "z.zip", vocabulary=Vocabulary(vocabulary))
    assert WordPiece(tmp_path / "z.zip").encode("И").tolist() == [2, IDS["и"], 3]
    edgeort.build(tmp_path / "m.onnx", HOST, tmp_path / "none")
    with pytest.raises(InputError, match="no vocabulary"):
        WordPiece(tmp_path / "none")


@pytest.mark.parametrize(
    ("options", "message"), [(("--cased",), "how to read"), (("--vocab", "missing.txt"), "No such file")]
)
def test_bad_options(tmp_path: Path, options: tuple[str, ...], message: str):
    result = call("build", *ON_HOST, "-o", tmp_path / "b", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "b").exists()


@pytest.mark.skipif(importlib.util.find_spec("tokenizers") is None, reason="needs tokenizers")
def test_hugging_face_agrees(vocabulary: Path, uncased: WordPiece):
    from tokenizers import BertWordPieceTokenizer

    other = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
    text = (Path(__file__).parents[2] / "README.md").read_text().replace("[", " ")  # it takes [CLS] for a token
    for line in [*text.splitlines(), "Ünïcödé naïve 日本語テスト İstanbul ǅ ẞ 안녕 $5.00"]:
        assert uncased.encode(line).tolist() == other.encode(line).ids, line
