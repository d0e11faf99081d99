"""Weights that several layers share are shared in the int8 model, too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort.quantize import Options, quantize
from edgeort.quantize.forms import Form
from edgeort.quantize.layers import TIED
from edgeort.quantize.preparing import prepare
from edgeort.quantize.pruning.groups import find_groups
from edgeort.quantize.pruning.tracing import trace
from edgeort.quantize.sparsity import Options as Sparse
from edgeort.quantize.sparsity import Pattern, sparsify
from tests.quantize.models import SIDE, Net, pictures, save

WIDTH, STEPS = 32, 6


def written_out() -> onnx.ModelProto:
    """A recurrent layer, step by step."""
    net = Net()
    inner, outer = net.weight(WIDTH, WIDTH), net.weight(WIDTH, WIDTH)
    state = net.op("Tanh", net.op("MatMul", "x", inner))
    for _ in range(STEPS):
        state = net.op("Tanh", net.op("Add", net.op("MatMul", state, inner), net.op("MatMul", "x", outer)))
    return net.model(state, ["n", WIDTH], ["n", WIDTH])


def head_of_levels() -> onnx.ModelProto:
    """A detector's head: the same convolutions on a large and on a small map."""
    net = Net()
    weights = [net.constant(np.random.default_rng(i).normal(0, 0.1, (16, 16, 3, 3)).astype(np.float32)) for i in (0, 1)]
    large = net.op("Relu", net.conv("x", 3, 16))
    maps = [large, net.op("Relu", net.conv(large, 16, 16, 2))]
    for weight in weights:
        maps = [net.op("Relu", net.op("Conv", one, weight, pads=[1, 1, 1, 1])) for one in maps]
    pooled = [net.op("GlobalAveragePool", one) for one in maps]
    return net.model(net.op("Concat", *pooled, axis=1), [1, 3, SIDE, SIDE], [1, 32, 1, 1])


def integers(path: Path) -> list[tuple[int, ...]]:
    graph = onnx.load(path).graph
    return sorted(tuple(i.dims) for i in graph.initializer if i.data_type in (2, 3, 21, 22) and len(i.dims) > 1)


@pytest.mark.parametrize("options", [Options(), Options(activations=Form.FLOAT), Options(weights="int4")])
def test_steps_share_their_matrices(tmp_path: Path, options: Options):
    rng = np.random.default_rng(0)
    samples = [{"x": rng.standard_normal((1, WIDTH)).astype(np.float32)} for _ in range(24)]
    model = save(tmp_path / "m.onnx", written_out())
    result = quantize(model, tmp_path / "q.onnx", samples, options)
    assert result.layers == STEPS + 2
    assert integers(tmp_path / "q.onnx").count((WIDTH, WIDTH)) == 2
    assert result.differences[0].sqnr_db > (12 if options.weights == "int4" else 25)


def test_levels_share_their_head(tmp_path: Path):
    samples = [{"x": picture[np.newaxis]} for picture in pictures(24)]
    result = quantize(save(tmp_path / "m.onnx", head_of_levels()), tmp_path / "q.onnx", samples)
    assert integers(tmp_path / "q.onnx").count((16, 16, 3, 3)) == 2
    assert result.differences[0].sqnr_db > 25


def test_zeros_do_not_tear_them_apart(tmp_path: Path):
    model, samples = save(tmp_path / "m.onnx", head_of_levels()), [{"x": p[np.newaxis]} for p in pictures(24)]
    result = sparsify(model, tmp_path / "s.onnx", samples, Sparse(pattern=Pattern(0.5)))
    assert [name for name, why in result.left.items() if why == TIED] == ["n4", "n6", "n8", "n10"]
    assert (tmp_path / "s.onnx").stat().st_size < 1.05 * model.stat().st_size
    before, after = (
        {i.name: i.raw_data for i in onnx.load(path).graph.initializer} for path in (model, tmp_path / "s.onnx")
    )
    assert before["c0"] == after["c0"] and before["c1"] == after["c1"]


def test_pruning_leaves_their_channels(tmp_path: Path):
    groups, left = find_groups(trace(prepare(save(tmp_path / "m.onnx", head_of_levels())).model.graph))
    assert groups == [] and all(TIED in left[name] for name in ("n0", "n2"))
