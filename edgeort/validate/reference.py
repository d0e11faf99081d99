"""Outputs of ONNX Runtime, to compare with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from edgeort.errors import CheckError, ModelError
from edgeort.ort import first_line, open_session

if TYPE_CHECKING:
    import onnxruntime


def reference_session(
    model: str | os.PathLike[str] | bytes, *, optimised: bool = True, threads: int | None = None
) -> onnxruntime.InferenceSession:
    """A CPU session on `threads` threads (None: all cores). CheckError when ONNX Runtime refuses the model."""
    try:
        return open_session(model, optimised=optimised, threads=threads)
    except ModelError as error:
        raise CheckError(f"{error}, so there is nothing to compare with") from error


def reference_outputs(
    model: str | os.PathLike[str] | bytes, feeds: Mapping[str, np.ndarray], *, optimised: bool = True
) -> list[np.ndarray]:
    """ONNX Runtime's outputs. CheckError when it cannot run the model on these inputs."""
    session = reference_session(model, optimised=optimised)
    try:
        return [np.asarray(output) for output in session.run(None, dict(feeds))]
    except Exception as error:
        shapes = ", ".join(f"{name}={'x'.join(map(str, array.shape))}" for name, array in feeds.items())
        raise CheckError(
            f"ONNX Runtime cannot run the model on inputs of shape {shapes}: {first_line(error)}",
            hint="fix the free dimensions: --shape NAME=1x3x224x224, or give data that suits it: --input NAME=FILE.npy",
        ) from error
