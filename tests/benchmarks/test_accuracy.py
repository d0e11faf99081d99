"""The data and the judges of the accuracy benchmark."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy import __main__ as command
from benchmarks.accuracy import byte_files, pairs, text
from benchmarks.accuracy.cases import Case, Embedding, Judge, Labelled, Lazily, Reader, Sample, Similarity
from edgeort.errors import InputError, ModelError
from tests.quantize.models import mobile, samples, save


def test_samples_are_made_when_asked_for():
    made: list[int] = []

    def make(item: int) -> Sample:
        made.append(item)
        return {"x": np.array([item])}

    lazy = Lazily(range(10), make)
    assert len(lazy) == 10 and made == []
    assert int(lazy[3:][1]["x"][0]) == 4 and made == [4]


def test_sentences_are_the_same_and_different():
    first = text.sentences(40)
    assert first == text.sentences(40)
    assert len(set(first)) == 40


def test_files_as_inputs(tmp_path: Path):
    for name, content in (("short.py", b"  print(1) # a small file, but not too small\n"), ("long.c", b"x" * 3000)):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "unknown.kind").write_bytes(b"y" * 100)
    assert [path.name for path in byte_files.files([str(tmp_path)])] == ["long.c", "short.py"]
    row = byte_files.as_input(tmp_path / "short.py")
    assert (row.shape, row.dtype) == ((1, 2048), np.int32)
    assert row[0, 0] == ord("p") and row[0, 1023] == 256 and row[0, 1024] == 256 and row[0, 2047] == ord("l")
    assert (byte_files.as_input(tmp_path / "long.c") == ord("x")).all()


def test_lines_are_the_same_and_different():
    pytest.importorskip("PIL")
    from benchmarks.accuracy import lines

    try:
        found = [lines.line(seed) for seed in (0, 1, 0)]
    except ModelError as error:
        pytest.skip(str(error))
    assert np.array_equal(found[0].picture, found[2].picture)
    assert found[0].text != found[1].text
    assert found[0].picture.shape[:3] == (1, 3, 48) and found[0].picture.dtype == np.float32
    assert np.abs(found[0].picture).max() <= 1


def test_a_reader_counts_lines():
    one_hot = np.eye(4, dtype=np.float32)
    reader = Reader(lambda index: ["a b", "bb", "a"][index], ["a", "b"])
    reader.add(0, one_hot[[1, 1, 3, 2]][None], one_hot[[1, 0, 0, 2]][None])  # 3 is the space
    reader.add(1, one_hot[[2, 0, 2]][None], one_hot[[2, 2, 2]][None])
    reader.add(2, one_hot[[2]][None], one_hot[[2]][None])
    row = reader.row()
    assert row["float's exact %"] == pytest.approx(200 / 3)
    assert row["exact %"] == pytest.approx(100 / 3)
    assert row["agree %"] == pytest.approx(200 / 3)
    assert (row["lost"], row["won"]) == (1, 0)
    assert row["KL"] == pytest.approx(3 * np.log(1e9) / 8, rel=0.01)  # of eight steps three differ


def test_lines_are_asked_for():
    assert command.find("ppocr_rec", 7).data is not command.find("ppocr_rec").data
    assert command.find("magika", 7) is command.find("magika")
    with pytest.raises(InputError, match="--lines 0"):
        command.find("ppocr_rec", 0)


def test_pairs_of_sentences(tmp_path: Path):
    (tmp_path / "a.tsv").write_text("5.0\tone\tone\n\tno\tscore\n0.5\tone\ttwo\n2\tx\ty\n", encoding="utf-8")
    assert pairs.read(tmp_path, 10) == [(5.0, "one", "one"), (0.5, "one", "two"), (2.0, "x", "y")]
    assert pairs.read(tmp_path, 2) == [(5.0, "one", "one"), (2.0, "x", "y")]
    with pytest.raises(ModelError, match="no .tsv"):
        pairs.read(tmp_path / "absent", 2)
    (tmp_path / "header.tsv").write_text("score\tone\tother\n")
    with pytest.raises(ModelError, match="header.tsv:1: 'score' is no score"):
        pairs.read(tmp_path, 10)
    similarity = Similarity([3.0, 1.0, 2.0])
    vectors = np.eye(3)[[0, 0, 0, 1, 0, 2]] + np.array([0, 0, 0, 0, 0, 0.5])[:, None]
    for index, vector in enumerate(vectors):
        similarity.add(index, vector[None, None], vector[None, None] * 2)
    assert similarity.row()["Spearman %"] == similarity.row()["float's Spearman %"] == pytest.approx(100)


def test_labels_and_embeddings():
    labelled = Labelled([1, 0])
    labelled.add(0, np.array([[0.0, 1]]), np.array([[0.0, 2]]))
    labelled.add(1, np.array([[1.0, 0]]), np.array([[0.0, 1]]))
    assert (labelled.row()["top-1 %"], labelled.row()["float's top-1 %"], labelled.row()["agree %"]) == (50, 100, 50)
    embedding = Embedding()
    states = np.array([[[1.0, 0], [0, 1]]])
    embedding.add(0, states, states)
    embedding.add(1, states, np.array([[[1.0, 0], [1, 0]]]))
    assert embedding.row()["least"] == pytest.approx(np.sqrt(0.5))
    assert embedding.row()["cosine"] == pytest.approx((1 + np.sqrt(0.5)) / 2)


def test_a_model_is_judged(tmp_path: Path):
    path = save(tmp_path / "m.onnx", mobile())
    data: Sequence[Sample] = samples(4)
    case = Case("small", lambda: path, lambda: (data, data, Judge()))
    assert command.judge(case, path) == {"SQNR dB": np.inf, "KL": 0, "agree %": 100}


def test_unknown_cases_and_contenders(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(InputError, match="unknown case"):
        command.find("resnet")
    assert command.main(["resnet"]) == 1
    assert "unknown case 'resnet'" in capsys.readouterr().out
    failed = command.make("resnet", "edgeort", Path("q.onnx"))
    assert "unknown case" in failed["failed"], sys.executable
