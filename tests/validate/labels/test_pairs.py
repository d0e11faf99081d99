"""Pairs and their scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeort.errors import InputError
from edgeort.validate.labels.label import Pair
from edgeort.validate.labels.pairs import read_pairs

NAMES = ["x.npz[0]", "x.npz[1]", "x.npz[2]"]


def written(folder: Path, text: str) -> str:
    (folder / "p.csv").write_text(text, encoding="utf-8")
    return str(folder / "p.csv")


def test_a_sample_may_be_in_several_pairs_and_in_one_with_itself(tmp_path: Path):
    text = "first,second,score\nx.npz[0],x.npz[1],4.5\nx.npz[1],x.npz[2],0\n x.npz[2] ,x.npz[2],5e0\n"
    assert read_pairs(written(tmp_path, text), NAMES) == {
        "x.npz[0]": (Pair(0, 0, 4.5),),
        "x.npz[1]": (Pair(0, 1, 4.5), Pair(1, 0, 0.0)),
        "x.npz[2]": (Pair(1, 1, 0.0), Pair(2, 0, 5.0), Pair(2, 1, 5.0)),
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "p.csv:1: the columns are none"),
        ("first,score\n", "p.csv:1: the columns are first, score"),
        ("first,second,score\nx.npz[0],x.npz[1]\n", "p.csv:2: 'x.npz[0],x.npz[1]' has too few columns"),
        ("first,second,score\nx.npz[0],x.npz[1],good\n", "p.csv:2: 'good' is no score"),
        ("first,second,score\nx.npz[0],x.npz[1],nan\n", "p.csv:2: 'nan' is no score"),
        ("first,second,score\nx.npz[0],x.npz[9],1\n", "p.csv:2: x.npz[9] is no sample"),
        ("first,second,score\na,b,1\n", "p.csv:2: b is no sample"),
        ("first,second,score\nx.npz[0],x.npz[1],1\nz,x.npz[1],1\n", "p.csv:3: z is no sample"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, words: str):
    with pytest.raises(InputError) as caught:
        read_pairs(written(tmp_path, text), NAMES)
    assert words in str(caught.value)
