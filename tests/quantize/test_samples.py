"""Samples from files and iterables: what they become, and what is said about bad ones."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy

from edgeort.errors import InputError
from edgeort.quantize.samples import Samples, open_samples
from edgeort.values import Value

X = Value("x", "float32", ("N", 3, 2))
ONE = Value("x", "float32", (1, 3, 2))
TWO = (ONE, Value("n", "int64", (1,)))
DATA = np.arange(30, dtype=np.float32).reshape(5, 3, 2)


def values(samples: Samples, name: str = "x") -> np.ndarray:
    return np.concatenate([sample[name] for sample in samples])


@pytest.mark.parametrize("value", [X, ONE])
def test_npy_the_first_axis_counts_samples(tmp_path: Path, value: Value):
    np.save(tmp_path / "x.npy", DATA)
    samples = open_samples(tmp_path / "x.npy", [value])
    assert samples.count == 5
    assert all(sample["x"].shape == (1, 3, 2) for sample in samples)
    assert (values(samples) == DATA).all()
    assert (values(samples) == DATA).all(), "a second reading starts again"


def test_npy_of_whole_inputs_and_of_fixed_batches(tmp_path: Path):
    np.save(tmp_path / "x.npy", DATA[:, np.newaxis])
    assert (values(open_samples(tmp_path / "x.npy", [ONE])) == DATA).all()
    np.save(tmp_path / "x.npy", DATA)
    pairs = open_samples(tmp_path / "x.npy", [Value("x", "float32", (2, 3, 2))])
    assert pairs.count == 2  # the fifth has no partner
    assert (values(pairs) == DATA[:4]).all()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_has_an_array_for_each_input(tmp_path: Path, save):
    save(tmp_path / "x.npz", x=DATA, n=np.arange(5), unused=np.zeros(2))
    samples = open_samples(tmp_path / "x.npz", TWO)
    assert (values(samples) == DATA).all()
    assert values(samples, "n").tolist() == [0, 1, 2, 3, 4]
    save(tmp_path / "y.npz", DATA)  # under the name arr_0
    assert (values(open_samples(tmp_path / "y.npz", [ONE])) == DATA).all()


def test_a_folder_is_read_in_the_order_of_names(tmp_path: Path):
    (tmp_path / "b").mkdir()
    np.save(tmp_path / "b/2.npy", DATA[3:])
    np.save(tmp_path / "1.npy", DATA[:3])
    (tmp_path / "labels.csv").write_text("ignored")
    samples = open_samples(tmp_path, [ONE])
    assert samples.count == 5
    assert (values(samples) == DATA).all()


def test_iterables_of_dicts():
    dicts = [{"x": row[np.newaxis]} for row in DATA]
    assert open_samples(dicts, [ONE]).count == 5
    unknown = open_samples((d for d in dicts), [ONE])
    assert unknown.count is None
    assert (values(unknown) == DATA).all()


def test_a_limit_spreads_over_what_is_known():
    dicts = [{"x": np.full((1, 3, 2), i, np.float32)} for i in range(10)]
    limited = open_samples(dicts, [ONE]).limited(2)
    assert limited.count == 2
    assert [sample["x"][0, 0, 0] for sample in limited] == [2, 7]
    assert [sample["x"][0, 0, 0] for sample in open_samples(iter(dicts), [ONE]).limited(2)] == [0, 1]
    assert open_samples(dicts, [ONE]).limited(99).count == 10


def test_whole_numbers_become_floats_but_not_the_other_way():
    assert next(iter(open_samples([{"x": np.ones((1, 3, 2), np.uint8)}], [ONE])))["x"].dtype == np.float32
    with pytest.raises(InputError, match="'n' is float64, and the model wants int64"):
        list(open_samples([{"x": DATA[:1], "n": np.ones(1)}], TWO))


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        ({"x": np.ones((1, 2, 2), np.float32)}, r"sample 0: it has shape \[1, 2, 2\]"),
        ({"x": np.ones((3, 2), np.float32)}, r"it has shape \[3, 2\]"),
        ({"z": DATA[:1]}, "input 'x' is missing"),
        ({"x": DATA[:1], "z": DATA}, "no input 'z'"),
        ({"x": np.full((1, 3, 2), np.nan, np.float32)}, "NaNs or infinities"),
        (DATA, "not a dict"),
    ],
)
def test_bad_samples(sample: object, words: str):
    with pytest.raises(InputError, match=words):
        list(open_samples([sample], [ONE]))  # type: ignore[list-item]


def broken(folder: Path) -> dict[str, tuple[Path, str]]:
    files = {}
    for name, content in (("text.npy", b"no array"), ("short.npy", None), ("no.npz", b"PK?"), ("member.npz", None)):
        path = folder / name / name
        path.parent.mkdir()
        files[name] = path
        if content is not None:
            path.write_bytes(content)
    np.save(files["short.npy"], DATA)
    files["short.npy"].write_bytes(files["short.npy"].read_bytes()[:-20])
    with zipfile.ZipFile(files["member.npz"], "w") as archive:
        archive.writestr("x.npy", b"no array")
    return {
        name: (path, "sample 4 cannot be read" if name == "short.npy" else "cannot be read")
        for name, path in files.items()
    }


@pytest.mark.parametrize("name", ["text.npy", "short.npy", "no.npz", "member.npz"])
def test_files_that_cannot_be_read(tmp_path: Path, name: str):
    path, words = broken(tmp_path)[name]
    for place in (path, path.parent):
        with pytest.raises(InputError, match=words) as caught:
            list(open_samples(place, [ONE]))
        assert name in str(caught.value)


def test_endless_rows_of_no_numbers(tmp_path: Path):
    path = tmp_path / "x.npy"
    with path.open("wb") as file:
        npy.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (7 * 10**50, 0)})
    with pytest.raises(InputError, match="rows hold no numbers"):
        list(open_samples(path, [replace(ONE, shape=(0,))]))


def test_arrays_that_do_not_fit(tmp_path: Path):
    np.save(tmp_path / "x.npy", np.ones(7, np.float32))
    with pytest.raises(InputError, match=r"shape \[7\]"):
        open_samples(tmp_path / "x.npy", [ONE])
    with pytest.raises(InputError, match="the model has 2 inputs"):
        open_samples(tmp_path / "x.npy", TWO)
    np.savez(tmp_path / "x.npz", x=DATA, n=np.arange(4))
    with pytest.raises(InputError, match="different numbers of samples"):
        open_samples(tmp_path / "x.npz", TWO)
    np.savez(tmp_path / "x.npz", x=DATA, m=np.arange(5))
    with pytest.raises(InputError, match="no array 'n'"):
        open_samples(tmp_path / "x.npz", TWO)
    np.save(tmp_path / "x.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(InputError, match="Python objects"):
        open_samples(tmp_path / "x.npy", [ONE])
    np.save(tmp_path / "x.npy", np.asfortranarray(DATA))
    with pytest.raises(InputError, match="Fortran"):
        open_samples(tmp_path / "x.npy", [ONE])


def test_nothing_to_read(tmp_path: Path):
    with pytest.raises(InputError, match="no such file"):
        open_samples(tmp_path / "none", [ONE])
    with pytest.raises(InputError, match="nothing in it"):
        open_samples(tmp_path, [ONE])
    with pytest.raises(InputError, match="no samples"):
        list(open_samples([], [ONE]))


def test_samples_have_names(tmp_path: Path):
    np.save(tmp_path / "x.npy", DATA)
    samples = open_samples(tmp_path / "x.npy", [ONE])
    assert [name for name, _ in samples.named()] == samples.names() == [f"x.npy[{i}]" for i in range(len(DATA))]
    assert open_samples([{"x": DATA[:1]}], [ONE]).names() == ["sample 0"]
    assert open_samples(samples, [ONE]) is samples


def test_a_split_has_each_sample_once():
    dicts = [{"x": np.full((1, 3, 2), i, np.float32)} for i in range(10)]
    samples = open_samples(dicts, [ONE])
    for whole in (samples, samples.limited(7)):
        first, rest = whole.split(3)
        assert (first.count, rest.count) == (3, (whole.count or 0) - 3)
        found = [sorted(name for name, _ in part.named()) for part in (first, rest)]
        assert sorted(found[0] + found[1]) == sorted(name for name, _ in whole.named())
    with pytest.raises(InputError, match="cannot be split"):
        open_samples(iter(dicts), [ONE]).split(3)


def test_only_chosen_samples_are_loaded(tmp_path: Path):
    loaded: list[str] = []

    def entry(name: str) -> tuple[str, Callable[[], dict[str, np.ndarray]]]:
        return name, lambda: loaded.append(name) or {"x": DATA[:1]}  # type: ignore[func-returns-value]

    samples = Samples("here", 10, lambda: map(entry, "abcdefghij"), [ONE]).limited(2)
    assert [name for name, _ in samples.named()] == loaded == ["c", "h"]


def test_a_scalar_input_stays_one(tmp_path: Path):
    inputs = (ONE, Value("rate", "int64", ()))
    np.savez(tmp_path / "x.npz", x=DATA, rate=np.full(5, 16000))
    samples = open_samples(tmp_path / "x.npz", inputs)
    assert [sample["rate"].shape for sample in samples] == [()] * 5
    assert [sample["rate"].shape for sample in open_samples(list(samples), inputs)] == [()] * 5, "read once more"
