"""Samples to calibrate with, read one at a time: arrays in files, pictures, or whatever an iterable yields.

A sample is a dict from the model's inputs to arrays of the model's shapes (with the batch axis). Files are read row by
row, so that memory does not grow with their size.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from edgeort.errors import InputError
from edgeort.quantize import array_files
from edgeort.recipes import signals
from edgeort.recipes.front import Front, bind
from edgeort.recipes.hearing import Hearing
from edgeort.recipes.picture import Recipe
from edgeort.recipes.reference import SUFFIXES, need_pillow
from edgeort.values import Value, listed

Sample = dict[str, np.ndarray]
Entry = tuple[str, Callable[[], Mapping[str, np.ndarray]]]  # a sample's name, and what loads it

ARRAYS = (".npy", ".npz")


@dataclass(frozen=True)
class Samples:
    """A stream of samples. `count` is None where only reading tells; `chosen` are the indices that are read.

    `read` gives each sample's name (a picture's path in its folder, `file.npz[3]`) and what loads it, as `inputs` has
    it. `front`: what is loaded has a picture or a signal, of which that makes the model's input; None: it is the
    model's inputs.
    """

    source: str
    count: int | None
    read: Callable[[], Iterator[Entry]]
    inputs: Sequence[Value]
    chosen: frozenset[int] | None = None
    front: Front | Hearing | None = None

    def __iter__(self) -> Iterator[Sample]:
        """Reads and checks one sample after the other. InputError names the sample and what is wrong with it."""
        return (sample for _, sample in self.named())

    def named(self) -> Iterator[tuple[str, Sample]]:
        """The same with the samples' names."""
        found = False
        for index, (name, load) in enumerate(self.read()):
            if self.chosen is None or index in self.chosen:
                found = True
                sample = check(load(), self.inputs, f"{self.source}: {name}")
                yield name, self._prepared(name, sample)
        if not found:
            raise InputError(f"{self.source}: there are no samples in it")

    def _prepared(self, name: str, sample: Sample) -> Sample:
        try:
            return sample if self.front is None else self.front.prepared(sample)
        except InputError as error:
            raise InputError(f"{self.source}: {name}: {error}", hint=error.hint) from error

    def as_loaded(self) -> Samples:
        """The same samples, with pictures and signals as they are."""
        return replace(self, front=None)

    def names(self) -> list[str]:
        """The names of all samples, those that are not chosen too."""
        return [name for name, _ in self.read()]

    def limited(self, limit: int | None) -> Samples:
        """At most `limit` samples, spread evenly where the count is known, else the first ones."""
        if limit is None or (self.count is not None and self.count <= limit):
            return self
        count = self.count or limit
        chosen = self._at(int((i + 0.5) * count / limit) for i in range(limit))
        return replace(self, count=limit if self.count else None, chosen=chosen)

    def split(self, first: int) -> tuple[Samples, Samples]:
        """`first` of the samples, spread evenly, and the others. InputError where their number is not known."""
        if self.count is None:
            raise InputError(f"{self.source}: how many samples there are is not known, so they cannot be split")
        part = self.limited(first)
        others = frozenset(self._at(range(self.count))) - (part.chosen or frozenset())
        return part, replace(self, count=self.count - (part.count or 0), chosen=others)

    def _at(self, positions: Iterable[int]) -> frozenset[int]:
        """The indices of those among the chosen samples."""
        if self.chosen is None:
            return frozenset(positions)
        order = sorted(self.chosen)
        return frozenset(order[position] for position in positions)


Data = str | os.PathLike[str] | Iterable[Mapping[str, np.ndarray]] | Samples


def open_samples(data: Data, inputs: Sequence[Value], how: Recipe | Front | Hearing | None = None) -> Samples:
    """Samples from a .npy or .npz file, a folder of such or of pictures, or an iterable of dicts.

    A recipe says how pictures become inputs; arrays are inputs. With a front that is built in, arrays are pictures, and
    with a recipe for sound signals, which files of .wav hold, too. Raises InputError for what is none of these. Open
    samples are left as they are.
    """
    if isinstance(data, Samples):
        return data
    front = how if isinstance(how, Hearing) or (isinstance(how, Front) and how.built_in) else None
    loaded = inputs if front is None else front.inputs(inputs)
    if not isinstance(data, (str, os.PathLike)):
        return replace(_iterable(data, loaded), front=front)
    path = Path(data)
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder", hint="--data is a .npy, a .npz or a folder")
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    if isinstance(how, Hearing):
        return _signals(path, files, inputs, how)
    arrays = [file for file in files if file.suffix.lower() in ARRAYS]
    pictures = [file for file in files if file.suffix.lower() in SUFFIXES]
    if arrays and pictures:
        raise InputError(
            f"{path} has arrays ({arrays[0].name}) and pictures ({pictures[0].name}): name a folder of one"
        )
    if arrays:
        counts = [array_files.count(file, loaded) for file in arrays]
        return Samples(str(path), sum(counts), lambda: _rows(arrays, loaded), loaded, front=front)
    if pictures:
        return _pictures(path, pictures, inputs, how)
    raise InputError(
        f"{path}: there is nothing in it to calibrate with",
        hint="--data is a .npy, a .npz, or a folder of such or of pictures",
    )


def _pictures(path: Path, files: Sequence[Path], inputs: Sequence[Value], how: Recipe | Front | None) -> Samples:
    need_pillow()
    if len(inputs) != 1:
        raise InputError(
            f"the model takes no pictures alone; its inputs are {listed(inputs)}", hint="give arrays: --data x.npz"
        )
    front = how if isinstance(how, Front) else bind(how, inputs)
    entries = [(_name(file, path), partial(front.read, file)) for file in files]
    return Samples(str(path), len(files), lambda: iter(entries), front.inputs(inputs), front=front)


def _signals(path: Path, files: Sequence[Path], inputs: Sequence[Value], hearing: Hearing) -> Samples:
    if len(inputs) != 1:
        raise InputError(
            f"the model takes no signal alone; its inputs are {listed(inputs)}",
            hint="edgeort quantize MODEL --data x.npz -o INT8.onnx, then edgeort build INT8.onnx --preprocess RECIPE",
        )
    entries: list[Entry] = []
    for file in (file for file in files if file.suffix.lower() in signals.SUFFIXES):
        for behind, load in signals.signals(file, hearing.sound):
            entries.append((f"{_name(file, path)}{behind}", partial(_by_name, inputs[0].name, load)))
    if not entries:
        raise InputError(f"{path}: there are no signals in it", hint="--data is a .wav, a .npy, or a folder of such")
    return Samples(str(path), len(entries), lambda: iter(entries), hearing.inputs(inputs), front=hearing)


def _by_name(name: str, load: Callable[[], np.ndarray]) -> Mapping[str, np.ndarray]:
    return {name: load()}


def _iterable(data: Iterable[Mapping[str, np.ndarray]], inputs: Sequence[Value]) -> Samples:
    count = len(data) if isinstance(data, Sequence) else None
    return Samples("the samples given", count, lambda: _entries(data), inputs)


def _entries(data: Iterable[Mapping[str, np.ndarray]]) -> Iterator[Entry]:
    for index, sample in enumerate(data):
        yield f"sample {index}", partial(_same, sample)


def _rows(files: Sequence[Path], inputs: Sequence[Value]) -> Iterator[Entry]:
    for file in files:
        for index, sample in enumerate(array_files.rows(file, inputs)):
            yield f"{file.name}[{index}]", partial(_same, sample)


def _same(sample: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    return sample


def _name(file: Path, folder: Path) -> str:
    """A picture's name: its path below the folder, with `/`."""
    return file.name if file == folder else file.relative_to(folder).as_posix()


def check(sample: Mapping[str, np.ndarray], inputs: Sequence[Value], where: str) -> Sample:
    """The sample as the model takes it: every input, its dtype, its shape. InputError says what does not fit."""
    names = {value.name for value in inputs}
    if not isinstance(sample, Mapping):
        raise InputError(f"{where}: it is a {type(sample).__name__}, not a dict from inputs to arrays")
    if wrong := sorted(names ^ set(sample)):
        what = f"input {wrong[0]!r} is missing" if wrong[0] in names else f"the model has no input {wrong[0]!r}"
        raise InputError(f"{where}: {what}; the inputs are {listed(inputs)}")
    return {value.name: _checked(np.asarray(sample[value.name]), value, where) for value in inputs}


def _checked(array: np.ndarray, value: Value, where: str) -> np.ndarray:
    if not np.can_cast(array.dtype, value.array_dtype, "same_kind"):
        raise InputError(f"{where}: input {value.name!r} is {array.dtype}, and the model wants {value.dtype}")
    if value.shape is not None:
        fits = len(value.shape) == array.ndim and all(
            not isinstance(dim, int) or dim == size for dim, size in zip(value.shape, array.shape, strict=True)
        )
        if not fits:
            raise InputError(f"{where}: it has shape {list(array.shape)}, and the model wants {value.text()}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{where}: input {value.name!r} holds NaNs or infinities")
    return np.asarray(array, value.array_dtype, order="C")  # ascontiguousarray would give a scalar an axis
