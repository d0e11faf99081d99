"""Labels: where they come from, and what is said about bad ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeort.errors import InputError
from edgeort.validate.labels import read_labels

NAMES = ["a.jpg", "b/c.jpg", "x.npy[0]"]


def written(folder: Path, text: str) -> str:
    (folder / "l.csv").write_text(text, encoding="utf-8")
    return str(folder / "l.csv")


def test_csv(tmp_path: Path):
    text = "\ufefffile,label\na.jpg,3\n\nb/c.jpg, 4\nelse.jpg,1\n"
    assert read_labels(written(tmp_path, text), NAMES) == {"a.jpg": 3, "b/c.jpg": 4, "else.jpg": 1}
    text = 'note,class_index,file\n"x, y",7,./a.jpg\n'
    assert read_labels(written(tmp_path, text), NAMES) == {"a.jpg": 7}
    assert read_labels(written(tmp_path, "file,label\na.jpg,007 x\n"), NAMES, as_text=True) == {"a.jpg": "007 x"}


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
        read_labels(written(tmp_path, text), NAMES)
    assert words in str(caught.value)


def test_files_that_are_no_labels(tmp_path: Path):
    with pytest.raises(InputError, match="No such file"):
        read_labels(str(tmp_path / "none.csv"), NAMES)
    (tmp_path / "l.csv").write_bytes(b"file,label\n\xff\xfe,1\n")
    with pytest.raises(InputError, match="no text in UTF-8"):
        read_labels(str(tmp_path / "l.csv"), NAMES)


def test_arrays(tmp_path: Path):
    np.save(tmp_path / "l.npy", np.array([5, 6, 7]))
    assert read_labels(str(tmp_path / "l.npy"), NAMES) == {"a.jpg": 5, "b/c.jpg": 6, "x.npy[0]": 7}
    np.save(tmp_path / "l.npy", np.array([5.0, 6, 7]))
    with pytest.raises(InputError, match=r"float64 \[3\], and there are 3 samples"):
        read_labels(str(tmp_path / "l.npy"), NAMES)
    with pytest.raises(InputError, match=r"cannot be read"):
        read_labels(str(tmp_path / "none.npy"), NAMES)


def test_folders():
    names = ["dog/1.jpg", "cat/1.jpg", "dog/2.jpg"]
    assert read_labels("folders", names) == {"dog/1.jpg": 1, "cat/1.jpg": 0, "dog/2.jpg": 1}
    with pytest.raises(InputError, match="lies in no folder"):
        read_labels("folders", NAMES)
