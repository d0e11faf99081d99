"""The ONNX loader: whatever the file holds, it says an EdgeortError or gives a model. The file is in memory."""

from __future__ import annotations

import contextlib
import random
import tempfile
from functools import cache
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from edgeort.errors import EdgeortError
from edgeort.model import load, modernising
from tests.fuzz import converting
from tests.fuzz.bundle_target import MEMORY
from tests.mutation.mutations import MUTATIONS, OFTEN


def start() -> None:
    """Old opsets are converted, as ever, in another process, but not in a new one each."""
    modernising.convert = converting.convert


def one(data: bytes) -> None:
    """Raises for a bug."""
    path = _place() / "model.onnx"
    path.write_bytes(data)
    with contextlib.suppress(EdgeortError):
        load(path)


@cache
def _place() -> Path:
    return Path(tempfile.mkdtemp(prefix="edgeort-fuzz-", dir=MEMORY))


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Mostly the changes that tests.mutation makes; else bytes."""
    import atheris

    rng = random.Random(seed)
    if rng.random() < 0.3:
        return bytes(atheris.Mutate(data, most))
    try:
        proto = onnx.ModelProto.FromString(data)
    except DecodeError:
        return bytes(atheris.Mutate(data, most))
    for _ in range(20):
        try:
            rng.choice(MUTATIONS + OFTEN)(proto, rng)
            return proto.SerializeToString()[:most]
        except Exception:  # no place for it, or what is there is damaged already
            continue
    return bytes(atheris.Mutate(data, most))
