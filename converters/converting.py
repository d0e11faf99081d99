"""convert(): from another framework's file to an ONNX file that gives the same answers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeort.comparison import Comparison, compare_all
from edgeort.converters import keras, litert, pytorch, savedmodel
from edgeort.converters.source import Feeds, Shapes, Source
from edgeort.errors import CheckError, InputError
from edgeort.model import write
from edgeort.ort import first_line, open_session
from edgeort.progress import Progress

if TYPE_CHECKING:
    import torch

# A format's module says whether a source is its own, and converts it.
FORMATS = (pytorch, savedmodel, keras, litert)
_TAKEN = "edgeort convert takes net.pt2, net.py:make, a SavedModel folder, net.keras, net.h5 or net.tflite"


@dataclass(frozen=True)
class Result:
    """What was converted. `checked` are the input shapes that both gave the same answers for."""

    source: str
    output: str
    framework: str
    output_bytes: int
    checked: tuple[dict[str, list[int]], ...]
    comparisons: tuple[Comparison, ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def convert(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    shapes: Shapes | None = None,
    progress: Progress | None = None,
) -> Result:
    """Converts `source` to the ONNX file `output`, once ONNX Runtime gives what the source's framework gives.

    `source` is a .pt2 (torch.export), FILE.py:NAME or MODULE:NAME (a PyTorch module or a function that makes one), a
    SavedModel folder, a .keras or .h5 file, or a .tflite file. `shapes` fixes dimensions of inputs; for PyTorch it also
    says which ones are free. Raises InputError, MissingExtraError, ModelError when the framework cannot convert it,
    CheckError when the answers differ, OutputError; then nothing is written.
    """
    text = os.fspath(source)
    for one in FORMATS:
        if one.takes(text):
            return _finish(text, output, partial(one.load, text, shapes or {}), progress)
    problem = "this is no model that can be converted" if Path(text).exists() else "no such file"
    raise InputError(f"{text}: {problem}", hint=_TAKEN)


def from_pytorch(
    module: torch.nn.Module,
    inputs: Sequence[Any] | Mapping[str, Any],
    output: str | os.PathLike[str],
    *,
    shapes: Shapes | None = None,
    progress: Progress | None = None,
) -> Result:
    """The same for a module at hand; `inputs` are arguments of its `forward`, by position or by name."""
    make = partial(pytorch.from_module, module, inputs, shapes or {})
    return _finish(type(module).__name__, output, make, progress)


def _finish(name: str, output: str | os.PathLike[str], make: Callable[[], Source], progress: Progress | None) -> Result:
    start = time.perf_counter()
    tell = progress or (lambda text: None)
    tell("convert")
    source = make()
    tell(f"compare with {source.framework}")
    session = open_session(source.model)
    comparisons = _compare(session, name, source, source.example, source.answer(source.example))
    checked = [source.example]
    larger = _larger(session, source.example)
    if larger is not None:
        try:
            want = source.answer(larger)
        except Exception:  # whatever the framework raises for a size that its model does not take
            want = None
        if want is not None:
            _compare(session, name, source, larger, want)
            checked.append(larger)
    write(output, source.model)
    sizes = tuple({key: list(array.shape) for key, array in feeds.items()} for feeds in checked)
    seconds = time.perf_counter() - start
    return Result(name, os.fspath(output), source.framework, len(source.model), sizes, tuple(comparisons), seconds)


def _compare(session: Any, name: str, source: Source, feeds: Feeds, want: Sequence[np.ndarray]) -> list[Comparison]:
    """ONNX Runtime's outputs against the framework's. CheckError names the first that is another."""
    outputs = [value.name for value in session.get_outputs()]
    if len(outputs) != len(want):
        raise CheckError(f"{name}: {source.framework} gives {len(want)} outputs, the ONNX model {len(outputs)}")
    found = compare_all(outputs, _run(session, name, feeds), want, quantised=source.is_quantised)
    for one in found:
        if one.problem:
            sizes = ", ".join(f"{key} {list(array.shape)}" for key, array in feeds.items())
            raise CheckError(f"{name}: output {one.output!r} is not {source.framework}'s for {sizes}: {one.problem}")
    return found


def _run(session: Any, name: str, feeds: Feeds) -> list[np.ndarray]:
    try:
        return session.run(None, dict(feeds))
    except Exception as error:  # its exceptions have no common base
        raise CheckError(f"{name}: ONNX Runtime cannot run what was converted: {first_line(error)}") from error


def _larger(session: Any, example: Feeds) -> Feeds | None:
    """The example with every free dimension one larger; None when there is none."""
    grown = {}
    for value in session.get_inputs():
        array = example[value.name]
        dims = zip(value.shape, array.shape, strict=True)
        grown[value.name] = np.resize(array, [size + (not isinstance(dim, int)) for dim, size in dims])
    return None if all(grown[key].shape == array.shape for key, array in example.items()) else grown
