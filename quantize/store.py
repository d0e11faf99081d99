"""Tensors of the samples that refinement goes over again: in memory up to a limit, beyond it in a temporary folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgeort.errors import OutputError

IN_MEMORY = 256 * 2**20  # bytes of arrays that a store keeps there


@dataclass
class _Series:
    """One tensor of all samples: arrays in memory, a file of others, and where in it each of these lies."""

    path: Path
    held: dict[int, np.ndarray] = field(default_factory=dict)
    places: dict[int, tuple[int, tuple[int, ...], np.dtype]] = field(default_factory=dict)
    end: int = 0


class Store:
    """Arrays by tensor and sample. Use it in a `with`, which removes the files."""

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self._room = in_memory
        self._folder = Path(tempfile.mkdtemp(prefix="edgeort-quantize-"))
        self._series: dict[str, _Series] = {}
        self._made = 0
        self.samples = 0  # as many as the series of the model's inputs have
        self.peak_bytes = 0

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def __contains__(self, name: str) -> bool:
        return name in self._series

    def put(self, name: str, sample: int, array: np.ndarray) -> None:
        """Keeps a copy of an array. OutputError when the disk is full."""
        series = self._series.get(name)
        if series is None:
            self._made += 1
            series = self._series[name] = _Series(self._folder / f"{self._made}.bin")
        array = np.asarray(array, order="C")  # ascontiguousarray would give a scalar an axis
        if array.nbytes <= self._room:
            self._room -= array.nbytes
            series.held[sample] = array.copy()
            series.held[sample].flags.writeable = False
            return
        try:
            with series.path.open("ab") as file:
                file.write(array.data)
        except OSError as error:
            raise OutputError(
                f"{self._folder} cannot hold the activations of the samples: {error.strerror}",
                hint="set TMPDIR to a folder with room, or refine on fewer samples: --refine-samples 32",
            ) from error
        series.places[sample] = series.end, array.shape, array.dtype
        series.end += array.nbytes
        self.peak_bytes = max(self.peak_bytes, sum(other.end for other in self._series.values()))

    def get(self, name: str, sample: int) -> np.ndarray:
        """The array of a sample, not to be written to."""
        series = self._series[name]
        if sample in series.held:
            return series.held[sample]
        offset, shape, dtype = series.places[sample]
        count = int(np.prod(shape, dtype=np.int64))
        return np.fromfile(series.path, dtype, count, offset=offset).reshape(shape)

    def drop_all_but(self, names: Iterable[str]) -> None:
        """Forgets all tensors but those."""
        for name in set(self._series) - set(names):
            self.drop(name)

    def drop(self, name: str) -> None:
        """Forgets a tensor."""
        series = self._series.pop(name)
        self._room += sum(array.nbytes for array in series.held.values())
        series.path.unlink(missing_ok=True)
