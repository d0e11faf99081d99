"""LiteRT, once TensorFlow Lite: a .tflite file. Quantised models become QuantizeLinear/DequantizeLinear pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgeort.converters import tensorflow
from edgeort.converters.source import Feeds, Shapes, Source, example_shape, random_array
from edgeort.errors import InputError, MissingExtraError, ModelError
from edgeort.ort import first_line

_QUANTISED = {"QuantizeLinear", "DequantizeLinear"}


def takes(source: str) -> bool:
    """By the name's end."""
    return source.endswith((".tflite", ".lite"))


def load(source: str, shapes: Shapes) -> Source:
    """Inputs and outputs keep their names and types, and the order of dimensions (pictures are NHWC)."""
    if not Path(source).is_file():
        raise InputError(f"{source}: no such file")
    if shapes:
        raise InputError(f"{source}: the shapes of a .tflite file are its own", hint="edgeort build --shape ...")
    interpreter = _interpreter(source)
    _, convert = tensorflow.packages()
    model = tensorflow.translate(lambda: convert.from_tflite(source, opset=tensorflow.OPSET), source)
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    short = _short_names(interpreter)
    tensorflow.rename(model, short)
    by_name = {short[one["name"]]: one for one in (*inputs, *outputs)}
    names = [value.name for value in model.graph.output]

    def answer(feeds: Feeds) -> list[np.ndarray]:
        for name, array in feeds.items():
            interpreter.resize_tensor_input(by_name[name]["index"], array.shape)
        with tensorflow.quiet():
            interpreter.allocate_tensors()
        for name, array in feeds.items():
            interpreter.set_tensor(by_name[name]["index"], array)
        interpreter.invoke()
        return [interpreter.get_tensor(by_name[name]["index"]) for name in names]

    rng = np.random.default_rng(0)
    example = {
        short[one["name"]]: random_array(rng, np.dtype(one["dtype"]), example_shape(one["shape_signature"].tolist()))
        for one in inputs
    }
    is_quantised = any(node.op_type in _QUANTISED for node in model.graph.node)
    return Source("LiteRT", model.SerializeToString(), example, answer, is_quantised)


def _short_names(interpreter: Any) -> dict[str, str]:
    """Tensor -> its name in the model's only signature, or without the marks of TensorFlow's graphs (`x:0` is `x`)."""
    details = (*interpreter.get_input_details(), *interpreter.get_output_details())
    names = {one["name"]: one["name"].removeprefix("serving_default_").removesuffix(":0") for one in details}
    signatures = list(interpreter.get_signature_list())
    if len(signatures) == 1:
        runner = interpreter.get_signature_runner(signatures[0])
        for part in (runner.get_input_details(), runner.get_output_details()):
            names |= {one["name"]: key for key, one in part.items()}
    return names


def _interpreter(source: str) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise MissingExtraError(
            "LiteRT models need ai-edge-litert", hint="pip install 'edgeort[tensorflow]'"
        ) from error
    try:
        with tensorflow.quiet():
            return Interpreter(model_path=source)
    except Exception as error:  # it raises ValueError and RuntimeError, by what is broken
        raise ModelError(f"{source}: LiteRT cannot load it: {first_line(error)}") from error
