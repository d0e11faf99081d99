"""Strings and sequences as the runtime has them (edgeort_string and edgeort_item of runtime/include/edgeort.h)."""

from __future__ import annotations

import ctypes as c
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeort.errors import InputError
from edgeort.values import BITS

MAX_RANK = 8

# By the codes of edgeort_dtype: NumPy's names, or those of BITS; then strings, and tensors as elements.
NAMES = (
    "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "bool", "float16", "float64", "uint32", "uint64",
    *BITS, "string", "tensor",
)  # fmt: skip
STRING, TENSOR = NAMES.index("string"), NAMES.index("tensor")
DTYPES: tuple[np.dtype, ...] = (
    *(np.dtype(BITS.get(name, name)) for name in NAMES[:STRING]), np.dtype(object), np.dtype(object),
)  # fmt: skip


class RawTensor(c.Structure):
    """edgeort_tensor."""

    _fields_ = (
        ("name", c.c_char_p),
        ("data", c.c_void_p),
        ("bytes", c.c_size_t),
        ("dtype", c.c_int32),
        ("rank", c.c_int32),
        ("dims", c.c_int64 * MAX_RANK),
    )


@dataclass(frozen=True)
class Packed:
    """Elements for the runtime: `table` [n, 2] or [n] of uint64, of that shape for it; `kept` is what it points at."""

    table: np.ndarray
    shape: tuple[int, ...]
    kept: Any


def pack(code: int, value: Any, name: str) -> Packed:
    """Strings (an array of str or bytes), or a list of arrays, each of which may again be such. InputError: others."""
    return _strings(np.asarray(value), name) if code == STRING else _items(value, name)


def _strings(array: np.ndarray, name: str) -> Packed:
    if array.dtype.kind not in "OUS":
        raise InputError(f'input "{name}" must be strings, not {array.dtype}')
    texts = [_encoded(text, name) for text in array.reshape(-1).tolist()]
    lengths = np.array([len(text) for text in texts], np.uint64)
    data = np.frombuffer(b"".join(texts) + b"\0", np.uint8)
    table = np.zeros((len(texts), 2), np.uint64)
    table[:, 1] = lengths
    table[:, 0] = np.uint64(data.ctypes.data) + np.cumsum(lengths, dtype=np.uint64) - lengths
    return Packed(table, array.shape, data)


def _encoded(text: Any, name: str) -> bytes:
    if isinstance(text, str):
        return text.encode("utf-8", "surrogateescape")
    if isinstance(text, bytes):
        return text
    raise InputError(f'input "{name}" must be strings, not {type(text).__name__}')


def _items(values: Any, name: str) -> Packed:
    if not isinstance(values, (list, tuple)):
        raise InputError(f'input "{name}" must be a list of arrays, not {type(values).__name__}')
    kept = [_item(value, name) for value in values]
    table = np.array([c.addressof(raw) for raw, _ in kept], np.uint64)
    return Packed(table, (len(values),), kept)


def _item(value: Any, name: str) -> tuple[RawTensor, Any]:
    """One array, or list of arrays, as the runtime reads it, and what must stay alive."""
    if isinstance(value, (list, tuple)):
        packed, code = _items(value, name), TENSOR
    else:
        array = np.require(value, requirements=("C", "ALIGNED"))
        code = STRING if array.dtype.kind in "OUS" else _code(array.dtype, name)
        packed = _strings(array, name) if code == STRING else Packed(array, array.shape, array)
    if len(packed.shape) > MAX_RANK:
        raise InputError(f'an element of input "{name}" has rank {len(packed.shape)}; the limit is {MAX_RANK}')
    dims = (c.c_int64 * MAX_RANK)(*packed.shape)
    raw = RawTensor(b"", packed.table.ctypes.data, packed.table.nbytes, code, len(packed.shape), dims)
    return raw, packed


def _code(dtype: np.dtype, name: str) -> int:
    if dtype.name not in NAMES:
        raise InputError(f'an element of input "{name}" is of {dtype}, which the runtime does not have')
    return NAMES.index(dtype.name)


def unpack(raw: RawTensor) -> Any:
    """A copy of a tensor of the runtime: an array, of str where it holds strings; a list where it holds tensors."""
    shape: tuple[int, ...] = tuple(raw.dims[: raw.rank])
    n = int(np.prod(shape, dtype=np.int64))
    if raw.dtype == TENSOR:
        return [unpack(RawTensor.from_address(address)) for address in _words(raw.data, n)]
    if raw.dtype == STRING:
        words = _words(raw.data, 2 * n)
        texts = np.empty(n, object)
        for i in range(n):
            texts[i] = c.string_at(words[2 * i], words[2 * i + 1]).decode("utf-8", "surrogateescape")
        return texts.reshape(shape)
    return view(raw, shape).copy()


def _words(address: int | None, n: int) -> list[int]:
    return list((c.c_uint64 * n).from_address(address)) if address and n else []


def view(raw: RawTensor, shape: tuple[int, ...]) -> np.ndarray:
    """The runtime's memory as an array of numbers; nobody may read it after the next run."""
    dtype = DTYPES[raw.dtype]
    if not raw.bytes:
        return np.empty(shape, dtype)
    return np.ndarray(shape, dtype, (c.c_char * raw.bytes).from_address(raw.data))
