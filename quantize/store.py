"""Tensors of the samples that refinement goes over again, in files of a temporary folder, so that memory stays flat."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgeort.errors import OutputError


@dataclass
class _Series:
    """One tensor of all samples: a file, and where in it each sample lies."""

    path: Path
    places: dict[int, tuple[int, tuple[int, ...], np.dtype]] = field(default_factory=dict)
    end: int = 0


class Store:
    """Arrays by tensor and sample. Use it in a `with`, which removes the files."""

    def __init__(self) -> None:
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
        """Appends an array. OutputError when the disk is full."""
        series = self._series.get(name)
        if series is None:
            self._made += 1
            series = self._series[name] = _Series(self._folder / f"{self._made}.bin")
        array = np.asarray(array, order="C")  # ascontiguousarray would give a scalar an axis
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
        """The array of a sample."""
        series = self._series[name]
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
        series.path.unlink(missing_ok=True)
