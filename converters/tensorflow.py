"""What SavedModels, Keras and LiteRT models share: TensorFlow itself, and tf2onnx, which translates its graphs."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx

from edgeort.converters.source import Feeds, Shapes, Source, example_shape, random_array
from edgeort.errors import InputError, MissingExtraError, ModelError

OPSET = 18  # the newest that tf2onnx writes


def packages() -> tuple[Any, Any]:
    """(tensorflow, tf2onnx.convert), which then log nothing below an error."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with quiet():
            import tensorflow as tf
            from tf2onnx import convert
    except ImportError as error:
        raise MissingExtraError(
            f"TensorFlow models need TensorFlow and tf2onnx ({error})", hint="pip install 'edgeort[tensorflow]'"
        ) from error
    return tf, convert


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing on stderr: TensorFlow and tf2onnx tell of every step, from C++ before a level can be set."""
    sys.stderr.flush()
    stderr = os.dup(2)
    try:
        with open(os.devnull, "w") as sink, warnings.catch_warnings():
            os.dup2(sink.fileno(), 2)
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def translate(make: Callable[[], tuple[onnx.ModelProto, Any]], what: str) -> onnx.ModelProto:
    """The model that tf2onnx makes. ModelError with its reason."""
    try:
        with quiet():
            return make()[0]
    except Exception as error:  # of many kinds, by the operator that has no translation
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ModelError(
            f"{what}: tf2onnx cannot translate it: {lines[0][:300] if lines else type(error).__name__}"
        ) from error


def rename(model: onnx.ModelProto, names: Mapping[str, str]) -> None:
    """Gives values other names, in place; the names of a graph's inputs and outputs are those that its users know."""

    def new(name: str) -> str:
        return names.get(name, name)

    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        value.name = new(value.name)
    for node in model.graph.node:
        node.input[:] = map(new, node.input)
        node.output[:] = map(new, node.output)


def from_function(what: str, function: Callable[..., Any], inputs: Mapping[str, Any], shapes: Shapes) -> Source:
    """Translates a TensorFlow function.

    `function` takes tensors by the names of `inputs`, which has their TensorSpecs, and returns tensors by name.
    """
    tf, convert = packages()
    specs = _fixed(tf, what, inputs, shapes)

    @tf.function(input_signature=list(specs.values()))
    def positional(*tensors: Any) -> Any:
        return function(**dict(zip(specs, tensors, strict=True)))

    model = translate(lambda: convert.from_function(positional, list(specs.values()), opset=OPSET), what)
    given = [value.name for value in model.graph.input]
    structured = positional.get_concrete_function().structured_outputs
    outputs = list(structured)
    rename(model, dict(zip(given, specs, strict=True)))

    def answer(feeds: Feeds) -> list[np.ndarray]:
        found = positional(*(tf.constant(feeds[name]) for name in specs))
        return [found[name].numpy() for name in outputs]

    rng = np.random.default_rng(0)
    example = {
        name: random_array(rng, np.dtype(spec.dtype.as_numpy_dtype), example_shape(spec.shape.as_list()))
        for name, spec in specs.items()
    }
    return Source(f"TensorFlow {tf.__version__}", model.SerializeToString(), example, answer)


def _fixed(tf: Any, what: str, inputs: Mapping[str, Any], shapes: Shapes) -> dict[str, Any]:
    """The TensorSpecs of the inputs, with the dimensions that `shapes` fixes."""
    for name in shapes:
        if name not in inputs:
            raise InputError(f"{what} has no input {name!r}; it has {', '.join(inputs)}")
    found = {}
    for name, spec in inputs.items():
        if spec.shape.rank is None and name not in shapes:
            raise InputError(f"{what}: input {name!r} has no shape", hint=f"--shape {name}=1x224x224x3")
        asked = [dim if isinstance(dim, int) else None for dim in shapes[name]] if name in shapes else spec.shape
        if not spec.shape.is_compatible_with(asked):
            raise InputError(f"{what}: input {name!r} is {spec.shape}, not {list(shapes[name])}")
        found[name] = tf.TensorSpec(spec.shape.merge_with(asked), spec.dtype, name=name)
    return found
