"""Signals in files, as a recipe for sound takes them: .wav of one channel in PCM of 16 bits, and .npy.

A .npy of one axis is a signal, one of two axes has a signal in each row.
"""

from __future__ import annotations

import wave
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeort.errors import InputError
from edgeort.unreadable import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeort.recipes.sound import Sound

SUFFIXES = (".wav", ".npy")
_NO_WAVE: tuple[type[Exception], ...] = (wave.Error, *UNREADABLE)


def signals(path: Path, sound: Sound) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """What stands behind the file's name in that of each of its signals, `[3]` or nothing, and what loads it.

    InputError where the file is damaged, or holds other samples than the recipe takes.
    """
    if path.suffix.lower() == ".wav":
        yield "", partial(_wave, path, sound)
        return
    array = _array(path, sound)
    if array.ndim == 1:
        yield "", partial(_array, path, sound)
        return
    for index in range(len(array)):
        yield f"[{index}]", partial(_row, path, sound, index)


def _row(path: Path, sound: Sound, index: int) -> np.ndarray:
    return np.array(_array(path, sound)[index])


def _array(path: Path, sound: Sound) -> np.ndarray:
    """Mapped: rows that nobody asks for are not read."""
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except UNREADABLE as error:
        raise InputError(f"{path} cannot be read: {error}", hint="numpy.save writes such files") from error
    wanted = "int16" if sound.is_int16 else "float32"
    if array.dtype != wanted:
        written = "numpy.round(32767 * x)" if sound.is_int16 and array.dtype.kind == "f" else "x"
        hint = f"numpy.save(FILE, {written}.astype('{wanted}'))"
        hint = 'add "from=int16" to the recipe' if array.dtype == np.int16 else hint
        raise InputError(f"{path}: it holds {array.dtype}, and the recipe takes signals of {wanted}", hint=hint)
    if array.ndim not in (1, 2) or not array.size:
        raise InputError(f"{path}: its shape {list(array.shape)} is none of signals: [samples] or [n, samples]")
    return array


def _wave(path: Path, sound: Sound) -> np.ndarray:
    hint = f"ffmpeg -i {path} -ac 1 -ar {sound.rate} -sample_fmt s16 OUT.wav"
    try:
        with wave.open(str(path)) as file:
            channels, bits, rate = file.getnchannels(), 8 * file.getsampwidth(), file.getframerate()
            data = file.readframes(file.getnframes()) if (channels, bits) == (1, 16) else b""
    except _NO_WAVE as error:
        raise InputError(f"{path} cannot be read as .wav: {error or 'it ends early'}", hint=hint) from error
    if (channels, bits, rate) != (1, 16, sound.rate):
        found = f"{channels} channel{'s' if channels > 1 else ''}, {bits} bits, {rate} Hz"
        raise InputError(f"{path}: it has {found}; the recipe takes 1 channel, 16 bits, {sound.rate} Hz", hint=hint)
    samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2")
    if not samples.size:
        raise InputError(f"{path}: there are no samples in it", hint=hint)
    return samples.astype(np.int16) if sound.is_int16 else samples.astype(np.float32) / np.float32(32768)
