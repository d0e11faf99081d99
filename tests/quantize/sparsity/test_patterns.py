"""Patterns: how they are written, and which weights they leave."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgeort.errors import InputError
from edgeort.quantize.layers import Layer
from edgeort.quantize.sparsity import Pattern, parse_pattern
from edgeort.quantize.sparsity.patterns import keep

RNG = np.random.default_rng(6)


def layer(*shape: int) -> Layer:
    node = ir.Node("", "Conv" if len(shape) > 2 else "MatMul", [ir.Value(name="x"), ir.Value(name="w")])
    return Layer(node, RNG.standard_normal(shape).astype(np.float32), None, 0 if len(shape) > 2 else 1, 1)


def test_how_they_are_written():
    assert parse_pattern("--sparsity", "auto") is None
    assert parse_pattern("--sparsity", "0.7") == Pattern(0.7)
    assert parse_pattern("--sparsity", "2:4") == Pattern(0.5, 2, 4)
    assert [str(pattern) for pattern in (Pattern(0.7), Pattern(0.5, 2, 4))] == ["0.7", "2:4"]


@pytest.mark.parametrize(
    "text", ["", "much", "0", "1", "0.96", "-1", "nan", "4:2", "0:4", "4:4", "2:", "1:2:3", "1:64"]
)
def test_what_is_refused(text: str):
    with pytest.raises(InputError, match="sparsity"):
        parse_pattern("--sparsity", text)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.95])
def test_a_share_goes_wherever_it_is_worth_least(share: float):
    worth = RNG.random((7, 11))
    mask = keep(worth, layer(7, 11, 1, 1), Pattern(share), share)
    assert (~mask).sum() == round(share * worth.size) and worth[mask].min() >= worth[~mask].max()


@pytest.mark.parametrize(("kept", "of"), [(2, 4), (1, 4), (1, 2), (3, 8)])
@pytest.mark.parametrize("shape", [(5, 8, 1, 1), (5, 10, 3, 3), (12, 5), (5, 3, 1, 1)])
def test_n_of_m_stay_along_the_channels(kept: int, of: int, shape: tuple[int, ...]):
    one = layer(*shape)
    rows = one.weight.reshape(shape[0], -1) if len(shape) > 2 else one.weight.T
    worth = RNG.random(rows.shape)
    mask = keep(worth, one, Pattern(1 - kept / of, kept, of), 0.0)
    channels = shape[1] if len(shape) > 2 else shape[0]
    by_tap = (array.reshape(len(rows), channels, -1).transpose(0, 2, 1) for array in (mask, worth))
    for stays, values in zip(*(array.reshape(-1, channels) for array in by_tap), strict=True):
        for first in range(0, channels, of):
            here, value = stays[first : first + of], values[first : first + of]
            assert here.sum() == min(kept, len(here))
            assert here.all() or value[here].min() >= value[~here].max()
