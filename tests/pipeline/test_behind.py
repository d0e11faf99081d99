"""Builds with post-processing: what the bundle gives, and what judges it."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import edgeort
from edgeort import sample
from edgeort.bundle import open_bundle
from edgeort.errors import CheckError, InputError, UnsupportedError
from edgeort.pipeline import Wish
from edgeort.pipeline.behind import Behind
from edgeort.validate import Exam, assess
from edgeort.validate.validation import validate
from tests.models import HOST
from tests.recipes.attached import identity

RECIPE = "softmax; top-k 3 labels={}"


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labels") / "labels.txt"
    path.write_text("\n".join(f"digit {k}" for k in range(10)))
    return path


@pytest.fixture(scope="module")
def bundle(labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundles") / "digits"
    edgeort.build(sample.path(), HOST, out, postprocess=RECIPE.format(labels), keep_stages=True)
    return out


def pictures(count: int = 5) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 16, (count, 1, 8, 8)).astype(np.float32)


def test_a_session_gives_labels_first(bundle: Path):
    image = pictures()
    with edgeort.InferenceSession(bundle) as session:
        assert [value.name for value in session.get_outputs()] == ["label", "score", "class", "logits"]
        label, score, classes, logits = session.run(None, {"image": image})
    np.testing.assert_array_equal(classes, np.argsort(-logits, axis=1)[:, :3])
    np.testing.assert_array_equal(label, np.char.add("digit ", classes.astype(str)).astype(object))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(score, -np.sort(-shares, axis=1)[:, :3], rtol=1e-5)


def test_the_manifest_says_what_was_done(bundle: Path, labels: Path):
    with open_bundle(bundle) as opened:
        manifest = opened.manifest
    assert manifest.postprocessing == {"recipe": RECIPE.format(labels.name), "outputs": ["label", "score", "class"]}
    assert [value.name for value in manifest.own_outputs] == ["logits"]


def test_onnx_runtime_runs_the_models_that_are_kept(bundle: Path):
    image, found = pictures(1), []
    stages = sorted(Path(f"{bundle}.stages").glob("*.onnx"))
    for stage in [path for path in stages if path.name >= "02"]:
        session = onnxruntime.InferenceSession(stage, providers=["CPUExecutionProvider"])
        found.append(session.run(["label"], {"image": image})[0].tolist())
    assert len(found) > 10 and all(labels == found[0] for labels in found)


def test_the_models_own_outputs_are_judged(bundle: Path, tmp_path: Path):
    from edgeort.devices import open_device

    with open_bundle(bundle) as opened:
        with open_device(None, opened.manifest) as device:
            found = validate(opened, device, model=sample.path())
        assert [comparison.output for comparison in found.comparisons] == ["logits"]
        np.save(tmp_path / "x.npy", pictures(20))
        exam = Exam(tmp_path / "x.npy", {f"x.npy[{k}]": k % 10 for k in range(20)}, "classification")
        judged = assess(opened, sample.path(), exam)
    assert judged.output == "logits" and judged.samples == 20
    assert next(figure.value for figure in judged.figures if figure.name == "agreement") == 1.0


def test_a_wrong_answer_stops_a_build(labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    honest = Behind.expected

    def other(self: Behind, *arguments: object) -> list[np.ndarray]:
        label, *rest = honest(self, *arguments)  # type: ignore[arg-type]
        return [label[:, ::-1], *rest]

    monkeypatch.setattr(Behind, "expected", other)
    with pytest.raises(CheckError, match="output 'label' is not ONNX Runtime's"):
        edgeort.build(sample.path(), HOST, tmp_path / "b", postprocess=RECIPE.format(labels))
    assert not (tmp_path / "b").exists()


def test_a_bad_recipe_stops_it_before_any_work(tmp_path: Path):
    seen: list[str] = []
    with pytest.raises(InputError, match="--postprocess: step 1, 'top-q': unknown"):
        edgeort.build(sample.path(), HOST, tmp_path / "b", postprocess="top-q", progress=seen.append)
    assert not seen


def test_another_engine_takes_what_is_no_text(labels: Path, tmp_path: Path):
    pytest.importorskip("openvino")
    host = dataclasses.replace(HOST, runtime=dataclasses.replace(HOST.runtime, providers=("openvino",)))
    wish = Wish("openvino", True, {})
    edgeort.build(sample.path(), host, tmp_path / "b", postprocess="softmax; top-k 3", wish=wish)
    with edgeort.InferenceSession(tmp_path / "b") as session:
        score, classes, logits = session.run(None, {"image": pictures(1)})
    np.testing.assert_array_equal(classes, np.argsort(-logits, axis=1)[:, :3])
    assert score.shape == (1, 3)
    with pytest.raises(UnsupportedError, match="'label' has the element type string"):
        edgeort.build(sample.path(), host, tmp_path / "c", postprocess=RECIPE.format(labels), wish=wish)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("qemu-aarch64-static") is None, reason="qemu-aarch64-static is not installed")
@pytest.mark.parametrize(
    ("output", "recipe"), [("float[1, 9, 200] y", "yolo score=0.6 iou=0.3"), ("float[2, 30, 8] y", "softmax; ctc")]
)
def test_an_arm_gives_the_same_boxes_and_texts(output: str, recipe: str, tmp_path: Path):
    proto = identity(output)
    entry = proto.metadata_props.add()
    entry.key, entry.value = "character", "\n".join("abcdefg")
    onnx.save(proto, tmp_path / "m.onnx")
    shape = tuple(dim.dim_value for dim in proto.graph.input[0].type.tensor_type.shape.dim)
    values = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
    digests = set()
    for device in (HOST, "raspberrypi4"):
        out = tmp_path / str(len(digests))
        edgeort.build(tmp_path / "m.onnx", device, out, postprocess=recipe, inputs={"in_y": values})
        digests.add((out / "golden" / "digests.txt").read_text())
        assert (out / "golden" / "output0.npy").stat().st_size > 128
    assert len(digests) == 1


def test_names_of_files_stay_out_of_the_graph(bundle: Path):
    """Labels are in the plan itself: the bundle works where the file is not."""
    graph = onnx.load(min(Path(f"{bundle}.stages").glob("*-postprocess.onnx"))).graph
    texts = [tensor.string_data for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.STRING]
    assert [list(data) for data in texts] == [[f"digit {k}".encode() for k in range(10)]]
