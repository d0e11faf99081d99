"""Labels: where they come from, and what is said about bad ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeort.errors import InputError
from edgeort.validate.labels.classes import read_class_sets, read_classes, read_texts

NAMES = ["a.jpg", "b/c.jpg", "x.npy[0]"]


def written(folder: Path, text: str) -> str:
    (folder / "l.csv").write_text(text, encoding="utf-8")
    return str(folder / "l.csv")


def test_csv(tmp_path: Path):
    text = "\ufefffile,label\na.jpg,3\n\nb/c.jpg, 4\nelse.jpg,1\n"
    assert read_classes(written(tmp_path, text), NAMES) == {"a.jpg": 3, "b/c.jpg": 4, "else.jpg": 1}
    text = 'note,class_index,file\n"x, y",7,./a.jpg\n'
    assert read_classes(written(tmp_path, text), NAMES) == {"a.jpg": 7}
    assert read_texts(written(tmp_path, "file,label\na.jpg,007 x\n"), NAMES) == {"a.jpg": "007 x"}


def test_an_array_of_one_sample_goes_by_its_file(tmp_path: Path):
    source = written(tmp_path, "file,label\nx.npy,3\n")
    assert read_classes(source, NAMES) == {"x.npy[0]": 3}
    assert read_texts(source, ["x.npy", "x.npy[0]"]) == {"x.npy": "3"}
    with pytest.raises(InputError, match=r"x\.npy is none of"):
        read_classes(source, [*NAMES, "x.npy[1]"])
    twice = written(tmp_path, "file,label\nx.npy,3\nx.npy[0],4\n")
    with pytest.raises(InputError, match=r"l\.csv:3: x\.npy\[0\] has a label already"):
        read_classes(twice, NAMES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "l.csv:1: the columns are none"),
        ("a.jpg,3\n", "l.csv:1: the columns are a.jpg, 3"),
        ("file,label\na.jpg,3\na.jpg,4\n", "l.csv:3: a.jpg has a label already"),
        ("file,label\na.jpg\n", "l.csv:2: 'a.jpg' has too few columns"),
        ("file,label\na.jpg,cat\n", "l.csv:2: 'cat' is no class"),
        ("file,label\nz.jpg,3\n", "z.jpg is none of a.jpg, b/c.jpg"),
    ],
)
def test_bad_csv(tmp_path: Path, text: str, words: str):
    with pytest.raises(InputError) as caught:
        read_classes(written(tmp_path, text), NAMES)
    assert words in str(caught.value)


def test_files_that_are_no_labels(tmp_path: Path):
    with pytest.raises(InputError, match="No such file"):
        read_classes(str(tmp_path / "none.csv"), NAMES)
    (tmp_path / "l.csv").write_bytes(b"file,label\n\xff\xfe,1\n")
    with pytest.raises(InputError, match="no text in UTF-8"):
        read_classes(str(tmp_path / "l.csv"), NAMES)


def test_arrays(tmp_path: Path):
    np.save(tmp_path / "l.npy", np.array([5, 6, 7]))
    assert read_classes(str(tmp_path / "l.npy"), NAMES) == {"a.jpg": 5, "b/c.jpg": 6, "x.npy[0]": 7}
    np.save(tmp_path / "l.npy", np.array([5.0, 6, 7]))
    with pytest.raises(InputError, match=r"float64 \[3\], and there are 3 samples"):
        read_classes(str(tmp_path / "l.npy"), NAMES)
    with pytest.raises(InputError, match=r"cannot be read"):
        read_classes(str(tmp_path / "none.npy"), NAMES)


def test_folders():
    names = ["dog/1.jpg", "cat/1.jpg", "dog/2.jpg"]
    assert read_classes("folders", names) == {"dog/1.jpg": 1, "cat/1.jpg": 0, "dog/2.jpg": 1}
    with pytest.raises(InputError, match="lies in no folder"):
        read_classes("folders", NAMES)


def test_several_classes(tmp_path: Path):
    text = "file,label\na.jpg,3;7\nb/c.jpg,\nx.npy[0], 1 \n"
    want = {"a.jpg": frozenset((3, 7)), "b/c.jpg": frozenset(), "x.npy[0]": frozenset((1,))}
    assert read_class_sets(written(tmp_path, text), NAMES) == want
    with pytest.raises(InputError, match="l.csv:2: 'x' is no class"):
        read_class_sets(written(tmp_path, "file,label\na.jpg,3;x\n"), NAMES)
    np.save(tmp_path / "l.npy", np.array([[1, 0, 1], [0, 0, 0], [False, True, False]]))
    found = read_class_sets(str(tmp_path / "l.npy"), NAMES)
    assert found == {"a.jpg": frozenset((0, 2)), "b/c.jpg": frozenset(), "x.npy[0]": frozenset((1,))}
    for bad in (np.zeros((2, 3)), np.zeros(3), np.full((3, 2), 0.5)):
        np.save(tmp_path / "l.npy", bad)
        with pytest.raises(InputError, match=r"of 3 samples it is 0 or 1, \[3, classes\]"):
            read_class_sets(str(tmp_path / "l.npy"), NAMES)
