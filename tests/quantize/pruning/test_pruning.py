"""prune(): shares, budgets, labels, what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort.errors import BudgetError, InputError, ModelError
from edgeort.quantize import quantize
from edgeort.quantize.pruning import Budget, Options, Result, Score, prune
from edgeort.quantize.pruning.choosing import Order
from edgeort.quantize.pruning.ledger import cut_points
from tests.quantize.models import Net, mobile, samples, save


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model") / "m.onnx", mobile(width=32))


def run(model: Path, out: Path, **options: object) -> Result:
    return prune(model, out, samples(24), Options(**{"multiple": 8, **options}))  # type: ignore[arg-type]


def test_the_share_that_was_asked_for(model: Path, tmp_path: Path):
    result = run(model, tmp_path / "p.onnx", ratio=0.3)
    assert 0.3 <= result.ratio < 0.45
    assert result.output_bytes < result.model_bytes
    assert (result.samples, result.judged) == (12, 12)
    assert all(line.channels % 8 == 0 for line in result.groups)
    made = onnx.load(tmp_path / "p.onnx")
    onnx.checker.check_model(made, full_check=True)
    pruned = sum(line.before - line.channels for line in result.groups)
    assert pruned and [tuple(d.dim_value for d in o.type.tensor_type.shape.dim) for o in made.graph.output] == [(1, 10)]
    assert "leave the model" in result.left["n12"]


def test_more_costs_more(model: Path, tmp_path: Path):
    few, many = (run(model, tmp_path / "p.onnx", ratio=ratio).score for ratio in (0.1, 0.5))
    assert many.noise > few.noise > 0


def test_as_far_as_the_budget_allows(model: Path, tmp_path: Path):
    wide = run(model, tmp_path / "p.onnx", budget=Budget(sqnr_db=18))
    tight = run(model, tmp_path / "p.onnx", budget=Budget(sqnr_db=28))
    for found, least in ((wide, 18), (tight, 28)):
        assert found.score.differences[0].sqnr_db >= least
    assert wide.ratio > tight.ratio > 0


def test_a_budget_that_is_not_kept(model: Path, tmp_path: Path):
    with pytest.raises(BudgetError, match="not kept even with"):
        run(model, tmp_path / "p.onnx", budget=Budget(sqnr_db=300))
    with pytest.raises(BudgetError, match=r"SQNR >= 300 dB\) is not kept: y: SQNR"):
        run(model, tmp_path / "p.onnx", ratio=0.3, budget=Budget(sqnr_db=300))
    assert not (tmp_path / "p.onnx").exists()


def test_labels_say_what_is_right(model: Path, tmp_path: Path):
    labelled = run(model, tmp_path / "p.onnx", ratio=0.2, labels=lambda names: dict.fromkeys(names, 3))
    score = labelled.score
    assert score.labelled == 12 and 0 <= score.right <= 12
    assert score.drop == 100 * (score.right_before - score.right) / 12
    alone = run(model, tmp_path / "p.onnx", ratio=0.2, budget=Budget(drop=100))
    assert alone.warnings == ("there are no labels: every answer that changes counts as a drop",)
    assert alone.score.drop == pytest.approx(100 * (1 - alone.score.differences[0].agreement))


def test_excluded_layers_keep_their_channels(model: Path, tmp_path: Path):
    result = run(model, tmp_path / "p.onnx", ratio=0.1, exclude=("n2",))
    assert result.left["n2"] == "it was excluded"
    assert all("n2" not in line.layers.split(" + ") for line in result.groups)
    with pytest.raises(InputError, match="no layer is called 'nope'"):
        run(model, tmp_path / "p.onnx", ratio=0.1, exclude=("nope",))


def test_one_sample_is_enough_to_run(model: Path, tmp_path: Path):
    result = prune(model, tmp_path / "p.onnx", samples(1), Options(ratio=0.1))
    assert any("no samples are left to judge by" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ratio": 0.0}, "between 0 and 1"),
        ({"ratio": 1.5}, "between 0 and 1"),
        ({"ratio": 0.99}, "cannot go: at most"),
        ({}, "neither a ratio nor a budget"),
        ({"ratio": 0.1, "multiple": 0}, "multiple"),
    ],
)
def test_bad_options(model: Path, tmp_path: Path, options: dict[str, object], words: str):
    with pytest.raises(InputError, match=words):
        run(model, tmp_path / "p.onnx", **options)


def test_models_without_channels_that_may_go(tmp_path: Path, model: Path):
    net = Net()
    path = save(tmp_path / "one.onnx", net.model(net.conv("x", 3, 4), [1, 3, 12, 12], [1, 4, 12, 12]))
    with pytest.raises(ModelError, match="no layer has channels that may go.*leave the model"):
        run(path, tmp_path / "p.onnx", ratio=0.1)
    quantize(model, tmp_path / "q.onnx", samples(4))
    with pytest.raises(ModelError, match="is quantised"):
        run(tmp_path / "q.onnx", tmp_path / "p.onnx", ratio=0.1)


def test_pruned_models_quantise(model: Path, tmp_path: Path):
    run(model, tmp_path / "p.onnx", ratio=0.2)
    result = quantize(tmp_path / "p.onnx", tmp_path / "q.onnx", samples(8))
    assert result.layers == 6 and result.output_bytes < result.model_bytes


def test_cut_points_leave_multiples():
    class Forty:
        size = 40

    found = cut_points(Order(Forty(), np.arange(40), np.arange(40.0)), 16)  # type: ignore[arg-type]
    assert found == [8, 24]
    assert cut_points(Order(Forty(), np.arange(20), np.arange(20.0)), 16) == [8]  # type: ignore[arg-type]
    assert cut_points(Order(Forty(), np.arange(40), np.arange(40.0)), 64) == []  # type: ignore[arg-type]


def test_the_worst_output_counts():
    assert Score(()).noise == 0.0 and Score(()).drop == 0.0
    assert Budget(drop=1.0).text() == "drop <= 1 point(s)" and not Budget().is_set
    assert Budget(sqnr_db=20, drop=0.5).text() == "SQNR >= 20 dB, drop <= 0.5 point(s)"
