"""The runtime's C API (runtime/include/edgeort.h) through ctypes."""

from __future__ import annotations

import ctypes as c
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeort.elements import DTYPES, MAX_RANK, NAMES, STRING, Packed, RawTensor, pack, unpack, view
from edgeort.errors import BudgetError, InputError, OutOfMemoryError, PlanError

ABI = 2
_ERROR_BYTES = 512
MAX_THREADS = 64  # ThreadPool::kMaxThreads
# edgeort_status of edgeort.h.
_OVER_RAM_LIMIT, _INVALID_ARGUMENT, _OUT_OF_MEMORY = 2, 3, 4
OVER_RAM_LIMIT = "build with a larger --ram-limit, for a smaller input (--shape), or run on fewer threads (--threads)"


class _Options(c.Structure):
    _fields_ = (("threads", c.c_int32), ("profile", c.c_int32), ("isa", c.c_char_p))


class _Stats(c.Structure):
    _fields_ = (
        ("weights_bytes", c.c_size_t),
        ("arena_bytes", c.c_size_t),
        ("states_bytes", c.c_size_t),
        ("threads", c.c_int32),
        ("nodes", c.c_int32),
        ("isa", c.c_char_p),
    )


class _Node(c.Structure):
    _fields_ = (("name", c.c_char_p), ("op", c.c_char_p), ("ns", c.c_uint64), ("skipped", c.c_int32))


@dataclass(frozen=True)
class ValueInfo:
    """An input or output: name, NumPy dtype, and shape, where None is a free dimension (shape None: not known yet).

    Strings are arrays of objects, of `kind` "string"; a sequence, of kind "tensor", is a list of arrays.
    """

    name: str
    dtype: np.dtype
    shape: tuple[int | None, ...] | None
    kind: str


@dataclass(frozen=True)
class Stats:
    """What an open model holds: bytes of plan, arena and states; threads, nodes, and the ISA level in use."""

    weights_bytes: int
    arena_bytes: int
    states_bytes: int
    threads: int
    nodes: int
    isa: str


@dataclass(frozen=True)
class NodeTime:
    """A node of the plan; `ns` is its time over all runs since open, 0 unless profiled."""

    name: str
    op: str
    ns: int
    skipped: bool


class _Given:
    """An input: what the runtime is told, with the element type (uint16 may be bfloat16), and the shape it took."""

    def __init__(self, tensor: RawTensor) -> None:
        self.tensor = tensor
        self.pointer = c.pointer(tensor)
        self.shape: tuple[int, ...] | None = None
        self.packed: Packed | None = None  # strings or tensors, which it must keep alive


class _Made:
    """An output: what the runtime says of it, the bytes of what it said last, and the memory that those describe."""

    def __init__(self) -> None:
        self.tensor = RawTensor()
        self.pointer = c.pointer(self.tensor)
        self.described = b""
        self.view = np.empty(0)


def _address(array: np.ndarray) -> int:
    """Where the first element of a C-contiguous array is."""
    try:
        # In a third of the time that array.ctypes takes. (Typeshed's Buffer is newer than Python 3.11.)
        return c.addressof(c.c_char.from_buffer(array))  # type: ignore[arg-type]
    except (TypeError, ValueError):  # read-only, or empty
        return array.ctypes.data


def _declare(lib: c.CDLL) -> c.CDLL:
    model, text, out = c.c_void_p, c.c_char_p, c.POINTER
    signatures: Mapping[str, tuple[type | None, Sequence[type]]] = {
        "edgeort_open": (model, (text, out(_Options), text)),
        "edgeort_close": (None, (model,)),
        "edgeort_input_count": (c.c_int, (model,)),
        "edgeort_output_count": (c.c_int, (model,)),
        "edgeort_input": (c.c_int, (model, c.c_int, out(RawTensor))),
        "edgeort_output": (c.c_int, (model, c.c_int, out(RawTensor))),
        "edgeort_set_input": (c.c_int, (model, c.c_int, out(RawTensor))),
        "edgeort_bind_state": (c.c_int, (model, c.c_int, c.c_int, c.c_int64)),
        "edgeort_rewind_states": (c.c_int, (model, c.c_int64)),
        "edgeort_prepare": (c.c_int, (model,)),
        "edgeort_run": (c.c_int, (model,)),
        "edgeort_last_error": (text, (model,)),
        "edgeort_get_stats": (c.c_int, (model, out(_Stats))),
        "edgeort_get_node": (c.c_int, (model, c.c_int, out(_Node))),
        "edgeort_abi": (c.c_int, ()),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


class Engine:
    """One open plan. Not for use from two threads at once."""

    def __init__(
        self, library: Path, plan: Path, *, threads: int | None = None, isa: str | None = None, profile: bool = False
    ) -> None:
        """Opens `plan` (mapped, not copied) with `library`. PlanError says why the runtime refuses it."""
        self._model: int | None = None
        self._process = os.getpid()
        try:
            self._lib = _declare(c.CDLL(str(library)))
        except (OSError, AttributeError) as error:
            raise PlanError(f"{library} is not an edgeort library for this machine: {error}") from error
        if self._lib.edgeort_abi() != ABI:
            raise PlanError(
                f"{library} speaks ABI {self._lib.edgeort_abi()}, not {ABI}",
                hint="build it with this edgeort: edgeort build MODEL --device NAME",
            )
        reason = c.create_string_buffer(_ERROR_BYTES)
        options = _Options(threads or 0, int(profile), isa.encode() if isa else None)
        self._model = self._lib.edgeort_open(str(plan).encode(), c.byref(options), reason)
        if not self._model:
            raise PlanError(reason.value.decode(errors="replace"))
        self.inputs = tuple(
            self._describe(self._lib.edgeort_input, i) for i in range(self._lib.edgeort_input_count(self._model))
        )
        self.outputs = tuple(
            self._describe(self._lib.edgeort_output, i) for i in range(self._lib.edgeort_output_count(self._model))
        )

        self._given = [_Given(self._tensor(self._lib.edgeort_input, i)) for i in range(len(self.inputs))]
        self._made = [_Made() for _ in self.outputs]
        # Those that are no states: given and copied.
        self._fed = list(range(len(self.inputs)))
        self._returned = list(range(len(self.outputs)))

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Frees the model; later calls fail."""
        # A forked child has the model's memory but not its threads: joining them would end the process.
        if self._model and os.getpid() == self._process:
            self._lib.edgeort_close(self._model)
        self._model = None

    def _tensor(self, function: c._CFuncPtr, index: int) -> RawTensor:  # type: ignore[name-defined]
        tensor = RawTensor()
        function(self._model, index, tensor)
        return tensor

    def _describe(self, function: c._CFuncPtr, index: int) -> ValueInfo:  # type: ignore[name-defined]
        tensor = self._tensor(function, index)
        shape = None if tensor.rank < 0 else tuple(None if d < 0 else d for d in tensor.dims[: tensor.rank])
        return ValueInfo(tensor.name.decode(), DTYPES[tensor.dtype], shape, NAMES[tensor.dtype])

    def _check(self, status: int) -> None:
        """Raises what a status is about, unless it is 0."""
        if not status:
            return
        said = self._lib.edgeort_last_error(self._model).decode(errors="replace")
        if status == _OVER_RAM_LIMIT:
            raise BudgetError(said, hint=OVER_RAM_LIMIT)
        kinds = {_INVALID_ARGUMENT: InputError, _OUT_OF_MEMORY: OutOfMemoryError}
        raise kinds.get(status, PlanError)(said)

    def bind_state(self, input_name: str, output_name: str, capacity: int, shape: Sequence[int]) -> None:
        """Has an input of that shape, but for its rows, go on from an output: see edgeort_bind_state in edgeort.h."""
        index = [info.name for info in self.inputs].index(input_name)
        output = [info.name for info in self.outputs].index(output_name)
        self._give(index, np.empty((*shape[:-2], 0, shape[-1]), self.inputs[index].dtype))
        self._check(self._lib.edgeort_bind_state(self._model, index, output, capacity))
        self._fed.remove(index)
        self._returned.remove(output)

    def rewind_states(self, rows: int) -> None:
        """Keeps the first rows of every state."""
        self._check(self._lib.edgeort_rewind_states(self._model, rows))

    def run(self, arrays: Sequence[Any], *, copy: bool = True) -> list[Any]:
        """Runs on one array for each input (read in place when C-contiguous and aligned); gives each output.

        Those that are states are left out of both. Without `copy`, outputs hold until the next run only.
        """
        if not self._model:
            raise PlanError("the model is closed")
        if os.getpid() != self._process:
            raise PlanError("the model was opened in the process that forked this one; open it here anew")
        if len(arrays) != len(self._fed):
            raise InputError(f"the model has {len(self._fed)} inputs, not {len(arrays)}")
        # Alive until the run has read them.
        arrays = [self._give(index, array) for index, array in zip(self._fed, arrays, strict=True)]
        return self.run_again(copy=copy)

    def run_again(self, *, copy: bool = True) -> list[Any]:
        """Runs on the arrays of the last run with other contents: the caller kept them, C-contiguous and aligned."""
        if status := self._lib.edgeort_run(self._model):
            self._check(status)
        return [self._output(index, copy) for index in self._returned]

    def _give(self, index: int, array: Any) -> Any:
        """Points an input at the array, or at a copy that the runtime can read, which is returned."""
        info, given = self.inputs[index], self._given[index]
        if given.tensor.dtype >= STRING:
            given.packed = pack(given.tensor.dtype, array, info.name)
            self._tell(index, given.packed.shape, given.packed.table.nbytes, given.packed.table.ctypes.data)
            return array
        if array.dtype != info.dtype:
            raise InputError(f'input "{info.name}" must be {info.dtype}, not {array.dtype}')
        flags = array.flags
        if not (flags.c_contiguous and flags.aligned):
            array = np.require(array, requirements=("C", "ALIGNED"))
        address, tensor = _address(array), given.tensor
        if array.shape != given.shape or address != tensor.data:
            self._tell(index, array.shape, array.nbytes, address)
        return array

    def _tell(self, index: int, shape: tuple[int, ...], size_bytes: int, address: int) -> None:
        """The runtime takes an input's shape and data."""
        given = self._given[index]
        tensor = given.tensor
        if len(shape) > MAX_RANK:
            raise InputError(f'input "{self.inputs[index].name}" has rank {len(shape)}; the limit is {MAX_RANK}')
        given.shape = None  # until the runtime has taken it
        tensor.rank, tensor.bytes, tensor.data = len(shape), size_bytes, address
        tensor.dims[: len(shape)] = shape
        if status := self._lib.edgeort_set_input(self._model, index, given.pointer):
            self._check(status)
        given.shape = shape

    def _output(self, index: int, copy: bool = True) -> Any:
        made = self._made[index]
        self._lib.edgeort_output(self._model, index, made.pointer)
        if made.tensor.dtype >= STRING:
            return unpack(made.tensor)
        described = bytes(made.tensor)
        if described != made.described:
            made.described, made.view = described, view(made.tensor, tuple(made.tensor.dims[: made.tensor.rank]))
        return made.view.copy() if copy else made.view

    @property
    def stats(self) -> Stats:
        """Sizes, threads and ISA level."""
        raw = _Stats()
        self._lib.edgeort_get_stats(self._model, c.byref(raw))
        return Stats(raw.weights_bytes, raw.arena_bytes, raw.states_bytes, raw.threads, raw.nodes, raw.isa.decode())

    @property
    def nodes(self) -> list[NodeTime]:
        """Every node of the plan, in order."""
        result = []
        for index in range(self.stats.nodes):
            raw = _Node()
            self._lib.edgeort_get_node(self._model, index, c.byref(raw))
            result.append(NodeTime(raw.name.decode(), raw.op.decode(), raw.ns, bool(raw.skipped)))
        return result
