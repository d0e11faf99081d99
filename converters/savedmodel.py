"""TensorFlow's SavedModel: a folder with saved_model.pb. What is converted is its serving signature."""

from __future__ import annotations

from pathlib import Path

from edgeort.converters import tensorflow
from edgeort.converters.source import Shapes, Source
from edgeort.errors import ModelError
from edgeort.ort import first_line

_SIGNATURE = "serving_default"


def takes(source: str) -> bool:
    """A folder with the file that every SavedModel has."""
    return (Path(source) / "saved_model.pb").is_file()


def load(source: str, shapes: Shapes) -> Source:
    """The signature `serving_default`, or the only one."""
    tf, _ = tensorflow.packages()
    try:
        with tensorflow.quiet():
            loaded = tf.saved_model.load(source)
    except Exception as error:  # of many kinds, by what the folder lacks
        raise ModelError(f"{source}: TensorFlow cannot load it: {first_line(error)}") from error
    signatures = dict(loaded.signatures)
    if _SIGNATURE not in signatures and len(signatures) != 1:
        raise ModelError(
            f"{source}: it has no signature {_SIGNATURE!r}, but {', '.join(map(repr, signatures)) or 'none'}",
            hint="tf.saved_model.save(model, folder, signatures=model.__call__.get_concrete_function(...))",
        )
    function = signatures.get(_SIGNATURE) or next(iter(signatures.values()))
    _, inputs = function.structured_input_signature
    return tensorflow.from_function(source, function, inputs, shapes)
