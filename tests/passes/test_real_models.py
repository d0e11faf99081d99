"""All passes over real models: the same outputs in ONNX Runtime, and how many Transposes are left."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx_ir as ir
import pytest

from edgeort.model import clean
from edgeort.passes import PassContext, run_passes
from edgeort.passes.group_epilogues import GROUP, ROLE
from tests.passes.harness import counts, run_ort

MODELS = Path(__file__).parents[2] / ".." / "shared" / "models"


def architecture(name: str) -> Callable[[], ir.Model]:
    """A model of ../shared/models, filled with its seeded weights."""

    def load() -> ir.Model:
        path = MODELS / f"{name}.arch.onnx"
        if not path.exists():
            pytest.skip(f"{path} is not there")
        return ir.from_proto(_fill_module().fill(path))

    return load


def _fill_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fill", MODELS / "fill.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def packaged(package: str, pattern: str) -> Callable[[], ir.Model]:
    """A model inside an installed package, which is found but not imported."""

    def load() -> ir.Model:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            pytest.skip(f"{package} is not installed")
        found = sorted(Path(spec.origin).parent.glob(pattern))
        if not found:
            pytest.skip(f"{package} has no {pattern}")
        return ir.load(found[0])

    return load


IMAGE = (1, 3, 224, 224)
# loader, shape of the input, Transposes left, tolerance relative to the output's range
CASES: dict[str, tuple[Callable[[], ir.Model], tuple[int, ...], int, float]] = {
    "mobilenetv2": (architecture("mobilenetv2_100"), IMAGE, 1, 1e-5),
    "mobilenetv3_small": (architecture("mobilenetv3_small_100"), IMAGE, 1, 1e-5),
    "mobilenetv3_large": (architecture("mobilenetv3_large_100"), IMAGE, 1, 1e-5),
    "resnet18": (architecture("resnet18"), IMAGE, 1, 1e-5),
    "resnet50": (architecture("resnet50"), IMAGE, 1, 1e-5),
    "deit_tiny": (architecture("deit_tiny_patch16_224"), IMAGE, 37, 1e-5),  # 1 at the input, 3 an attention block
    "yolov8n": (packaged("nudenet", "320n.onnx"), (1, 3, 320, 320), 4, 1e-5),
    "ppocr_det": (packaged("rapidocr_onnxruntime", "models/*_det_*.onnx"), (1, 3, 64, 96), 1, 1e-5),
    "ppocr_rec": (packaged("rapidocr_onnxruntime", "models/*_rec_*.onnx"), (1, 3, 48, 160), 7, 1e-5),
    "ppocr_cls": (packaged("rapidocr_onnxruntime", "models/*_cls_*.onnx"), (1, 3, 48, 192), 1, 1e-5),
    "magika": (packaged("magika", "models/standard_v*/model.onnx"), (2, 2048), 0, 1e-5),
}


def assert_schedulable(model: ir.Model) -> None:
    """Every group can run at its anchor's place, or at its last member's: what it reads is there by then."""
    order = {node: place for place, node in enumerate(model.graph)}
    members: dict[str, list[ir.Node]] = {}
    for node in model.graph:
        members.setdefault(node.metadata_props.get(GROUP, f"alone {order[node]}"), []).append(node)
    place = {}
    for group in members.values():
        anchors = [node for node in group if node.metadata_props.get(ROLE) == "anchor"]
        assert len(anchors) <= 1
        place |= dict.fromkeys(group, order[anchors[0]] if anchors else max(order[node] for node in group))
    for group in members.values():
        outside = {v for node in group for v in node.outputs if any(use.node not in group for use in v.uses())}
        assert len(group) == 1 or len(outside | {v for n in group for v in n.outputs if v.is_graph_output()}) == 1
        for value in {v for node in group for v in node.inputs if v is not None}:
            producer = value.producer()
            assert producer is None or producer in group or place[producer] < place[group[0]]


@pytest.mark.parametrize("name", CASES)
def test_all_passes(name: str) -> None:
    load, shape, transposes, tolerance = CASES[name]
    model = clean(load())
    rng = np.random.default_rng(3)
    value = model.graph.inputs[0]
    array = rng.standard_normal(shape) if value.dtype == ir.DataType.FLOAT else rng.integers(0, 256, shape)
    feeds = {value.name: array.astype(value.dtype.numpy())}
    wanted = run_ort(model, feeds)
    ctx = PassContext(check=True)
    run_passes(model, ctx)
    found = run_ort(model, feeds)
    for a, b in zip(wanted, found, strict=True):
        # a sigmoid's range is 1, whatever this input makes of it
        scale = 1.0 if name == "ppocr_det" else float(np.abs(a).max())
        np.testing.assert_allclose(b, a, rtol=0, atol=tolerance * scale)
    assert_schedulable(model)
    assert counts(model)["Transpose"] <= transposes
    assert "BatchNormalization" not in counts(model)


def test_the_activations_of_mobilenetv2_are_epilogues() -> None:
    model = clean(CASES["mobilenetv2"][0]())
    run_passes(model, PassContext())
    roles = [node.metadata_props.get(ROLE) for node in model.graph if node.op_type in ("Clip", "Add")]
    assert roles == ["program"] * len(roles)
    assert len(roles) == 45
