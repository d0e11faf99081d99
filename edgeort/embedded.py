"""The model of a bundle, for programs on the device: NumPy and ctypes, and nothing of edgeort but four small modules.

from edgeort_model import Model      # python/edgeort_model.py of the bundle

model = Model()
outputs = model.run({"x": array})    # {"y": array}
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeort.engine import Engine, ValueInfo
from edgeort.errors import BundleError, InputError


class Model:
    """An open model. Not for use from two threads at once."""

    def __init__(self, bundle: str | os.PathLike[str] | None = None, *, threads: int | None = None) -> None:
        """Opens the bundle in that folder, by default the one that this file lies in; `threads` is the bundle's own.

        The files' hashes are not checked. Raises BundleError where the folder is no bundle, PlanError where the runtime
        refuses the plan.
        """
        folder = Path(__file__).resolve().parents[1] if bundle is None else Path(bundle)
        try:
            about = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            library, artefact, usual = folder / about["library"], folder / about["artefact"], int(about["threads"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(f"{folder}: this is not a bundle: {error}") from error
        self._engine = Engine(library, artefact, threads=threads or usual)

    @property
    def inputs(self) -> tuple[ValueInfo, ...]:
        """Names, dtypes and shapes; None is a free dimension."""
        return self._engine.inputs

    @property
    def outputs(self) -> tuple[ValueInfo, ...]:
        """The same of what `run` gives."""
        return self._engine.outputs

    def run(self, feeds: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The outputs by name for an array of each input's dtype and shape. Raises InputError for others."""
        names = [info.name for info in self.inputs]
        if set(names) != set(feeds):
            raise InputError(f"the inputs are {', '.join(names)}, not {', '.join(map(str, feeds)) or 'none'}")
        found = self._engine.run([feeds[name] for name in names])
        return {info.name: array for info, array in zip(self.outputs, found, strict=True)}

    def close(self) -> None:
        """Frees the model; later calls fail."""
        self._engine.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
