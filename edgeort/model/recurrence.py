"""Recurrent nodes whose input and state are rounded to eight bits as the model runs: how they say so.

com.microsoft's DynamicQuantizeLSTM becomes LSTM by weights that a DequantizeLinear makes, whose metadata say that what
these multiply is rounded as well: an LSTM of a single tensor X, or state, is all that ONNX has words for.

    low = min(X, 0)   high = max(X, 0)   scale = (high - low) / 255   zero = round(-low / scale)
    X -> (clip(round(X / scale) + zero, 0, 255) - zero) * scale, over all of X, and over the state of each step
"""

from __future__ import annotations

import onnx_ir as ir

DYNAMIC = "edgeort.dynamic"  # the key, of any text


def is_dynamic(node: ir.Node) -> bool:
    """Whether a recurrent node rounds its input and its state."""
    return DYNAMIC in node.metadata_props
