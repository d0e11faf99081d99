"""An .mlpackage: what it holds, writing it so that the same model gives the same bytes, running it on macOS.

    NAME.mlpackage/
      Manifest.json                              two items, by identifiers that are hashes of what they name
      Data/com.apple.CoreML/model.mlmodel        the specification (protobuf)
      Data/com.apple.CoreML/weights/weight.bin
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgeort.converters.coreml.packages import coremltools, quiet
from edgeort.errors import DeviceError, InputError, OutputError

_DATA = "com.apple.CoreML"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://onnx.ai/edgeort/coreml")
_DATED = "com.github.apple.coremltools.conversion_date"  # metadata that would change the bytes every day


class Feature(NamedTuple):
    """An input or output: its ONNX name, Core ML's, its type (float32, int32 or image) and shape; free: `1-8`."""

    name: str
    feature: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Package:
    """An ML program that was not written yet. `notes` are (node, sentence) on what was changed on the way."""

    specification: bytes
    weights: bytes
    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]
    notes: tuple[tuple[str, str], ...]
    oldest: str

    @property
    def size_bytes(self) -> int:
        """Of the specification and the weights."""
        return len(self.specification) + len(self.weights)

    def files(self) -> dict[str, bytes]:
        """Every file by its path inside the package."""
        found = {
            "Manifest.json": self._manifest(),
            f"Data/{_DATA}/model.mlmodel": self.specification,
            f"Data/{_DATA}/weights/weight.bin": self.weights,
        }
        return {name: data for name, data in found.items() if data}

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the folder, whole or not at all; one that is there is replaced. OutputError where it cannot."""
        target = Path(path)
        if target.suffix != ".mlpackage":
            raise InputError(f"{target}: a Core ML package is named *.mlpackage")
        if target.exists() and not (target / "Manifest.json").is_file():
            raise OutputError(f"{target} is there already and is no Core ML package")
        try:
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.stem}-") as folder:
                whole = Path(folder) / target.name
                for name, data in self.files().items():
                    (whole / name).parent.mkdir(parents=True, exist_ok=True)
                    (whole / name).write_bytes(data)
                if target.exists():
                    shutil.rmtree(target)
                os.replace(whole, target)
        except OSError as error:
            raise OutputError(f"{target} cannot be written: {error.strerror or error}") from error
        return target

    def _manifest(self) -> bytes:
        items = [("model.mlmodel", "CoreML Model Specification", self.specification)]
        if self.weights:
            items.append(("weights", "CoreML Model Weights", self.weights))
        entries = {
            _identifier(data): {"author": _DATA, "description": text, "name": name, "path": f"{_DATA}/{name}"}
            for name, text, data in items
        }
        manifest = {
            "fileFormatVersion": "1.0.0",
            "itemInfoEntries": entries,
            "rootModelIdentifier": _identifier(self.specification),
        }
        return (json.dumps(manifest, indent=4, sort_keys=True) + "\n").encode()


def _identifier(data: bytes) -> str:
    return str(uuid.uuid5(_NAMESPACE, hashlib.sha256(data).hexdigest())).upper()


def from_mlmodel(
    model: Any, inputs: Sequence[Feature], outputs: Sequence[Feature], notes: Sequence[tuple[str, str]], oldest: str
) -> Package:
    """The package of what coremltools made, without dates and in a fixed order of its maps."""
    specification = model.get_spec()
    specification.description.metadata.userDefined.pop(_DATED, None)
    file = Path(model.weights_dir or "") / "weight.bin"
    weights = file.read_bytes() if model.weights_dir and file.is_file() else b""
    data = specification.SerializeToString(deterministic=True)
    return Package(data, weights, tuple(inputs), tuple(outputs), tuple(tuple(note) for note in notes), oldest)


def predict(
    path: str | os.PathLike[str], feeds: Mapping[str, np.ndarray], compute_units: str = "ALL"
) -> dict[str, np.ndarray]:
    """Runs a saved package by Core ML itself, which is on macOS only: Core ML's names in and out.

    `compute_units` is ALL, CPU_ONLY, CPU_AND_GPU or CPU_AND_NE. A picture is a Pillow image. DeviceError off macOS.
    """
    if platform.system() != "Darwin":
        raise DeviceError(
            f"Core ML runs on macOS and iOS, and this is {platform.system()}",
            hint="copy the .mlpackage to a Mac, or add it to an Xcode project",
        )
    ct = coremltools()
    with quiet():
        model = ct.models.MLModel(os.fspath(path), compute_units=getattr(ct.ComputeUnit, compute_units))
        return model.predict(dict(feeds))
