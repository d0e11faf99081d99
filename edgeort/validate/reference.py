"""Outputs of ONNX Runtime, to compare with."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from edgeort.errors import CheckError, ModelError
from edgeort.ort import first_line, open_session

if TYPE_CHECKING:
    import onnxruntime


def reference_session(
    model: str | os.PathLike[str] | bytes, *, optimised: bool = True, threads: int | None = None
) -> onnxruntime.InferenceSession:
    """A CPU session on `threads` threads (None: all cores). CheckError when ONNX Runtime refuses the model."""
    try:
        return open_session(model, optimised=optimised, threads=threads, fuse_qdq=not _has_channel_scales(model))
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


def _has_channel_scales(model: str | os.PathLike[str] | bytes) -> bool:
    """Whether an activation has a scale for each channel (`edgeort quantize --for edgeort`), which cannot be fused.

    False for what is no model: that is for ONNX Runtime to say.
    """
    try:
        written = model if isinstance(model, bytes) else Path(model).read_bytes()
        if b"QuantizeLinear" not in written:
            return False
        graph = onnx.load_model_from_string(written).graph
    except (OSError, DecodeError):
        return False
    sizes = {tensor.name: math.prod(tensor.dims) for tensor in graph.initializer}
    return any(
        node.op_type == "QuantizeLinear" and node.input[0] not in sizes and sizes.get(node.input[1], 1) > 1
        for node in graph.node
    )
