"""quantize() from end to end: a valid model that runs elsewhere, close to the float one, and closer when refined."""

from __future__ import annotations

import importlib.util
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from edgeort.errors import InputError, ModelError, OutputError
from edgeort.ort import open_session
from edgeort.quantize import Budget, Options, Result, Steps, compare, quantize
from edgeort.quantize.preparing import is_quantised
from edgeort.recipes.picture_steps import parse
from tests.models import mlp
from tests.models import model as model_of
from tests.quantize.models import Net, mobile, pictures, samples, save

PLAIN = Steps(gptq=False, bias_correction=False, compensation=False)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model") / "m.onnx", mobile())


def sqnr(model: Path, quantised: Path, seed: int = 2) -> float:
    (found,) = compare(model.read_bytes(), quantised.read_bytes(), samples(40, seed))
    return found.sqnr_db


def made(model: Path, out: Path, **options: object) -> Result:
    return quantize(model, out, samples(32), Options(**options))  # type: ignore[arg-type]


def test_it_is_a_plain_qdq_model(model: Path, tmp_path: Path):
    out = tmp_path / "q.onnx"
    result = made(model, out)
    proto = onnx.load(out)
    onnx.checker.check_model(proto, full_check=True)
    counts = Counter(node.op_type for node in proto.graph.node)
    assert counts["Clip"] == counts["Relu"] == 0, "ranges do what they did"
    assert counts["QuantizeLinear"] == result.tensors
    assert counts["DequantizeLinear"] == result.tensors + 2 * result.layers
    arrays = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
    kinds = Counter(array.dtype.name for array in arrays.values() if array.ndim > 1)
    assert kinds == {"int8": 6}, "no float weight is left"
    assert min(array.min() for array in arrays.values() if array.dtype == np.int8) >= -127
    assert [i.name for i in proto.graph.input] == ["x"] and [o.name for o in proto.graph.output] == ["y"]
    assert (result.layers, result.samples, result.output_bytes) == (6, 32, out.stat().st_size)


def test_onnx_runtime_fuses_all_of_it(model: Path, tmp_path: Path):
    made(model, tmp_path / "q.onnx")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "o.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(tmp_path / "q.onnx"), options)
    counts = Counter(node.op_type for node in onnx.load(tmp_path / "o.onnx").graph.node)
    assert counts["QLinearConv"] == 5
    assert counts["QLinearAdd"] == counts["QGemm"] == 1
    assert counts["Conv"] == counts["FusedConv"] == counts["Gemm"] == 0


def test_refinement_makes_it_closer(model: Path, tmp_path: Path):
    found = {}
    for name, steps in {
        "plain": PLAIN,
        "gptq": replace(PLAIN, gptq=True),
        "bias": replace(PLAIN, bias_correction=True),
        "both": replace(PLAIN, gptq=True, bias_correction=True),
        "all": Steps(),
    }.items():
        made(model, tmp_path / name, steps=steps)
        found[name] = sqnr(model, tmp_path / name)
    assert found["plain"] > 25
    assert found["both"] > found["plain"] + 1, found
    assert found["all"] > found["plain"] + 1, found
    assert max(found["gptq"], found["bias"]) > found["plain"], found


def test_the_result_is_that_of_its_own_figures(model: Path, tmp_path: Path):
    result = made(model, tmp_path / "q.onnx")
    (found,) = compare(model.read_bytes(), (tmp_path / "q.onnx").read_bytes(), samples(32))
    assert result.differences[0].sqnr_db == pytest.approx(found.sqnr_db, abs=0.3)
    assert found.agreement > 0.9
    assert 0 <= found.kl < 0.05


def test_more_samples_than_are_refined_on_judge_too(model: Path, tmp_path: Path):
    result = made(model, tmp_path / "q.onnx", refine_samples=8)
    assert result.differences[0].rows == 32


def test_the_same_twice(model: Path, tmp_path: Path):
    for name in ("a", "b"):
        made(model, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="needs openvino")
def test_it_runs_in_openvino(model: Path, tmp_path: Path):
    import openvino

    made(model, tmp_path / "q.onnx")
    compiled = openvino.compile_model(openvino.Core().read_model(tmp_path / "q.onnx"), "CPU")
    x = pictures(8)
    theirs = np.concatenate([next(iter(compiled({"x": row[np.newaxis]}).values())) for row in x])
    session = open_session(tmp_path / "q.onnx")
    ours = np.concatenate([session.run(None, {"x": row[np.newaxis]})[0] for row in x])
    assert ((theirs - ours) ** 2).sum() < 1e-2 * (ours**2).sum()


@pytest.mark.parametrize("method", ["mse", "quartic", "minmax", "percentile", "entropy"])
def test_every_method(model: Path, tmp_path: Path, method: str):
    made(model, tmp_path / "q.onnx", method=method)
    assert sqnr(model, tmp_path / "q.onnx") > 20


@pytest.mark.parametrize("opset", [11, 13, 21])
def test_opsets(tmp_path: Path, opset: int):
    path = save(tmp_path / "m.onnx", mobile("N", opset))
    made(path, tmp_path / "q.onnx")
    versions = {entry.domain: entry.version for entry in onnx.load(tmp_path / "q.onnx").opset_import}
    assert versions[""] == max(opset, 13)
    assert sqnr(path, tmp_path / "q.onnx") > 25


def test_samples_of_different_sizes(tmp_path: Path):
    net = Net()
    body = net.op("Relu", net.conv(net.op("Relu", net.conv("x", 3, 8, 3)), 8, 8, 3, group=8))
    path = save(tmp_path / "m.onnx", net.model(net.conv(body, 8, 4), [1, 3, "H", "W"], [1, 4, "H", "W"]))
    rng = np.random.default_rng(0)
    data = [{"x": rng.standard_normal((1, 3, 5 + i, 9 - i)).astype(np.float32)} for i in range(5)]
    quantize(path, tmp_path / "q.onnx", data)
    assert compare(path.read_bytes(), (tmp_path / "q.onnx").read_bytes(), data)[0].sqnr_db > 30


def test_dense_layers(tmp_path: Path):
    path = save(tmp_path / "m.onnx", mlp())
    x = np.random.default_rng(0).standard_normal((64, 1, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    result = quantize(path, tmp_path / "q.onnx", tmp_path / "x.npy")
    assert result.differences[0].sqnr_db > 30
    assert compare(path.read_bytes(), (tmp_path / "q.onnx").read_bytes(), [{"x": r} for r in x])[0].sqnr_db > 30


def test_transposed_convolutions(tmp_path: Path):
    net = Net()
    weight, bias = net.weight(8, 3, 3, 3), net.weight(6)
    up = net.op("ConvTranspose", net.op("Relu", net.conv("x", 3, 8)), weight, bias, group=2, strides=[2, 2])
    path = save(tmp_path / "m.onnx", net.model(net.conv(net.op("Relu", up), 6, 2), [1, 3, 12, 12], [1, 2, "H", "W"]))
    assert made(path, tmp_path / "q.onnx").layers == 3
    assert sqnr(path, tmp_path / "q.onnx") > 25


def test_nearly_dead_channels_stay_finite(tmp_path: Path):
    proto = mobile()
    arrays = {t.name: t for t in proto.graph.initializer}
    first = proto.graph.node[0]
    weight = numpy_helper.to_array(arrays[first.input[1]]).copy()
    weight[0], weight[1] = 0, 1e-30
    arrays[first.input[1]].CopyFrom(numpy_helper.from_array(weight, first.input[1]))
    path = save(tmp_path / "m.onnx", proto)
    made(path, tmp_path / "q.onnx")
    assert sqnr(path, tmp_path / "q.onnx") > 25


def test_ranges_are_saved_edited_and_used(model: Path, tmp_path: Path):
    file, first, again = (tmp_path / name for name in ("r.json", "a.onnx", "b.onnx"))
    made(model, first, save_ranges=file, steps=PLAIN, method="quartic")
    result = quantize(model, again, None, Options(ranges=file))
    assert again.read_bytes() == first.read_bytes()
    assert result.method == "quartic", "the file's"
    text = file.read_text()
    lines = text.splitlines()
    (x,) = [line for line in lines if '"x"' in line]
    file.write_text(text.replace(x, '    "x": {"low": -1.0, "high": 1.0},'))
    quantize(model, again, None, Options(ranges=file))
    scales = {t.name: numpy_helper.to_array(t) for t in onnx.load(again).graph.initializer}
    assert scales["x_scale"] == np.float32(2 / 255)
    result = quantize(model, again, samples(32), Options(ranges=file))
    assert result.samples == 32, "the samples serve refinement"


def test_ranges_of_another_model(model: Path, tmp_path: Path):
    made(model, tmp_path / "q.onnx", save_ranges=tmp_path / "r.json")
    other = save(tmp_path / "other.onnx", mobile(width=8))
    with pytest.raises(InputError, match="ranges of another model"):
        quantize(other, tmp_path / "q.onnx", None, Options(ranges=tmp_path / "r.json"))
    with pytest.raises(InputError, match="no quantised tensor is called|it lacks"):
        quantize(model, tmp_path / "q.onnx", None, Options(ranges=tmp_path / "r.json", exclude=("n0",)))


def test_a_quantised_model_is_left_alone(model: Path, tmp_path: Path):
    made(model, tmp_path / "q.onnx")
    result = quantize(tmp_path / "q.onnx", tmp_path / "again.onnx", samples(2))
    assert result.was_quantised
    assert not (tmp_path / "again.onnx").exists()


def test_what_is_wrong_is_said(model: Path, tmp_path: Path):
    out = tmp_path / "q.onnx"
    with pytest.raises(InputError, match="nothing to find ranges from"):
        quantize(model, out)
    with pytest.raises(InputError, match="budget of accuracy is measured on samples"):
        quantize(model, out, None, Options(ranges=out, budget=Budget(sqnr_db=20)))
    with pytest.raises(InputError, match="no method"):
        made(model, out, method="best")
    with pytest.raises(InputError, match="no node is called 'nowhere'"):
        made(model, out, exclude=("nowhere",))
    with pytest.raises(OutputError, match="cannot be written"):
        made(model, tmp_path / "no" / "q.onnx")
    net = Net()
    path = save(tmp_path / "none.onnx", net.model(net.op("Relu", "x"), [4], [4]))
    with pytest.raises(ModelError, match="no layer to quantise"):
        quantize(path, out, [{"x": np.ones(4, np.float32)}])


def test_outputs_of_whole_numbers_alone(tmp_path: Path):
    net = Net()
    net.nodes.append(helper.make_node("ArgMax", [net.conv("x", 3, 8, 3)], ["y"], axis=1))
    proto = model_of(net.nodes, [("x", [1, 3, 12, 12])], [("y", [1, 1, 12, 12])], net.constants)
    proto.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    path = save(tmp_path / "m.onnx", proto)
    result = made(path, tmp_path / "q.onnx")
    assert result.forms == {"static": 1} and result.differences == ()
    before, after = (open_session(tmp_path / name).run(None, samples(1)[0])[0] for name in ("m.onnx", "q.onnx"))
    assert (before == after).mean() > 0.9
    with pytest.raises(InputError, match="outputs of real numbers, and there are none"):
        made(path, tmp_path / "q.onnx", budget=Budget(agreement=0.9))


def test_layers_before_the_body_that_reads_them(tmp_path: Path):
    net = Net()
    deep = net.op("Relu", net.conv("x", 3, 8, 3))
    condition = net.op("Greater", net.op("ReduceMax", "x", keepdims=0), net.constant(np.float32(-100)))
    bodies = {}
    for name in ("then_branch", "else_branch"):
        inner = [helper.make_node("Conv", [deep, net.weight(8, 8, 1, 1)], [name], name=f"{name}_conv")]
        bodies[name] = helper.make_graph(inner, name, [], [helper.make_tensor_value_info(name, 1, None)])
    chosen = net.op("If", condition, **bodies)
    path = save(tmp_path / "m.onnx", net.model(net.conv(chosen, 8, 4), [1, 3, 12, 12], [1, 4, 12, 12]))
    assert made(path, tmp_path / "q.onnx").forms == {"static": 2}
    assert sqnr(path, tmp_path / "q.onnx") > 30


def test_what_it_takes_is_said_at_the_start(model: Path, tmp_path: Path):
    told: list[str] = []
    stages: list[str] = []
    quantize(model, tmp_path / "q.onnx", samples(9), tell=told.append, progress=stages.append)
    assert told[0].startswith("9 samples from the samples given; memory: ")
    assert "MB of histograms" in told[0]
    assert stages[0] == "calibrating: 8 of 9 samples"
    assert "refining: layer 6 of 6" in stages


def test_pictures(tmp_path: Path):
    image = pytest.importorskip("PIL.Image", reason="needs Pillow")
    rng = np.random.default_rng(0)
    for index in range(4):
        image.fromarray(rng.integers(0, 256, (20, 16, 3), np.uint8)).save(tmp_path / f"{index}.png")
    path, told = save(tmp_path / "m.onnx", mobile()), list[str]()
    how = Options(recipe=parse("efficientnet-lite"))
    result = quantize(path, tmp_path / "q.onnx", tmp_path, how, tell=told.append)
    assert result.samples == 4
    assert told[1].endswith("from=rgb; resize short=14 bicubic; crop 12x12; rgb; scale=1; mean=127; std=128")


@pytest.mark.parametrize("op", ["QAttention", "QGemm", "QLinearAdd"])
def test_operators_that_hold_integers(op: str):
    graph = onnx.parser.parse_model(f"""<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
        g (uint8[2,5,16] x) => (y) {{ y = com.microsoft.{op}(x) }}""")
    assert is_quantised(ir.from_proto(graph))
