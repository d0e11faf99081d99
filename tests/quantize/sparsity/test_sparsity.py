"""sparsify(): shares, N:M, budgets, what it leaves alone and refuses, and what later steps keep of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgeort.errors import BudgetError, InputError, ModelError
from edgeort.quantize import pruning, quantize
from edgeort.quantize.pruning import Budget
from edgeort.quantize.sparsity import Options, Pattern, Result, sparsify
from tests.quantize.models import Net, mobile, samples, save


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model") / "m.onnx", mobile(width=32))


def run(model: Path, out: Path, **options: object) -> Result:
    return sparsify(model, out, samples(24), Options(**options))  # type: ignore[arg-type]


def weights(path: Path) -> dict[str, np.ndarray]:
    """Of each Conv and Gemm, by the node's name; of a quantised model, its integers."""
    graph = onnx.load(path).graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    scaled = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    return {
        node.name: tensors[scaled.get(node.input[1], node.input[1])]
        for node in graph.node
        if node.op_type in ("Conv", "Gemm")
    }


def test_the_share_that_was_asked_for(model: Path, tmp_path: Path):
    result = run(model, tmp_path / "s.onnx", pattern=Pattern(0.6))
    assert result.sparsity == pytest.approx(0.6, abs=0.01) and (result.samples, result.judged) == (12, 12)
    assert result.score is not None and 0 < result.score.differences[0].sqnr_db < 60
    onnx.checker.check_model(onnx.load(tmp_path / "s.onnx"), full_check=True)
    found = weights(tmp_path / "s.onnx")
    assert [line.layer for line in result.layers] == ["n2", "n6", "n8"]
    for line in result.layers:
        assert line.zeros == (found[line.layer] == 0).sum() > 0
    assert result.left == {
        "n0": "it has 864 weights",
        "n4": "its channels are in groups",
        "n12": "no layer is behind it",
    }


def test_n_of_m_holds_exactly(model: Path, tmp_path: Path):
    result = run(model, tmp_path / "s.onnx", pattern=Pattern(0.5, 2, 4))
    for line in result.layers:
        by_channel = weights(tmp_path / "s.onnx")[line.layer].reshape(-1, 4)
        assert ((by_channel != 0).sum(axis=1) == 2).all()
    assert result.sparsity == 0.5 and result.pattern == "2:4"


def test_samples_help(model: Path, tmp_path: Path):
    """Fitted to samples it is nearer to the float model than by magnitude alone."""
    fitted = run(model, tmp_path / "fitted.onnx", pattern=Pattern(0.5, 2, 4))
    blind = sparsify(model, tmp_path / "blind.onnx", None, Options(pattern=Pattern(0.5, 2, 4)))
    assert blind.score is None and blind.samples == 0 and blind.sparsity == 0.5
    assert fitted.score is not None

    def noise(path: Path) -> float:
        from edgeort.ort import open_session

        reference, ours = (open_session(file.read_bytes()) for file in (model, path))
        return sum(
            float(((reference.run(None, one)[0] - ours.run(None, one)[0]) ** 2).sum()) for one in samples(12, seed=9)
        )

    assert noise(tmp_path / "fitted.onnx") < 0.6 * noise(tmp_path / "blind.onnx")


def test_magnitude_alone_takes_the_smallest(model: Path, tmp_path: Path):
    sparsify(model, tmp_path / "s.onnx", None, Options(pattern=Pattern(0.7)))
    before, after = weights(model)["n2"], weights(tmp_path / "s.onnx")["n2"]
    stays = after != 0
    assert stays.mean() == pytest.approx(0.3, abs=0.001)
    np.testing.assert_array_equal(after[stays], before[stays])
    assert np.abs(before[stays]).min() >= np.abs(before[~stays]).max()


def test_as_far_as_the_budget_allows(model: Path, tmp_path: Path):
    wide = run(model, tmp_path / "s.onnx", budget=Budget(sqnr_db=24))
    tight = run(model, tmp_path / "s.onnx", budget=Budget(sqnr_db=34))
    for found, least in ((wide, 24), (tight, 34)):
        assert found.score is not None and found.score.differences[0].sqnr_db >= least
    assert wide.sparsity > tight.sparsity > 0


def test_a_budget_that_is_not_kept(model: Path, tmp_path: Path):
    with pytest.raises(BudgetError, match="not kept even with"):
        run(model, tmp_path / "s.onnx", budget=Budget(sqnr_db=300))
    with pytest.raises(BudgetError, match=r"SQNR >= 300 dB\) is not kept"):
        run(model, tmp_path / "s.onnx", pattern=Pattern(0.3), budget=Budget(sqnr_db=300))
    assert not (tmp_path / "s.onnx").exists()


def test_what_is_included_and_excluded(model: Path, tmp_path: Path):
    result = run(model, tmp_path / "s.onnx", pattern=Pattern(0.5), include=("n0", "n12"), exclude=("n2",))
    assert [line.layer for line in result.layers] == ["n0", "n6", "n8", "n12"]
    assert result.left["n2"] == "it was excluded" and (weights(tmp_path / "s.onnx")["n2"] != 0).all()
    with pytest.raises(InputError, match="no layer is called 'nope'"):
        run(model, tmp_path / "s.onnx", pattern=Pattern(0.5), include=("nope",))


def test_zeros_stay_zero_when_quantised(model: Path, tmp_path: Path):
    run(model, tmp_path / "s.onnx", pattern=Pattern(0.5, 2, 4))
    quantize(tmp_path / "s.onnx", tmp_path / "q.onnx", samples(8))
    before, after = weights(tmp_path / "s.onnx"), weights(tmp_path / "q.onnx")
    for name in ("n2", "n6", "n8"):
        assert after[name].dtype == np.int8 and not after[name][before[name] == 0].any()
        assert after[name].any()


def test_structured_pruning_keeps_zeros(model: Path, tmp_path: Path):
    run(model, tmp_path / "s.onnx", pattern=Pattern(0.5))
    options = pruning.Options(ratio=0.2, multiple=8)
    result = pruning.prune(tmp_path / "s.onnx", tmp_path / "p.onnx", samples(24), options)
    assert result.ratio >= 0.2
    assert all((weights(tmp_path / "p.onnx")[name] == 0).mean() > 0.2 for name in ("n2", "n6", "n8"))


@pytest.mark.parametrize(
    ("options", "words"),
    [({"pattern": Pattern(0.0)}, "above 0"), ({"pattern": Pattern(1.5)}, "above 0"), ({}, "neither a sparsity nor")],
)
def test_bad_options(model: Path, tmp_path: Path, options: dict[str, object], words: str):
    with pytest.raises(InputError, match=words):
        run(model, tmp_path / "s.onnx", **options)


def test_what_is_refused(model: Path, tmp_path: Path):
    with pytest.raises(InputError, match="judged on samples"):
        sparsify(model, tmp_path / "s.onnx", None, Options(pattern=Pattern(0.5), budget=Budget(sqnr_db=10)))
    net = Net()
    path = save(tmp_path / "one.onnx", net.model(net.conv("x", 3, 4), [1, 3, 12, 12], [1, 4, 12, 12]))
    with pytest.raises(ModelError, match="no layer has weights that may go.*12 weights"):
        sparsify(path, tmp_path / "s.onnx", None, Options(pattern=Pattern(0.5)))
    quantize(model, tmp_path / "q.onnx", samples(4))
    with pytest.raises(ModelError, match="is quantised"):
        run(tmp_path / "q.onnx", tmp_path / "s.onnx", pattern=Pattern(0.5))
