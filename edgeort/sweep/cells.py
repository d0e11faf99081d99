"""The cells of a sweep: every model on every device with all of its settings, each with a key."""

from __future__ import annotations

import functools
import glob
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeort.errors import InputError
from edgeort.sweep import files
from edgeort.sweep.book import Book
from edgeort.sweep.files import Parcel
from edgeort.sweep.places import Place
from edgeort.sweep.settings import FOLDERS, PATHS, Settings
from edgeort.sweep.version import version

MODEL = "model"  # the parcel of the model, beside those of PATHS


@dataclass(frozen=True)
class Cell:
    """One build, with what is measured of it. `parcels` are its files: the model's, and those that settings name."""

    model: str
    place: Place
    settings: Settings
    parcels: Mapping[str, Parcel]

    @functools.cached_property
    def key(self) -> str:
        """SHA-256 of everything that determines the cell."""
        parcels = {role: parcel.digest for role, parcel in self.parcels.items()}
        told = {role: None for role in parcels if role != MODEL}  # contents, not paths, say what files are
        settings = {**self.settings.to_dict(), **told}
        everything = {**self.place.identity(), "settings": settings, "parcels": parcels, "edgeort": version()}
        return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()

    @property
    def name(self) -> str:
        """For people: `digits raspberrypi4 int8`."""
        return f"{self.model} {self.place.text()} {self.settings.name}"

    @property
    def stem(self) -> str:
        """Of the bundle's file."""
        where = "" if self.place.where is None else "@" + "".join(c if c.isalnum() else "_" for c in self.place.where)
        return f"{self.model.replace('/', '-')}-{self.place.device}{where}-{self.settings.name}"

    def identity(self) -> dict[str, Any]:
        """The columns of its row that say which cell it is."""
        return {
            "key": self.key,
            "model": self.model,
            "model_sha256": self.parcels[MODEL].files[self.parcels[MODEL].main],
            "device": self.place.device,
            "where": self.place.where,
            "settings": self.settings.name,
            "precision": self.settings.precision,
        }

    def order(self) -> dict[str, Any]:
        """What a worker needs to know, as JSON takes it."""
        return {
            "edgeort": version(),
            "profile": self.place.profile.to_dict(),
            "where": self.place.where,
            "settings": self.settings.to_dict(),
            "parcels": {role: parcel.to_dict() for role, parcel in self.parcels.items()},
        }


def make_cells(models: Sequence[str], places: Sequence[Place], book: Book) -> list[Cell]:
    """All cells, in the order of models, devices, settings. InputError for files that are not there."""
    pack = functools.cache(files.pack)
    found: dict[str, Cell] = {}
    labels = _labelled(_paths(models))
    for name in book.models:
        if name not in labels:
            raise InputError(f"--settings: there is no model {name!r}", hint=f"models are {', '.join(labels)}")
    for label, path in labels.items():
        model, of_model = files.pack_model(path), list(book.of(label))
        for place in places:
            for settings in of_model:
                own = {role: getattr(settings, role) for role in PATHS}
                data = {
                    role: pack(Path(value))
                    for role, value in own.items()
                    if value is not None and (role, value) != ("labels", FOLDERS)
                }
                cell = Cell(label, place, settings, {MODEL: model, **data})
                found.setdefault(cell.key, cell)
    return list(found.values())


def _paths(patterns: Sequence[str]) -> list[Path]:
    """The files of paths and patterns, each once, in the order given. InputError for a pattern without files."""
    found: dict[Path, Path] = {}
    for pattern in patterns:
        names = [pattern] if Path(pattern).is_file() else sorted(glob.glob(pattern, recursive=True))
        paths = [path for path in map(Path, names) if path.is_file()]
        if not paths:
            hint = "--models 'models/*.onnx' --devices raspberrypi4,host"
            raise InputError(f"--models {pattern}: there is no such file", hint=hint)
        for path in paths:
            found.setdefault(path.resolve(), path)
    if not found:
        raise InputError("there are no models", hint="--models 'models/*.onnx'")
    return list(found.values())


def _labelled(paths: Sequence[Path]) -> dict[str, Path]:
    """Paths by the shortest end of them that tells them apart: `digits`, or `v1/digits` and `v2/digits`."""
    names = {path: path.resolve().with_suffix("").parts for path in paths}
    labels, length = dict.fromkeys(paths, ""), 1
    while True:
        counts = Counter(labels.values())
        clashing = [path for path in paths if counts[labels[path]] > 1 or not labels[path]]
        if not clashing or length > max(map(len, names.values())):
            break
        for path in clashing:
            labels[path] = "/".join(names[path][-length:])
        length += 1
    return {label if counts[label] == 1 else str(path): path for path, label in labels.items()}
