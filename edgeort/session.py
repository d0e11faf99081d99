"""Run a model or a bundle on this machine, with the interface of ONNX Runtime's sessions.

    session = edgeort.InferenceSession("model.onnx", threads=2)
    (y,) = session.run(None, {"x": array})

The first session of a model compiles its plan and the kernels it needs for this CPU; both stay in the user's cache.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeort import providers, toolchain
from edgeort.bundle import Bundle, looks_like_bundle, open_bundle
from edgeort.cache import cache_dir
from edgeort.engine import MAX_THREADS, Engine, NodeTime, Stats
from edgeort.errors import BundleError, InputError, OutputError
from edgeort.progress import announce_slow
from edgeort.values import Value, from_elements, listed, to_elements

LIBRARIES = "EDGEORT_LIBRARIES"  # runtime/adapters/loading.h

if TYPE_CHECKING:
    import onnx

    from edgeort.compiling import CachedPlan
    from edgeort.device_profiles import Profile


class InferenceSession:
    """An open model. `run` may be called from several threads; the runs then take turns."""

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes | onnx.ModelProto,
        threads: int | None = None,
        *,
        isa: str | None = None,
        profile: bool = False,
    ) -> None:
        """Opens an .onnx file, a bundle (folder or .zip), or a model in memory.

        `threads`: size of the pool, by default one for each fast core. `isa`: a level of this CPU below its best, for
        tests. `profile`: time every node. Raises ModelError, UnsupportedError, BundleError, ToolchainError.
        """
        if threads is not None and not 1 <= threads <= MAX_THREADS:
            raise InputError(f"threads is {threads}; it is 1 to {MAX_THREADS}")
        self._bundle: Bundle | None = None
        self._lock = threading.Lock()
        host = _host()
        levels = (isa,) if isa else best_levels(host)
        if isinstance(model, (str, os.PathLike)) and looks_like_bundle(model):
            self._bundle = open_bundle(model)
            plan, library = self._bundle.artefact, _library_of(self._bundle, host, levels)
            self._inputs, self._outputs = self._bundle.manifest.inputs, self._bundle.manifest.outputs
        else:
            with announce_slow(f"edgeort: compiling for this CPU (once; kept in {cache_dir()})"):
                cached = _compile(model, host)
                plan, library = cached.path, toolchain.library(_target(host), cached.ops, levels)
            self._inputs, self._outputs = cached.inputs, cached.outputs
        self._index()
        self._engine = Engine(library, plan, threads=threads or host.runtime.threads, isa=isa, profile=profile)

    def _index(self) -> None:
        """What a run looks names up in."""
        self._names = frozenset(value.name for value in self._inputs)
        self._has_nested = any(value.is_nested for value in self._outputs)
        self._positions = {value.name: index for index, value in enumerate(self._outputs)}

    def get_inputs(self) -> list[Value]:
        """What `run` must be fed: objects with `name`, `type` such as 'tensor(float)', and `shape`."""
        return _public(self._inputs)

    def get_outputs(self) -> list[Value]:
        """What `run` returns."""
        return _public(self._outputs)

    @property
    def engine(self) -> Engine:
        """What runs the model, for callers that check what they feed and take turns themselves."""
        return self._engine

    @property
    def stats(self) -> Stats:
        """Sizes in bytes, threads and ISA level; the arena's once something ran."""
        return self._engine.stats

    @property
    def nodes(self) -> list[NodeTime]:
        """The plan's nodes, with their time over all runs when the session profiles."""
        return self._engine.nodes

    def run(
        self, output_names: Sequence[str] | None, feeds: Mapping[str, Any], *, copy: bool = True
    ) -> list[np.ndarray]:
        """Outputs of that name, in that order (None: all), for one array for each input.

        C-contiguous arrays of the right dtype are read where they are. Without `copy`, outputs are the runtime's
        memory, which the next run or close() makes invalid. Raises InputError: a name, dtype or shape that does not fit
        the model.
        """
        arrays = self._arrays(feeds)
        wanted = self._wanted(output_names) if output_names else ()
        with self._lock:
            outputs = self._engine.run(arrays, copy=copy)
        if self._has_nested:
            outputs = [from_elements(value.dtype, o) for value, o in zip(self._outputs, outputs, strict=True)]
        return [outputs[index] for index in wanted] if wanted else outputs

    def _wanted(self, names: Sequence[str]) -> list[int]:
        """Where those outputs are."""
        for name in names:
            if name not in self._positions:
                raise InputError(f"the model has no output {name!r}; its outputs are {listed(self._outputs)}")
        return [self._positions[name] for name in names]

    def _arrays(self, feeds: Mapping[str, Any]) -> list[np.ndarray]:
        if feeds.keys() != self._names:
            unknown = sorted(set(feeds) - self._names)
            missing = [value.name for value in self._inputs if value.name not in feeds]
            what = f"the model has no input {unknown[0]!r}" if unknown else f"input {missing[0]!r} is missing"
            raise InputError(f"{what}; the inputs are {listed(self._inputs)}")
        return [checked(value, feeds[value.name]) for value in self._inputs]

    def bind_state(self, input_name: str, output_name: str, capacity: int) -> None:
        """Makes an input go on from an output, which is the input with more rows along its last axis but one.

        From now on `run` is not fed the one and does not return the other: the runtime keeps both, in one memory with
        room for `capacity` rows, to which every run adds some; it begins empty. Free dimensions beside the rows are 1.
        Raises InputError: names, an output that is not the input with more rows, too many rows for the model.
        """
        given = next((value for value in self._inputs if value.name == input_name), None)
        if given is None:
            raise InputError(f"the model has no input {input_name!r}; the inputs are {listed(self._inputs)}")
        self._wanted([output_name])
        shape = [dim if isinstance(dim, int) else 1 for dim in given.shape or ()]
        if len(shape) < 2:
            raise InputError(f"input {given.text()} has no rows")
        with self._lock:
            self._engine.bind_state(input_name, output_name, capacity, shape)
        self._inputs = tuple(value for value in self._inputs if value.name != input_name)
        self._outputs = tuple(value for value in self._outputs if value.name != output_name)
        self._index()

    def rewind(self, rows: int = 0) -> None:
        """Keeps the first `rows` rows of every state. Raises InputError if one has fewer."""
        with self._lock:
            self._engine.rewind_states(rows)

    def close(self) -> None:
        """Frees the model; later runs fail."""
        with self._lock:
            self._engine.close()
            if self._bundle is not None:
                self._bundle.close()

    def __enter__(self) -> InferenceSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _public(values: Sequence[Value]) -> list[Value]:
    """Copies whose shapes are lists, as ONNX Runtime's are."""
    return [replace(value, shape=None if value.shape is None else list(value.shape)) for value in values]


def checked(value: Value, data: Any) -> Any:
    """`data` as an array for that input: an array of its dtype, or numbers and lists of numbers that have none.

    Sequences, which are lists of arrays, are left to the runtime. Raises InputError unless dtype and shape fit.
    """
    if value.is_nested:
        return to_elements(value.dtype, data)
    array = data if type(data) is np.ndarray else _converted(value, data)
    if value.dtype == "string" and array.dtype.kind in "US":
        array = (np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array).astype(object)
    if array.dtype != value.array_dtype:
        wanted = "strings" if value.dtype == "string" else str(value.array_dtype)
        hint = "numpy.array(texts, object)" if value.dtype == "string" else f"array.astype('{wanted}')"
        raise InputError(f"input {value.name!r} must be {wanted}, not {array.dtype}", hint=hint)
    shape = value.shape
    if shape is not None and not fits(array.shape, shape):
        raise InputError(f"input {value.text()} is given the shape {list(array.shape)}")
    return array


def _converted(value: Value, data: Any) -> np.ndarray:
    """Python's numbers in the dtype of the input; as they are where that would change more than their precision.

    What has a dtype keeps it.
    """
    if isinstance(data, (np.ndarray, np.generic)):
        return np.asarray(data)
    try:
        array = np.asarray(data)
    except ValueError as error:  # rows of different lengths
        raise InputError(f"input {value.name!r} is not an array: {error}") from error
    if array.dtype.kind not in "fiub":
        return array
    with np.errstate(all="ignore"):
        wanted = array.astype(value.array_dtype)
    return wanted if wanted.dtype.kind == "f" or np.array_equal(wanted, array) else array


def fits(shape: Sequence[int], declared: Sequence[int | str | None]) -> bool:
    """Whether the fixed dimensions agree."""
    return len(shape) == len(declared) and all(map(_fits_one, shape, declared))


def _fits_one(got: int, want: int | str | None) -> bool:
    return got == want or not isinstance(want, int)


def _host() -> Profile:
    from edgeort import device_profiles

    return device_profiles.load("host")


def _target(profile: Profile) -> toolchain.Target:
    return toolchain.target(profile.target.os, profile.target.arch)


def best_levels(host: Profile) -> tuple[str, ...]:
    """The highest ISA level of this machine that the runtime has kernels for: a session needs no other."""
    return tuple(level for level in _target(host).levels if level in host.cpu.isa)[-1:]


def open_plan(plan: Path, kernels: Sequence[str], threads: int | None = None) -> Engine:
    """A plan in a library compiled for this CPU, whatever device it was made for."""
    host = _host()
    library = toolchain.library(_target(host), kernels, best_levels(host))
    return Engine(library, plan, threads=threads or host.runtime.threads)


def _library_of(bundle: Bundle, host: Profile, levels: tuple[str, ...]) -> Path:
    """The bundle's own library when it runs here; else one compiled for this CPU, which gives the same bytes."""
    manifest, target = bundle.manifest, bundle.manifest.target
    here = (target.os, target.arch) == (host.target.os, host.target.arch)
    if manifest.provider != "cpu":
        if here and manifest.library:
            if folder := providers.provider(manifest.provider).environment().get(LIBRARIES):
                os.environ.setdefault(LIBRARIES, folder)  # which the library reads
            return bundle.library
        raise BundleError(
            f"{bundle.path} runs by {manifest.provider} on {target.os}/{target.arch}, not on this machine",
            hint="edgeort build MODEL --device NAME --provider cpu",
        )
    if here and set(target.isa) & set(host.cpu.isa):
        return bundle.library
    with announce_slow(f"edgeort: compiling for this CPU (once; kept in {cache_dir()})"):
        return toolchain.library(_target(host), bundle.manifest.kernels, levels)


def _compile(model: str | os.PathLike[str] | bytes | onnx.ModelProto, host: Profile) -> CachedPlan:
    if isinstance(model, (str, os.PathLike)):
        return _compile_file(Path(model), host)
    if not isinstance(model, (bytes, bytearray, memoryview)) and not hasattr(model, "SerializeToString"):
        raise InputError(f"a model is a path, its bytes or a ModelProto, not {type(model).__name__}")
    data = bytes(model) if isinstance(model, (bytes, bytearray, memoryview)) else model.SerializeToString()
    with tempfile.TemporaryDirectory(prefix="edgeort-") as folder:
        path = Path(folder) / "model.onnx"
        try:
            path.write_bytes(data)
        except OSError as error:
            raise OutputError(
                f"{path} cannot be written: {error.strerror}", hint="set TMPDIR to a folder with room"
            ) from error
        return _compile_file(path, host)


def _compile_file(path: Path, host: Profile) -> CachedPlan:
    from edgeort import compiling

    return compiling.cached_plan(path, host, lambda: compiling.plan_of(path, host))
