"""The golden picture of a bundle that takes pictures, and the tensor that its recipe makes of it.

golden/input0.npy is the picture (another number where the model has more inputs), golden/tensor.npy the tensor. Rings
that grow finer, edges and ramps, each channel by itself, show a wrong resizing, order, offset or scale.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeort.bundle.golden import KEPT_BYTES, array_of, npy_bytes
from edgeort.bundle.reading import Bundle
from edgeort.errors import InputError, OutputError
from edgeort.recipes import reference
from edgeort.recipes.front import Front

TENSOR = "golden/tensor.npy"
_FREE = 240, 320  # where the model's size is free
_MOST = 900


def picture(front: Front) -> np.ndarray:
    """uint8 [height, width, channels], larger than what the model reads; the alpha is 255."""
    height, width = _size(front)
    y, x = (axis.astype(np.int64) for axis in np.ogrid[:height, :width])
    rings = (x * x + y * y) // 40 + 17 * ((x // 32 + y // 24) % 2)
    ramps = ((x * 255) // max(width - 1, 1), (y * 255) // max(height - 1, 1), ((x + y) * 127) // (height + width))
    levels = [(rings * (2 + i) // 2) % 128 + ramp // 2 for i, ramp in enumerate(ramps)]
    pixels = np.stack([np.broadcast_to(level, (height, width)) for level in levels], 2).astype(np.uint8)
    source = front.recipe.source
    return reference.as_source(reference.gray(pixels, "rgb") if source == "gray" else pixels, source)


def _size(front: Front) -> tuple[int, int]:
    fixed = front.picture.shape
    if fixed is not None and isinstance(fixed[0], int) and isinstance(fixed[1], int):
        return fixed[0], fixed[1]
    if front.form.size is None:
        return _FREE
    height, width = front.form.size
    return min(height * 11 // 8 + 1, _MOST), min(width * 13 // 8 + 1, _MOST)


def files(front: Front, pixels: np.ndarray) -> dict[str, bytes]:
    """The tensor, where it is not large."""
    tensor = reference.tensor(pixels, front.recipe, front.form)
    return {TENSOR: npy_bytes(tensor)} if tensor.nbytes <= KEPT_BYTES else {}


def of_bundle(bundle: Bundle) -> tuple[np.ndarray, Front]:
    """The picture and the recipe. InputError where the bundle knows of none."""
    front = bundle.manifest.front
    if front is None:
        raise InputError(f"{bundle.path}: it was built without a recipe of pictures", hint="edgeort build --preprocess")
    if not front.built_in:
        return picture(front), front
    index = [value.name for value in bundle.manifest.inputs].index(front.form.name)
    return array_of((bundle.folder / f"golden/input{index}.npy").read_bytes()), front


def save(pixels: np.ndarray, front: Front, path: Path) -> None:
    """The picture as a file that an app can load (PNG, without losses). OutputError where it cannot be written."""
    reference.need_pillow()
    from PIL import Image

    source = front.recipe.source
    plain = pixels[..., 0] if source == "gray" else pixels[..., [source.index(name) for name in "rgb"]]
    try:
        Image.fromarray(np.ascontiguousarray(plain)).save(path, "PNG")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}", hint="name another place") from error
