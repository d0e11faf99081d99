"""PyTorch: exported programs (.pt2), and modules that a Python file or an installed package makes."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import logging
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeort.converters.source import Feeds, Shapes, Source, example_shape
from edgeort.errors import InputError, MissingExtraError, ModelError
from edgeort.ort import first_line

if TYPE_CHECKING:
    import torch

_PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
_NAMED = re.compile(r"(?P<place>.+\.py|[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*)")


def takes(source: str) -> bool:
    """A .pt2, FILE.py:NAME, MODULE:NAME, or a file of weights, which `load` refuses."""
    return source.endswith((".pt2", *_PICKLES)) or _NAMED.fullmatch(source) is not None


def load(source: str, shapes: Shapes) -> Source:
    """The exported program, or what NAME makes: a module, or (module, inputs), inputs by position or by name."""
    if source.endswith(_PICKLES):
        raise InputError(
            f"{source}: a file of weights does not say what is computed, and loading a pickle runs its code",
            hint="write a function that makes the module and loads them: edgeort convert net.py:make -o net.onnx",
        )
    if source.endswith(".pt2") and shapes:
        raise InputError(
            f"{source}: the shapes of an exported program are fixed",
            hint="torch.export.export(..., dynamic_shapes=...), or edgeort build --shape",
        )
    named = _NAMED.fullmatch(source)
    place = named["place"] if named else source
    if place.endswith((".py", ".pt2")) and not Path(place).is_file():
        raise InputError(f"{place}: no such file")
    torch = _torch()
    if not source.endswith(".pt2"):
        module, inputs = _make(source)
        return from_module(module, inputs, shapes)
    try:
        program = torch.export.load(source)
    except Exception as error:  # of many kinds, by what the archive lacks
        raise ModelError(f"{source}: PyTorch cannot load it: {first_line(error)}") from error
    return _from_program(program)


def from_module(module: torch.nn.Module, inputs: Sequence[Any] | Mapping[str, Any] | None, shapes: Shapes) -> Source:
    """Exports a module in evaluation mode. `shapes` gives inputs their free dimensions, and their example if None."""
    torch = _torch()
    module = module.eval()
    arguments = inspect.signature(module.forward).parameters
    if inputs is None:
        inputs = _random_inputs(module, shapes)
    elif not isinstance(inputs, Mapping):
        inputs = dict(zip(arguments, inputs, strict=False))
    named = {key: torch.as_tensor(value) if isinstance(value, np.ndarray) else value for key, value in inputs.items()}
    # Inputs that are one tensor would become one input of the graph, under both names.
    apart = lambda leaf: leaf.detach().clone() if isinstance(leaf, torch.Tensor) else leaf  # noqa: E731
    named = torch.utils._pytree.tree_map(apart, named)
    for key, shape in shapes.items():
        _check_shape(key, shape, named, arguments)
    # Ranges and relations of free dimensions are the exporter's to find; it would not do so for named ones.
    dynamic = torch.export.Dim.DYNAMIC
    free = {key: dict.fromkeys(_free(shapes.get(key, ())), dynamic) for key in named}
    with _quiet(), torch.no_grad():
        try:
            program = torch.export.export(module, (), named, dynamic_shapes=free)
        except Exception as error:  # of many kinds, by what the module does
            raise ModelError(
                f"{type(module).__name__}: PyTorch cannot export it: {first_line(error)}",
                hint="torch.export.export(module, args) says more; see PyTorch's guide to torch.export",
            ) from error
    return _from_program(program, {key: _free(shapes.get(key, ())) for key in named})


def _from_program(program: torch.export.ExportedProgram, free: Mapping[str, Any] | None = None) -> Source:
    """`free` has the names of dimensions by input and axis, which an exported program forgets."""
    torch = _torch()
    args, kwargs = program.example_inputs or ((), {})
    with _quiet():
        try:
            made = torch.onnx.export(program, dynamic_shapes=free, verbose=False)
        except Exception as error:  # of many kinds, by the operator that has no translation
            raise ModelError(f"PyTorch cannot translate the program to ONNX: {first_line(error)}") from error
    assert made is not None
    leaves, form = torch.utils._pytree.tree_flatten((args, kwargs))
    names = [str(value.name) for value in made.model.graph.inputs]
    tensors = [index for index, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
    if len(tensors) != len(names):
        raise ModelError(f"the program takes {len(tensors)} tensors, its ONNX model {len(names)}: {', '.join(names)}")
    module = program.module()
    _name_outputs(made.model.graph, _output_names(torch, module(*args, **kwargs)))

    def answer(feeds: Feeds) -> list[np.ndarray]:
        values = list(leaves)
        for index, name in zip(tensors, names, strict=True):
            values[index] = torch.from_numpy(np.ascontiguousarray(feeds[name]))
        args, kwargs = torch.utils._pytree.tree_unflatten(values, form)
        with torch.no_grad():
            outputs = torch.utils._pytree.tree_leaves(module(*args, **kwargs))
        return [value.numpy() for value in outputs if isinstance(value, torch.Tensor)]

    example = {name: leaves[index].detach().numpy() for index, name in zip(tensors, names, strict=True)}
    model = made.model_proto.SerializeToString()
    return Source(f"PyTorch {torch.__version__}", model, example, answer)


def _output_names(torch: Any, outputs: Any) -> list[str | None]:
    """The keys of what the module returns, where that is a dict; None for outputs that have no name."""
    paths, _ = torch.utils._pytree.tree_flatten_with_path(outputs)
    keys = [[getattr(key, "key", None) for key in path] for path, leaf in paths if isinstance(leaf, torch.Tensor)]
    return ["_".join(map(str, path)) if path and all(isinstance(key, str) for key in path) else None for path in keys]


def _name_outputs(graph: Any, names: Sequence[str | None]) -> None:
    """Gives the outputs of an onnx-ir graph their names; a value inside that has such a name gets another."""
    inner = {value.name: value for node in graph for value in node.outputs}
    for value, name in zip(graph.outputs, names, strict=False):
        if name is None or name in graph.initializers or any(name == given.name for given in graph.inputs):
            continue
        if name in inner and inner[name] is not value:
            inner[name].name = f"{name}_inner"
        value.name = name


def _make(source: str) -> tuple[torch.nn.Module, Sequence[Any] | Mapping[str, Any] | None]:
    """Runs the user's own code."""
    matched = _NAMED.fullmatch(source)
    assert matched
    place, name = matched["place"], matched["name"]
    try:
        made = getattr(_imported(place), name)
    except AttributeError as error:
        raise InputError(f"{place} has no {name!r}") from error
    torch = _torch()
    if not isinstance(made, torch.nn.Module):
        made = made() if callable(made) else made
    module, inputs = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(module, torch.nn.Module):
        raise InputError(
            f"{source} makes a {type(module).__name__}, not a torch.nn.Module",
            hint="return the module, or (module, inputs)",
        )
    return module, (inputs,) if isinstance(inputs, torch.Tensor) else inputs


def _imported(place: str) -> Any:
    if not place.endswith(".py"):
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            raise InputError(
                f"{place}: no such module: {error}", hint="edgeort convert FILE.py:NAME -o x.onnx"
            ) from error
    path = Path(place)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses and pickles look there
    sys.path.insert(0, str(path.parent.resolve()))  # as `python FILE` does
    spec.loader.exec_module(module)
    return module


def _random_inputs(module: torch.nn.Module, shapes: Shapes) -> dict[str, torch.Tensor]:
    torch = _torch()
    if not shapes:
        needed = [key for key, p in inspect.signature(module.forward).parameters.items() if p.default is p.empty]
        raise InputError(
            f"{type(module).__name__} comes without inputs to export it with",
            hint=f"--shape {needed[0] if needed else 'x'}=1x3x224x224, or return (module, inputs)",
        )
    rng = torch.Generator().manual_seed(0)
    return {key: torch.rand(example_shape(dims), generator=rng) * 2 - 1 for key, dims in shapes.items()}


def _check_shape(key: str, shape: Sequence[int | str], named: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
    if key not in arguments:
        dims = "x".join(map(str, shape))
        raise InputError(
            f"the module has no input {key!r}; it has {', '.join(map(repr, arguments))}",
            hint=f"--shape {next(iter(arguments), 'NAME')}={dims}",
        )
    have = list(named[key].shape) if key in named else None
    fits = have is not None and len(have) == len(shape)
    if not fits or any(isinstance(dim, int) and dim != size for dim, size in zip(shape, have or (), strict=True)):
        raise InputError(f"input {key!r} is given as {list(shape)}, and its example is {have}")


def _free(dims: Sequence[int | str]) -> dict[int, str]:
    """Axis -> name of the free dimensions."""
    return {axis: dim for axis, dim in enumerate(dims) if isinstance(dim, str)}


def _torch() -> Any:
    try:
        import onnxscript  # noqa: F401  the exporter's own need
        import torch
        import torch.export
        import torch.onnx
    except ImportError as error:
        raise MissingExtraError("PyTorch models need PyTorch", hint="pip install 'edgeort[torch]'") from error
    return torch


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter tells of its own progress, of packages that it would like, and of an error twice."""
    loggers = [logging.getLogger(name) for name in ("torch", "torch.onnx")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
