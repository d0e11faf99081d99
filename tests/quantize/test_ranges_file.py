"""The file of ranges: what is written is read, and a bad edit is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeort.errors import InputError, OutputError
from edgeort.quantize.ranges_file import RangesFile, read

FILE = RangesFile("ab" * 32, "mse", 7, {"x": (-1.5, 2.0), "odd \"name'": (0.0, 1e-7)}, {"x": (-2.0, 3.0)})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    FILE.save(tmp_path / "r.json")
    return tmp_path / "r.json"


def test_what_is_written_is_read(path: Path):
    found = read(path)
    assert (found.ranges, found.model_sha256, found.method, found.samples) == (FILE.ranges, "ab" * 32, "mse", 7)
    assert found.checked(path, "ab" * 32, list(FILE.ranges)) is found


def test_it_has_a_tensor_a_line(path: Path):
    (line,) = [line for line in path.read_text().splitlines() if '"x"' in line]
    assert json.loads("{" + line.rstrip(",") + "}") == {"x": {"low": -1.5, "high": 2.0, "seen": [-2.0, 3.0]}}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("-1.5", "0.5", "'x' needs numbers with low <= 0 <= high"),
        ("-1.5", '"low"', "'x' needs numbers"),
        ("-1.5", "-Infinity", "'x' needs numbers"),
        ("-1.5", "true", "'x' needs numbers"),
        ("edgeort ranges 1", "ranges", "no file of ranges"),
        ("{", "", "not JSON"),
    ],
)
def test_bad_edits(path: Path, old: str, new: str, words: str):
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=words):
        read(path)


def test_places_that_do_not_work(tmp_path: Path):
    with pytest.raises(InputError):
        read(tmp_path / "none")
    with pytest.raises(OutputError):
        FILE.save(tmp_path / "no/r.json")


def test_names_have_to_be_those_that_are_quantised(path: Path):
    with pytest.raises(InputError, match="it lacks 'z'"):
        read(path).checked(path, FILE.model_sha256, [*FILE.ranges, "z"])
    with pytest.raises(InputError, match="no quantised tensor is called 'x'"):
        read(path).checked(path, FILE.model_sha256, [name for name in FILE.ranges if name != "x"])
