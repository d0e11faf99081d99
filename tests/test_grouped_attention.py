"""com.microsoft GroupQueryAttention as its body, against ONNX Runtime; and as a decoder's with states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.test_bodies import Array, check, real

HEADS, WIDTH, POSITIONS = 4, 16, 32


def tables() -> tuple[Array, Array]:
    angles = np.arange(POSITIONS)[:, None] * 10.0 ** -np.linspace(0, 2, WIDTH // 2)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def grouped(folder: Path, past: int, rows: int, shared: int = 2, form: str = "", **attributes: Any) -> None:
    """Compares one; `form`: "packed", "rotary" in all of which, "bias", "sink", "batch"."""
    batch = 2 if form == "batch" else 1
    width = (HEADS + 2 * shared) * WIDTH if form == "packed" else HEADS * WIDTH
    keys = [None, None] if form == "packed" else [real(batch, rows, shared * WIDTH) for _ in "kv"]
    inputs: list[Array | None] = [real(batch, rows, width), *keys]
    inputs += [real(batch, shared, past, WIDTH) for _ in "kv"]
    inputs += [np.full(batch, past + rows - 1, np.int32), np.array(past + rows, np.int32)]
    weights = {}
    if attributes.get("do_rotary"):
        weights = dict(zip((7, 8), tables(), strict=True))
    if form == "bias":
        inputs += [None, None, None, real(1, HEADS, rows, past + rows)]
    if form == "sink":
        weights[11] = real(HEADS)
    sizes = {"num_heads": HEADS, "kv_num_heads": shared}
    check("GroupQueryAttention", inputs, weights, outputs=3, folder=folder, **sizes, **attributes)


@pytest.mark.parametrize(("past", "rows"), [(0, 5), (6, 1), (3, 1)])
@pytest.mark.parametrize("shared", [1, 2, 4])
def test_heads_share_keys(past: int, rows: int, shared: int, tmp_path: Path) -> None:
    grouped(tmp_path, past, rows, shared)
    grouped(tmp_path, past, rows, shared, "packed", scale=0.3)


@pytest.mark.parametrize(("past", "rows"), [(0, 5), (6, 1)])
@pytest.mark.parametrize("interleaved", [0, 1])
def test_rotary(past: int, rows: int, interleaved: int, tmp_path: Path) -> None:
    for form in ("", "packed", "batch"):
        grouped(tmp_path, past, rows, 2, form, do_rotary=1, rotary_interleaved=interleaved)


@pytest.mark.parametrize(("past", "rows"), [(0, 9), (8, 1)])
@pytest.mark.parametrize(
    "attributes",
    [{"softcap": 2.0}, {"local_window_size": 3}, {"local_window_size": 1}, {"smooth_softmax": 1}],
    ids=str,
)
def test_scores(past: int, rows: int, attributes: dict[str, Any], tmp_path: Path) -> None:
    grouped(tmp_path, past, rows, **attributes)


@pytest.mark.parametrize(("past", "rows"), [(0, 5), (6, 1)])
@pytest.mark.parametrize("form", ["bias", "sink"])
def test_what_is_added_to_scores(past: int, rows: int, form: str, tmp_path: Path) -> None:
    grouped(tmp_path, past, rows, form=form)
    grouped(tmp_path, past, rows, form=form, softcap=3.0)
