"""Keras: a .keras or .h5 file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeort.converters import tensorflow
from edgeort.converters.source import Shapes, Source
from edgeort.errors import InputError, ModelError
from edgeort.ort import first_line


def takes(source: str) -> bool:
    """By the name's end."""
    return source.endswith((".keras", ".h5", ".hdf5"))


def load(source: str, shapes: Shapes) -> Source:
    """The model's call in inference mode. Lambda layers, which are code, are refused by Keras."""
    if not Path(source).is_file():
        raise InputError(f"{source}: no such file")
    tf, _ = tensorflow.packages()
    try:
        with tensorflow.quiet():
            model = tf.keras.models.load_model(source, compile=False, safe_mode=True)
    except Exception as error:  # of many kinds, by what the file lacks
        raise ModelError(f"{source}: Keras cannot load it: {first_line(error)}") from error
    inputs = {value.name: tf.TensorSpec(value.shape, value.dtype) for value in model.inputs}
    outputs = [value.name for value in model.outputs]

    def call(**tensors: Any) -> dict[str, Any]:
        found = tf.nest.flatten(model([tensors[value.name] for value in model.inputs], training=False))
        return dict(zip(outputs, found, strict=True))

    return tensorflow.from_function(source, call, inputs, shapes)
