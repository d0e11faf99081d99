"""Rows of .npy and .npz files, read from the stream one at a time: also a compressed archive is never in memory."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from edgeort.errors import InputError
from edgeort.unreadable import UNREADABLE
from edgeort.values import Value, listed

EMPTY_ROWS_LIMIT = 1_000_000  # rows of no bytes may be any number in a file of any size
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(frozen=True)
class _Array:
    """An open .npy: its stream behind the header."""

    stream: IO[bytes]
    shape: tuple[int, ...]
    dtype: np.dtype

    def take(self, rows: int) -> np.ndarray:
        """The next `rows` rows, with the axis of rows. ValueError where the file ends early."""
        shape = (rows, *self.shape[1:])
        n_bytes = math.prod(shape) * self.dtype.itemsize
        data = self.stream.read(n_bytes)
        if len(data) < n_bytes:
            raise ValueError("the file ends in the middle of an array")
        return np.frombuffer(data, self.dtype).reshape(shape)


def count(path: Path, inputs: Sequence[Value]) -> int:
    """How many samples a file holds."""
    with ExitStack() as stack:
        return _plan(path, _open(path, inputs, stack), inputs)[0]


def rows(path: Path, inputs: Sequence[Value]) -> Iterator[dict[str, np.ndarray]]:
    """The samples of a file. Raises InputError."""
    with ExitStack() as stack:
        arrays = _open(path, inputs, stack)
        samples, batches = _plan(path, arrays, inputs)
        for index in range(samples):
            try:
                taken = {name: array.take(batches[name] or 1) for name, array in arrays.items()}
            except UNREADABLE as error:
                raise InputError(f"{path}: sample {index} cannot be read: {error}") from error
            yield {name: rows if batches[name] else rows[0] for name, rows in taken.items()}


def _plan(path: Path, arrays: dict[str, _Array], inputs: Sequence[Value]) -> tuple[int, dict[str, int]]:
    """The number of samples, and for each input how many rows make its batch axis (0: a row has one already)."""
    samples: dict[str, int] = {}
    batches: dict[str, int] = {}
    for value in inputs:
        shape, wanted = arrays[value.name].shape, value.shape
        rank = len(wanted) if wanted is not None else max(len(shape) - 1, 0)
        if len(shape) not in (rank, rank + 1) or not shape:
            raise InputError(
                f"{path}: the array for {value.name!r} has shape {list(shape)}, and the model wants {value.text()}",
                hint="the first axis counts the samples",
            )
        first = wanted[0] if wanted and isinstance(wanted[0], int) else 1
        batches[value.name] = first if len(shape) == rank else 0
        samples[value.name] = shape[0] // max(batches[value.name], 1)
    if len(set(samples.values())) > 1:
        told = ", ".join(f"{name}: {number}" for name, number in samples.items())
        raise InputError(f"{path}: the arrays hold different numbers of samples ({told})")
    return min(samples.values(), default=0), batches


def _open(path: Path, inputs: Sequence[Value], stack: ExitStack) -> dict[str, _Array]:
    """The array of every input. A .npy serves a model with one input."""
    try:
        if path.suffix.lower() == ".npy":
            if len(inputs) != 1:
                raise InputError(f"{path}: the model has {len(inputs)} inputs: {listed(inputs)}", hint="use .npz files")
            return {inputs[0].name: _header(stack.enter_context(path.open("rb")))}
        archive = stack.enter_context(zipfile.ZipFile(path))
        members = {name.removesuffix(".npy"): name for name in archive.namelist()}
        names = {value.name for value in inputs}
        if len(inputs) == 1 and len(members) == 1:  # whatever its name
            members = {inputs[0].name: next(iter(members.values()))}
        if missing := sorted(names - set(members)):
            raise InputError(f"{path}: it has no array {missing[0]!r}; the model's inputs are {listed(inputs)}")
        return {name: _header(stack.enter_context(archive.open(members[name]))) for name in sorted(names)}
    except UNREADABLE as error:
        raise InputError(
            f"{path} cannot be read: {error}", hint="numpy.save or numpy.savez writes such files"
        ) from error


def _header(stream: IO[bytes]) -> _Array:
    version = npy.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"its format {version} is not known")
    shape, by_columns, dtype = _HEADERS[version](stream)
    if by_columns and len(shape) > 1:
        raise ValueError("it is in Fortran order; save numpy.ascontiguousarray(array)")
    if dtype.hasobject:
        raise ValueError("it holds Python objects, not numbers")
    if min(shape, default=0) < 0:
        raise ValueError(f"its shape {list(shape)} is none")
    if shape and shape[0] > EMPTY_ROWS_LIMIT and not math.prod(shape[1:]) * dtype.itemsize:
        raise ValueError(f"its {shape[0]} rows hold no numbers")
    return _Array(stream, shape, dtype)
