"""The packaged sample: a classifier of handwritten digits, input `image` float32 [n, 1, 8, 8] with values 0..16, output
`logits` float32 [n, 10]. `examples/train_digits.py` trains it and writes it here; its held-out accuracy, its classes
and how it was trained stand in the file's metadata_props.
"""

from __future__ import annotations

from pathlib import Path


def path() -> Path:
    """The ONNX file."""
    return Path(__file__).with_name("digits.onnx")
