"""build() with pruning: the bundle has what is left, and is judged against the whole model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgeort
from edgeort.bundle import open_bundle
from edgeort.errors import BudgetError, InputError
from edgeort.pipeline import Accuracy
from edgeort.validate import Limits
from tests.models import HOST
from tests.quantize.models import mobile, pictures, save


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pruned")
    save(folder / "m.onnx", mobile(width=32))
    np.save(folder / "x.npy", pictures(24))
    np.save(folder / "labels.npy", np.zeros(24, np.int64))
    return folder


def test_a_share_of_the_float_model(place: Path):
    whole = edgeort.build(place / "m.onnx", HOST, place / "whole")
    asked = Accuracy(data=place / "x.npy", labels=str(place / "labels.npy"), limits=Limits(max_drop=100), prune=0.3)
    result = edgeort.build(place / "m.onnx", HOST, place / "b", accuracy=asked)
    assert result.pruning is not None and result.pruning.ratio >= 0.3
    assert result.model_bytes < whole.model_bytes
    assert result.max_difference < 1e-4  # against ONNX Runtime on the pruned model
    assert result.evaluation is not None and result.evaluation.samples == 12
    assert 10 < next(f.value for f in result.evaluation.figures if f.name == "sqnr_db") < 60  # against the whole one
    assert result.to_dict()["pruning"]["ratio"] == result.pruning.ratio


def test_int8_of_what_is_left(place: Path):
    asked = Accuracy("int8", place / "x.npy", limits=Limits(min_sqnr_db=12), prune="auto")
    result = edgeort.build(place / "m.onnx", HOST, place / "q", accuracy=asked)
    assert result.pruning is not None and result.quantization is not None and result.pruning.ratio > 0
    assert result.pruning.score.differences[0].sqnr_db >= 15  # half of the noise is int8's
    assert next(f.value for f in result.evaluation.figures if f.name == "sqnr_db") >= 12


def test_zeros_make_the_bundle_smaller(place: Path):
    whole = edgeort.build(place / "m.onnx", HOST, place / "dense")
    asked = Accuracy(data=place / "x.npy", sparsity="0.6", exclude=("n2",))
    result = edgeort.build(place / "m.onnx", HOST, place / "s", accuracy=asked)
    assert result.pruning is not None and result.pruning.sparsity == pytest.approx(0.6, abs=0.01)
    assert result.model_bytes < whole.model_bytes
    stored = [{weights.node.removesuffix("_nhwc") for weights in built.sparse} for built in (whole, result)]
    assert stored == [{"n12"}, {"n6", "n8", "n12"}]  # the 10 classes of n12 are padded to 16
    assert result.max_difference < 1e-4  # against ONNX Runtime on the model with zeros
    assert open_bundle(place / "s").manifest.quantization["sparsity"] == result.pruning.sparsity
    assert result.to_dict()["sparse"][0]["zeros"] > 0.2


def test_zeros_of_an_int8_model(place: Path):
    dense = edgeort.build(place / "m.onnx", HOST, place / "i", accuracy=Accuracy("int8", place / "x.npy"))
    asked = Accuracy("int8", place / "x.npy", sparsity="2:4")
    result = edgeort.build(place / "m.onnx", HOST, place / "si", accuracy=asked)
    assert result.precisions["int8"] == dense.precisions["int8"] and result.model_bytes < dense.model_bytes
    assert all(weights.zeros >= 0.5 and not weights.kernel for weights in result.sparse)


def test_what_does_not_go_together(place: Path):
    for asked, words in (
        (Accuracy(prune=0.3), "pruning needs samples"),
        (Accuracy(sparsity="0.5"), "pruning needs samples"),
        (Accuracy(data=place / "x.npy", prune="auto"), "as far as a budget allows"),
        (Accuracy(data=place / "x.npy", sparsity="auto"), "as far as a budget allows"),
        (Accuracy(data=place / "x.npy", sparsity="0.5", prune=0.3), "two steps"),
        (Accuracy(data=place / "x.npy", sparsity="much"), "neither a share"),
    ):
        with pytest.raises(InputError, match=words):
            edgeort.build(place / "m.onnx", HOST, place / "no", accuracy=asked)
    asked = Accuracy(data=place / "x.npy", limits=Limits(min_sqnr_db=200), prune=0.3)
    with pytest.raises(BudgetError, match="SQNR >= 200 dB"):
        edgeort.build(place / "m.onnx", HOST, place / "no", accuracy=asked)
    assert not (place / "no").exists()
