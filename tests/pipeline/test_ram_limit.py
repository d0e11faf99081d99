"""build() with --ram-limit: kept, refused, or no number of bytes."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import edgeort
from edgeort.bundle import open_bundle
from edgeort.errors import BudgetError, InputError
from tests.models import HOST, conv


def test_a_limit_of_memory_is_in_the_bundle_or_refuses_the_build(tmp_path: Path):
    path = conv(tmp_path)
    shapes = {"x": (1, 3, 64, 64)}
    with pytest.raises(BudgetError, match="activations need [0-9]+ bytes at least; the limit is 100") as refused:
        edgeort.build(path, HOST, tmp_path / "b", shapes=shapes, ram_limit=100)
    assert refused.value.hint and "--ram-limit" in refused.value.hint and not (tmp_path / "b").exists()
    result = edgeort.build(path, HOST, tmp_path / "b", shapes=shapes, ram_limit=1 << 20)
    assert result.arena_bytes <= 1 << 20
    with open_bundle(result.bundle) as bundle:
        assert bundle.manifest.ram_limit == 1 << 20


def test_a_limit_that_only_a_run_can_exceed_refuses_the_build(tmp_path: Path):
    path = tmp_path / "m.onnx"
    text = """<ir_version: 8, opset_import: ["": 17]> g (float[8,8] x) => (float[A,B] y) <int64[2] times = {1000, 1}> {
        n = NonZero (x) f = Cast <to = 1> (n) t = Tile (f, times) y = Softmax (t) }"""
    onnx.save(onnx.parser.parse_model(text), path)
    with pytest.raises(BudgetError, match="activations need [0-9]+ bytes at least; the limit is 16384"):
        edgeort.build(path, HOST, tmp_path / "b", ram_limit=1 << 14)


@pytest.mark.parametrize("limit", [0, -1, 1 << 63])
def test_limits_of_memory_that_are_none(tmp_path: Path, limit: int):
    with pytest.raises(InputError, match=f"ram_limit is {limit};"):
        edgeort.build(conv(tmp_path), HOST, tmp_path / "b", ram_limit=limit)
