"""The sample is what its script says, and as accurate as its file says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort import sample

pytest.importorskip("torch", reason="examples/train_digits.py trains with PyTorch")
pytest.importorskip("sklearn", reason="the pictures come with scikit-learn")

from examples import train_digits


@pytest.fixture(scope="module")
def proto() -> onnx.ModelProto:
    return onnx.load(sample.path())


def test_recorded_accuracy_is_what_onnx_runtime_measures(proto: onnx.ModelProto):
    _, held_out = train_digits.splits()
    facts = {prop.key: prop.value for prop in proto.metadata_props}
    assert facts["accuracy"] == f"{train_digits.accuracy(proto, held_out):.4f}"
    assert float(facts["accuracy"]) >= 0.98


def test_no_held_out_picture_is_trained_on():
    training, held_out = train_digits.splits()
    assert len(training.images) + len(held_out.images) == 1797
    seen = {image.tobytes() for image in training.images}
    assert not [i for i, image in enumerate(held_out.images) if image.tobytes() in seen]


def test_jitter_that_draws_the_middle_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    import torch

    images = torch.from_numpy(train_digits.splits()[0].images[:4])
    monkeypatch.setattr(torch, "rand", lambda *shape, generator: torch.full(shape, 0.5))
    still = train_digits.jitter(images, torch.Generator())
    np.testing.assert_allclose(still.numpy(), images.numpy(), atol=1e-4)


@pytest.mark.slow
def test_script_writes_a_model_like_the_committed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proto: onnx.ModelProto, capsys: pytest.CaptureFixture[str]
):
    pytest.importorskip("onnxscript", reason="PyTorch exports through it")
    monkeypatch.setattr(train_digits, "EPOCHS", 1)
    train_digits.main(tmp_path / "digits.onnx")
    assert "held-out accuracy" in capsys.readouterr().out
    made = onnx.load(tmp_path / "digits.onnx")
    assert [node.op_type for node in made.graph.node] == [node.op_type for node in proto.graph.node]
    assert (tmp_path / "digits.onnx").stat().st_size <= 200_000
    assert {prop.key for prop in made.metadata_props} == {prop.key for prop in proto.metadata_props}
