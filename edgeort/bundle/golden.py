"""Golden vectors: inputs that need no storage to be the same everywhere, and the digest of an output.

Both are the same as in runtime/harness/data.cc, which says how they are defined, so that `edgeort_bench model.plan`
without inputs computes what the builder computed.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgeort.elements import NAMES, STRING
from edgeort.errors import InputError
from edgeort.unreadable import UNREADABLE
from edgeort.values import Value

if TYPE_CHECKING:
    from edgeort.bundle.reading import Bundle

# What is neither fixed nor bounded: 1 for the first dimension (the batch), else by the rank of the input.
FREE_IMAGE = 64
FREE_OTHER = 16
KEPT_BYTES = 1 << 20  # outputs up to this size are stored; of larger ones only the digest

_U64 = np.uint64
_LETTERS = "abcdefghijklmnopqrstuvwxyz012345"


def mix(x: np.ndarray) -> np.ndarray:
    """splitmix64 of every element, uint64."""
    with np.errstate(over="ignore"):
        x = x + _U64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> _U64(30))) * _U64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> _U64(27))) * _U64(0x94D049BB133111EB)
        return x ^ (x >> _U64(31))


def random_input(value: Value, index: int, shape: Sequence[int], *, binary: bool = False) -> np.ndarray:
    """The data of input `index` with that shape: floats in [-1, 1), bytes over their range, wider integers 0 to 127.

    With `binary` those integers are 0 or 1, for models that look them up in a small table.
    """
    n = int(np.prod(shape, dtype=np.int64))
    bits = mix(mix(np.array([index], _U64)) ^ np.arange(n, dtype=_U64))
    kind = value.dtype
    if kind == "string":
        letters = np.array(list(_LETTERS), object)
        return letters[(bits >> _U64(59)).astype(np.int64)].reshape(shape)
    if kind in ("float32", "float64", "float16"):
        width = 11 if kind == "float16" else 24
        flat = ((bits >> _U64(64 - width)).astype(np.float64) * 2.0 ** (1 - width) - 1).astype(kind)
    elif kind == "bfloat16":
        exact = ((bits >> _U64(56)).astype(np.float32) * np.float32(2.0**-7) - 1).astype(np.float32)
        flat = (exact.view(np.uint32) >> np.uint32(16)).astype(np.uint16)
    else:
        kept = 8 if kind in ("int8", "uint8") else 1 if kind == "bool" or binary else 7
        flat = (bits >> _U64(64 - kept)).astype(value.array_dtype)
    return flat.reshape(shape)


def digest(array: np.ndarray, dtype: str | None = None) -> str:
    """16 hex digits that depend on dtype, shape and every bit but those of NaNs; `dtype`: where NumPy lacks it."""
    code = NAMES.index(dtype or array.dtype.name)
    head = np.array([code, array.ndim, *array.shape], _U64)
    if code == STRING:
        return _sum([head, *(words for text in array.reshape(-1) for words in _text_words(text))])
    flat = np.ascontiguousarray(array).reshape(-1)
    if array.dtype.kind == "f":
        flat = np.where(np.isnan(flat), flat.dtype.type(np.nan), flat)
    elif dtype == "bfloat16":
        flat = np.where((flat & 0x7FFF) > 0x7F80, np.uint16(0x7FC0), flat)
    return _sum([head, _words(flat.tobytes())])


def _words(raw: bytes) -> np.ndarray:
    return np.frombuffer(raw + b"\0" * (-len(raw) % 8), "<u8")


def _text_words(text: str | bytes) -> tuple[np.ndarray, np.ndarray]:
    """Its length, and its bytes."""
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    return np.array([len(raw)], _U64), _words(raw)


def _sum(parts: Sequence[np.ndarray]) -> str:
    words = np.concatenate(parts)
    with np.errstate(over="ignore"):
        return f"{int(mix(mix(np.arange(len(words), dtype=_U64)) ^ words).sum(dtype=_U64)):016x}"


def choose_shapes(inputs: Iterable[Value]) -> dict[str, tuple[int, ...]]:
    """A shape for every input: its own, and sizes for the free dimensions, the largest of those that are bounded.

    Equal names get equal sizes.
    """
    symbols: dict[str, int] = {}
    chosen: dict[str, tuple[int, ...]] = {}
    for value in inputs:
        if value.shape is None:
            raise InputError(f"input {value.name!r} has no shape", hint=f"--shape {value.name}=1x3x224x224")
        dims = []
        most = {axis: largest for axis, _, largest in value.bounds}
        for axis, dim in enumerate(value.shape):
            usual = 1 if axis == 0 else FREE_IMAGE if len(value.shape) >= 4 else FREE_OTHER
            free = most.get(axis, usual)
            dims.append(dim if isinstance(dim, int) else symbols.setdefault(dim, free) if dim else free)
        chosen[value.name] = tuple(dims)
    return chosen


def chosen_sizes(inputs: Sequence[Value], arrays: Sequence[np.ndarray]) -> dict[str, tuple[int, ...]]:
    """The shapes of these arrays by name, of inputs that leave more free than a batch, which is 1 here."""
    return {
        value.name: array.shape
        for value, array in zip(inputs, arrays, strict=True)
        if value.shape is not None
        and any(
            not isinstance(dim, int) and (axis > 0 or size != 1)
            for axis, (dim, size) in enumerate(zip(value.shape, array.shape, strict=True))
        )
    }


def sizes_of(bundle: Bundle) -> dict[str, tuple[int, ...]]:
    """`chosen_sizes` of a bundle's golden inputs. InputError where one is no .npy file."""
    files = (bundle.golden / f"input{index}.npy" for index in range(len(bundle.manifest.inputs)))
    return chosen_sizes(bundle.manifest.inputs, [array_of(file.read_bytes()) for file in files])


def make_inputs(inputs: Sequence[Value], *, binary: bool = False) -> dict[str, np.ndarray]:
    """Golden inputs by name, in the order of the model's; `binary` as in `random_input`."""
    shapes = choose_shapes(inputs)
    return {v.name: random_input(v, index, shapes[v.name], binary=binary) for index, v in enumerate(inputs)}


def files(
    inputs: Sequence[np.ndarray], outputs: Mapping[Value, np.ndarray], *, whole: bool = False
) -> dict[str, bytes]:
    """The content of golden/: every input, the digest of every output, and the outputs that are small, or all of them.

    What is compared by how near it is has to be there as a `whole`.
    """
    found = {f"golden/input{index}.npy": npy_bytes(array) for index, array in enumerate(inputs)}
    lines = []
    for index, (value, array) in enumerate(outputs.items()):
        lines.append(f"output{index} {digest(array, value.dtype)} {value.name}\n")
        if whole or array.nbytes <= KEPT_BYTES:
            found[f"golden/output{index}.npy"] = npy_bytes(array)
    found["golden/digests.txt"] = "".join(lines).encode()
    return found


def npy_bytes(array: np.ndarray) -> bytes:
    """The array as a .npy file, version 1.0; strings as NumPy's of a fixed size."""
    if array.dtype == object:
        array = np.char.encode(array.astype(str), "utf-8")
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.ascontiguousarray(array).reshape(array.shape), (1, 0), allow_pickle=False)
    return stream.getvalue()


def array_of(content: bytes) -> np.ndarray:
    """The array in the content of a .npy file, as `npy_bytes` or the harness writes it. InputError where it is none."""
    try:
        array: np.ndarray = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
        return np.char.decode(array, "utf-8").astype(object) if array.dtype.kind == "S" else array
    except UNREADABLE as error:
        raise InputError(f"this is no .npy file: {error}") from error
