"""Frames: what comes out of them again is what went in, bit for bit, and tables make pictures a quarter of the size."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeort.bundle import golden
from edgeort.validate.frames import ARRAY, HEAD, LEAST_BYTES, MAGIC, PALETTE, TABLE, Encoder


def decoded(frame: bytes) -> tuple[int, np.ndarray]:
    """Kind and array, as runtime/harness/stream.h says; a second writing of it."""
    magic, kind, size = HEAD.unpack(frame[: HEAD.size])
    content = frame[HEAD.size :]
    assert magic == MAGIC and size == len(content)
    if kind == ARRAY:
        return kind, golden.array_of(content)
    channels, inner = struct.unpack("<QQ", content[:16])
    start = 16 + channels * TABLE * 4
    tables = np.frombuffer(content[16:start], np.float32).reshape(channels, TABLE)
    index = golden.array_of(content[-(-start // 64) * 64 :])
    flat = index.reshape(-1)
    return kind, tables[np.arange(flat.size) // inner % channels, flat].reshape(index.shape)


def pictures(count: int, *, last: bool = False, size: int = 64) -> list[np.ndarray]:
    """Float pictures as preprocessing makes them: each channel has a mean and a deviation of its own."""
    rng = np.random.default_rng(0)
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    pixels = rng.integers(0, 256, (count, 1, size, size, 3)).astype(np.float32)
    scaled = ((pixels * np.float32(1 / 255) - mean) / std).astype(np.float32)
    return [np.ascontiguousarray(one if last else one.transpose(0, 3, 1, 2)) for one in scaled]


@pytest.mark.parametrize("last", [False, True])
def test_pictures_are_sent_as_bytes(last: bool):
    encoder = Encoder(last)
    for picture in pictures(5, last=last):
        frame = encoder.frame(0, picture)
        kind, found = decoded(frame)
        assert kind == PALETTE and found.tobytes() == picture.tobytes() and found.shape == picture.shape
        assert len(frame) < picture.nbytes / 3


def test_numbers_at_uneven_distances_are_found_too_and_tables_grow():
    encoder, rng = Encoder(), np.random.default_rng(1)
    numbers = np.sort(rng.standard_normal(200).astype(np.float32)) ** 3
    for top in (50, 120, 200, 90):
        array = rng.choice(numbers[:top], (1, 3, 64, 64)).astype(np.float32)
        kind, found = decoded(encoder.frame(0, array))
        assert kind == PALETTE and found.tobytes() == array.tobytes()


def test_each_input_has_tables_of_its_own_and_a_table_that_is_full_begins_anew():
    encoder = Encoder()
    a, b = (np.arange(4096, dtype=np.float32).reshape(64, 64) % 200 + start for start in (0, 1000))
    for place, array in ((0, a), (1, b), (0, b), (0, a), (1, a)):
        kind, found = decoded(encoder.frame(place, array))
        assert kind == PALETTE and found.tobytes() == array.tobytes()


def test_what_needs_no_table_is_sent_as_it_is():
    rng = np.random.default_rng(0)
    small = np.zeros(LEAST_BYTES // 4 - 1, np.float32)
    for array in (
        rng.standard_normal((1, 3, 64, 64)).astype(np.float32),
        np.arange(257, dtype=np.float32).repeat(64),
        small, np.zeros((64, 64), np.float64), np.arange(9000), np.float32(3), np.zeros((0, 4), np.float32),
    ):  # fmt: skip
        kind, found = decoded(Encoder().frame(0, np.asarray(array)))
        assert kind == ARRAY and found.tobytes() == np.asarray(array).tobytes()
    assert decoded(Encoder(narrow=False).frame(0, pictures(1)[0]))[0] == ARRAY


ODD = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, 3.4e38, -3.4e38, 1.0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(ODD) | st.floats(width=32), min_size=1, max_size=300), st.integers(0, 2**31))
def test_every_bit_comes_back(numbers: list[float], seed: int):
    rng = np.random.default_rng(seed)
    encoder = Encoder()
    for _ in range(2):
        array = rng.choice(np.float32(numbers), (1, 2, 64, 64))
        assert decoded(encoder.frame(0, array))[1].tobytes() == array.tobytes()
