"""What cases.txt describes, as models with data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

CASES = Path(__file__).with_name("cases.txt")
OPSET = 20
_HEADER = f'<ir_version: 10, opset_import: ["": {OPSET}, "com.microsoft": 1]>'


@dataclass(frozen=True)
class Case:
    """A model and an input for each of its inputs."""

    name: str
    model: onnx.ModelProto
    feeds: dict[str, np.ndarray]


def names(path: Path = CASES) -> list[str]:
    """All cases of the file, in its order."""
    return list(_texts(path))


def load(name: str, path: Path = CASES) -> Case:
    """KeyError where there is none of that name."""
    inputs, body = _texts(path)[name]
    made = re.search(r"^(y\b[\w, ]*) = ", body, re.MULTILINE)
    outputs = ", ".join(f"float {each}" for each in made[1].split(", ")) if made else ""
    model = onnx.parser.parse_model(f"{_HEADER} g ({inputs}) => ({outputs}) {{ {body} }}")
    rng, feeds = np.random.default_rng(0), dict[str, np.ndarray]()
    for value in model.graph.input:
        kind = value.type.tensor_type
        shape = [dim.dim_value for dim in kind.shape.dim]
        feeds[value.name] = data(value.name, shape, helper.tensor_dtype_to_np_dtype(kind.elem_type), rng)
    constants = [each for each in feeds if each[0] in "wk"]
    model.graph.initializer.extend(numpy_helper.from_array(feeds.pop(each), each) for each in constants)
    kept = [value for value in model.graph.input if value.name in feeds]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    for value in model.graph.output:
        value.ClearField("type")
    return Case(name, onnx.shape_inference.infer_shapes(model), feeds)


def _texts(path: Path) -> dict[str, tuple[str, str]]:
    """The text of the inputs and that of the nodes, by the case's name."""
    found = {}
    for block in path.read_text(encoding="utf-8").split("\n["):
        if "]\n" in block and not block.startswith("#"):
            name, text = block.split("]\n", 1)
            inputs, body = text.strip().split("\n", 1)
            found[name] = (inputs, body)
    return found


def data(name: str, shape: list[int], dtype: np.dtype, rng: np.random.Generator) -> np.ndarray:
    """Numbers for an input of that name."""
    if whole := re.match(r"([ik])(\d+)", name):
        limit = int(whole[2])
        return np.asarray(limit if whole[1] == "k" else rng.integers(0, limit, shape), dtype)
    if name == "grid":
        axes = np.meshgrid(*(np.linspace(-1.02, 1.02, size) for size in shape[1:-1]), indexing="ij")
        warp = np.stack([axis + 0.05 * np.sin(5 * axes[0]) for axis in axes[::-1]], -1)
        return np.broadcast_to(warp, shape).astype(dtype)
    if name in ("boxes", "rois"):
        corners = rng.uniform(0, 35, (*shape[:-1], 2))
        return np.concatenate([corners, corners + rng.uniform(2, 14, corners.shape)], -1).astype(dtype)
    if dtype.kind in "iu":
        return rng.integers(np.iinfo(dtype).min // 2, np.iinfo(dtype).max // 2, shape).astype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.3
    return rng.standard_normal(shape).astype(dtype)
