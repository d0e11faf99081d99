"""The accuracy of a build: which samples calibrate and judge, the verdict on the bundle, what the manifest says."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import edgeort
from edgeort.bundle import open_bundle
from edgeort.device_profiles import Budget
from edgeort.devices import open_device
from edgeort.errors import BudgetError, InputError, ModelError
from edgeort.model import clean, load
from edgeort.pipeline import Accuracy
from edgeort.pipeline.accuracy import Quantised, open_sets, record
from edgeort.pipeline.choosing import Wish
from edgeort.providers import openvino
from edgeort.quantize import Options, Result, Steps, quantize
from edgeort.recipes.picture_steps import parse
from edgeort.validate import Limits, validate
from edgeort.validate.reference import reference_outputs
from tests.models import HOST
from tests.quantize.models import mobile, pictures, samples, save
from tests.real_models.find import find


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("m") / "m.onnx", mobile())


def test_one_set_is_split_and_two_are_not(path: Path, tmp_path: Path):
    graph = clean(load(path))
    for name, count in (("a.npy", 30), ("b.npy", 6)):
        np.save(tmp_path / name, pictures(count))
    split = open_sets(Accuracy("int8", tmp_path / "a.npy"), graph)
    assert (split.calibration.count, split.judging.count) == (15, 15)  # type: ignore[union-attr]
    assert "is split: 15 samples calibrate, 15 others judge" in split.told
    same = open_sets(Accuracy("int8", tmp_path / "a.npy", tmp_path / "a.npy"), graph)
    assert "is split" in same.told
    apart = open_sets(Accuracy("int8", tmp_path / "a.npy", tmp_path / "b.npy"), graph)
    assert (apart.calibration.count, apart.judging.count) == (30, 6)  # type: ignore[union-attr]
    judged = open_sets(Accuracy("float32", tmp_path / "a.npy"), graph)
    assert judged.calibration is None and judged.judging.count == 30  # type: ignore[union-attr]
    with pytest.raises(InputError, match="cannot both"):
        open_sets(Accuracy("int8", samples(1)), graph)


@pytest.mark.parametrize(
    ("accuracy", "words"),
    [
        (Accuracy("int8"), "int8 needs samples"),
        (Accuracy(limits=Limits(min_sqnr_db=3)), "judged on samples"),
        (Accuracy(labels="l.csv"), "judged on samples"),
        (Accuracy(data=samples(3), limits=Limits(max_drop=1)), "counted on labels"),
        (Accuracy(data=samples(3), labels="none.csv"), "none.csv"),
        (Accuracy("int5"), "--precision int5"),  # type: ignore[arg-type]
    ],
)
def test_what_does_not_go_together(path: Path, tmp_path: Path, accuracy: Accuracy, words: str):
    with pytest.raises(InputError, match=words):
        edgeort.build(path, HOST, tmp_path / "b", accuracy=accuracy)


def test_the_profiles_drop_is_a_budget_where_there_are_labels():
    strict = replace(HOST, budget=Budget(max_drop=0.5))
    assert Accuracy(data="x", labels="l").checked(strict).limits.max_drop == 0.5
    assert Accuracy(data="x", labels="l", limits=Limits(max_drop=2)).checked(strict).limits.max_drop == 2
    assert Accuracy(data="x").checked(strict).limits.max_drop is None


def test_a_float_bundle_is_judged(path: Path, tmp_path: Path):
    accuracy = Accuracy(data=samples(8), limits=Limits(min_sqnr_db=60))
    result = edgeort.build(path, HOST, tmp_path / "b", accuracy=accuracy)
    assert result.evaluation is not None and result.evaluation.is_kept and result.evaluation.samples == 8
    with open_bundle(tmp_path / "b") as bundle:
        told = bundle.manifest.quantization
    assert told is not None and told["precision"] == "float32" and told["budget"]["min_sqnr_db"] == 60
    assert {figure["name"] for figure in told["measured"]} >= {"sqnr_db", "agreement"}


@pytest.mark.skipif(shutil.which("qemu-aarch64-static") is None, reason="needs qemu-user-static")
def test_an_emulated_bundle_is_judged(path: Path, tmp_path: Path):
    built = edgeort.build(path, "raspberrypi4", tmp_path / "b", accuracy=Accuracy(data=samples(3)))
    assert built.evaluation is not None and built.evaluation.samples == 3
    assert "emulated (cortex-a72)" in built.evaluation.where


def test_a_bundle_over_its_budget_is_not_written(path: Path, tmp_path: Path):
    accuracy = Accuracy(data=samples(4), limits=Limits(min_sqnr_db=400))
    with pytest.raises(BudgetError, match="under --min-sqnr 400"):
        edgeort.build(path, HOST, tmp_path / "b", accuracy=accuracy)
    assert not (tmp_path / "b").exists()


def test_the_manifest_knows_the_recipe_of_pictures(path: Path, tmp_path: Path):
    image = pytest.importorskip("PIL.Image")
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 256, (20, 16, 3)).astype(np.uint8)
        image.fromarray(pixels).save(tmp_path / f"{index}.png")
    how = parse("efficientnet-lite")
    edgeort.build(path, HOST, tmp_path / "b", accuracy=Accuracy(data=tmp_path, recipe=how))
    with open_bundle(tmp_path / "b") as bundle:
        front = bundle.manifest.front
        assert front is not None and not front.built_in and bundle.manifest.built_in is None
        assert front.text() == "input=x; from=rgb; resize short=14 bicubic; crop 12x12; rgb; scale=1; mean=127; std=128"


def test_the_search_says_what_costs_most_and_what_was_reached(path: Path, tmp_path: Path):
    accuracy = Accuracy("int8", samples(12), limits=Limits(min_sqnr_db=300))
    with pytest.raises(
        BudgetError, match=r"--min-sqnr 300\) is not kept even .* the most noise comes from n"
    ) as caught:
        edgeort.build(path, HOST, tmp_path / "b", accuracy=accuracy)
    assert "what was reached keeps --min-sqnr" in str(caught.value.hint)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("wish", (Wish("cpu"), Wish()))
def test_int8_within_a_budget(path: Path, tmp_path: Path, wish: Wish):
    """The bundle is int8; asked for more, one layer more stays float, and the manifest says all of it."""
    free = edgeort.build(
        path, HOST, tmp_path / "b", accuracy=Accuracy("int8", samples(24)), wish=wish, keep_stages=True
    )
    assert free.evaluation is not None and free.quantization is not None and free.quantization.ledger == ()
    assert free.precisions["int8"] >= 6 and free.evaluation.samples == 12
    assert [file.name for file in (tmp_path / "b.stages").glob("*-quantize.onnx")] == ["02-quantize.onnx"]
    reached = next(figure.value for figure in free.evaluation.figures if figure.name == "sqnr_db")
    assert 20 < reached < 80
    limits = Limits(min_sqnr_db=reached + 0.5)
    kept = edgeort.build(path, HOST, tmp_path / "b", accuracy=Accuracy("int8", samples(24), limits=limits), wish=wish)
    assert kept.evaluation is not None and kept.evaluation.is_kept and kept.quantization is not None
    promoted = [entry for entry in kept.quantization.ledger if entry.promoted]
    assert promoted and all(entry.added_ms is not None for entry in promoted)
    with open_bundle(tmp_path / "b") as bundle:
        told = bundle.manifest.quantization
        with pytest.raises(InputError, match="made with int8 weights from") as caught:
            validate(bundle, open_device(None, bundle.manifest), model=path)
    assert "--data" in str(caught.value.hint)
    assert told is not None and (told["precision"], told["samples"]) == ("int8", 12)
    assert promoted[0].layer in told["stay_float"] and told["budget"]["min_sqnr_db"] == limits.min_sqnr_db


def test_the_record_counts_what_was_evened_out(path: Path):
    """The report shows what stands there."""
    result = Result("m.onnx", "", 1, 1, 0.0, evened=2)
    told = record(Accuracy("int8"), Quantised(load(path), b"", result, "int8"), None, {})
    assert told is not None and told["evened_tensors"] == 2 and "equalised_pairs" not in told


def test_a_model_with_scales_for_channels_is_built(path: Path, tmp_path: Path):
    """`edgeort quantize --for edgeort` writes one, and ONNX Runtime is the reference for it, too."""
    steps = Steps(gptq=False, bias_correction=False, compensation=False, equalisation=False)
    quantize(path, tmp_path / "q.onnx", samples(12), Options(steps=steps, runtime="edgeort"))
    built = edgeort.build(tmp_path / "q.onnx", HOST, tmp_path / "b", accuracy=Accuracy(data=samples(4)))
    assert built.precisions["int8"] >= 6
    assert built.evaluation is not None and built.evaluation.samples == 4
    assert next(figure.value for figure in built.evaluation.figures if figure.name == "sqnr_db") > 20


@pytest.mark.parametrize("wish", (Wish("cpu"), Wish("openvino")))
def test_scales_for_channels_where_only_cpu_can_be_taken(
    path: Path, tmp_path: Path, wish: Wish, monkeypatch: pytest.MonkeyPatch
):
    """And what they would bring where another provider may be."""
    monkeypatch.setattr(openvino.OpenVino, "missing", lambda self: "")
    others = wish.provider != "cpu"
    quantised = []
    for stages in (True,) if others else (False, True):
        built = edgeort.build(
            path, HOST, tmp_path / "b", accuracy=Accuracy("int8", samples(16)), wish=wish, keep_stages=stages
        )
        with open_bundle(tmp_path / "b") as bundle:
            quantised.append(bundle.manifest.quantization)
    assert quantised[0] == quantised[-1] and built.quantization is not None
    scales = built.quantization.scales
    assert scales is not None and scales.tensors == 1 and scales.used is not others
    assert quantised[0] is not None and quantised[0]["channel_scales"]["used"] is not others
    assert quantised[0]["form"] in built.form
    kept = next((tmp_path / "b.stages").glob("*-quantize.onnx"))
    per_channel = [node for node in onnx.load(kept).graph.node if any(one.name == "axis" for one in node.attribute)]
    assert ("QuantizeLinear" in {node.op_type for node in per_channel}) is not others
    if others:
        assert built.form.startswith("plain pairs, which openvino can run, too") and "--provider cpu" in built.form
    else:
        assert "channels of 1 tensor(s) have their own scales" in built.form and "disable_quant_qdq" in built.form
    assert reference_outputs(kept, samples(1)[0])[0].shape == (1, 10)


@pytest.mark.slow
def test_a_real_model_whose_constants_take_factors_needs_no_scales_for_channels(tmp_path: Path):
    """A factor and a summand stand behind each HardSwish."""
    pytest.importorskip("PIL")
    from benchmarks.accuracy import lines

    def drawn(seed: int) -> dict[str, np.ndarray]:
        picture = lines.line(seed).picture[..., :192]
        return {"x": np.pad(picture, ((0, 0), (0, 0), (0, 0), (0, 192 - picture.shape[3])))}

    path = find("ppocr_cls")
    try:
        calibration, judging = ([drawn(seed + i) for i in range(24)] for seed in (0, 100))
    except ModelError as error:
        pytest.skip(str(error))
    built = edgeort.build(path, "raspberrypi4", tmp_path / "b", accuracy=Accuracy("int8", calibration, judging))
    assert built.evaluation is not None and built.quantization is not None
    assert built.form == "" and built.quantization.scales is None and built.quantization.evened > 11
    assert next(figure.value for figure in built.evaluation.figures if figure.name == "sqnr_db") > 30


def test_the_same_build_gives_the_same_bytes(path: Path, tmp_path: Path):
    accuracy = Accuracy("int8", samples(8), limits=Limits(min_agreement=0.1))
    for name in "ab":
        edgeort.build(path, HOST, tmp_path / name, accuracy=accuracy)
    manifests = [(tmp_path / name / "manifest.json").read_bytes() for name in "ab"]
    assert manifests[0] == manifests[1]
