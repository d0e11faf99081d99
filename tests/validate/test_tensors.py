"""Noise by tensor: the layer that is made worse is the one that is marked."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgeort.errors import ModelError
from edgeort.quantize import Options, Steps, quantize
from edgeort.quantize.samples import open_samples
from edgeort.validate import noise_of
from edgeort.validate.tensors import MARKED
from edgeort.values import Value
from tests.model.support import make
from tests.quantize.models import mobile, samples, save
from tests.quantize.test_evening import by_convolution, network

INPUT = [Value("x", "float32", (1, 3, 12, 12))]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A float model, and its QDQ model in which the block's first convolution has weights that are wrong."""
    folder = tmp_path_factory.mktemp("models")
    path = save(folder / "m.onnx", mobile())
    plain = Steps(gptq=False, bias_correction=False, compensation=False)
    quantize(path, folder / "q.onnx", samples(8), Options(steps=plain))
    return path, folder / "q.onnx"


def worse(path: Path, out: Path) -> str:
    """Halves the weights of the layer that reads the stem; returns the float name of what it makes."""
    proto = onnx.load(path)
    (weight,) = [t for t in proto.graph.initializer if t.name == "c4_quantized"]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) // 2, weight.name))
    onnx.save(proto, out)
    return "t3"


def test_tensors_stand_in_the_graphs_order_with_their_drops(models: tuple[Path, Path]):
    said: list[str] = []
    found = noise_of(models[1], models[0], open_samples(samples(25), INPUT), said.append)
    assert (
        said[0] == "comparing tensors: 2 of 25 samples"
        and said[-1].startswith("comparing tensors: 25")
        and len(said) < 15
    )
    names = [noise.tensor for noise in found]
    assert names[0] == "x" and names[-1] == "y" and found[-1].made_by == "output"
    assert found[0].drop_db is None and found[0].made_by == "input"
    assert all(20 < noise.sqnr_db < 80 for noise in found)
    by_name = {noise.tensor: noise for noise in found}
    added = next(noise for noise in found if noise.made_by.startswith("Add"))
    assert added.drop_db is not None and abs(added.drop_db) < 20
    assert 1 <= sum(noise.is_marked for noise in found) <= MARKED
    assert len(by_name) == len(found)


def test_the_layer_at_fault_is_marked(models: tuple[Path, Path], tmp_path: Path):
    worse(models[1], tmp_path / "q.onnx")
    found = noise_of(tmp_path / "q.onnx", models[0], open_samples(samples(6), INPUT))
    largest = max(found, key=lambda noise: noise.drop_db or -math.inf)
    assert largest.made_by.startswith("Conv") and largest.is_marked and largest.sqnr_db < 15
    before = found[[noise.tensor for noise in found].index(largest.tensor) - 1]
    assert before.sqnr_db > 25


@pytest.mark.parametrize("depthwise", [True, False])
def test_channels_that_were_evened_out_are_no_error(tmp_path: Path, depthwise: bool):
    path = save(tmp_path / "m.onnx", network(by_convolution, depthwise=depthwise))
    made = quantize(path, tmp_path / "q.onnx", samples(8), Options(steps=Steps(gptq=False)))
    assert made.evened == depthwise  # else by equalisation across the two layers
    found = noise_of(tmp_path / "q.onnx", path, open_samples(samples(6), INPUT))
    (evened,) = [noise for noise in found if noise.is_evened]
    assert evened.made_by.startswith("Conv") and evened.sqnr_db > 30  # -0.1 dB beside the tensor before its Relu
    (relu,) = [str(node.output[0]) for node in onnx.load(path).graph.node if node.op_type == "Relu"]
    assert evened.tensor == relu
    assert all(noise.sqnr_db > 20 for noise in found)


@pytest.mark.parametrize("shape", [(1, 20, 16), (8, 16)])
def test_operands_of_a_concat_along_the_last_axis(tmp_path: Path, shape: tuple[int, ...]):
    """Its small one has factors; in a matrix nothing tells them from noise."""
    rng, dims = np.random.default_rng(0), ",".join(map(str, shape[:-1]))
    w, v, u = (rng.standard_normal(size).astype(np.float32) for size in ((16, 32), (16, 32), (64, 8)))
    v /= 100
    u[32:] *= 100
    text = f"""g (float[{dims},16] x) => (float[{dims},8] y) {{ a = MatMul(x, w)  r = Relu(a)  b = MatMul(x, v)
        c = Relu(b)  k = Concat<axis=-1>(r, c)  y = MatMul(k, u) }}"""
    path = save(tmp_path / "m.onnx", make(text, w=w, v=v, u=u))
    given = [{"x": rng.standard_normal(shape).astype(np.float32)} for _ in range(6)]
    quantize(path, tmp_path / "q.onnx", given)
    found = noise_of(tmp_path / "q.onnx", path, open_samples(given, [Value("x", "float32", shape)]))
    assert [noise.tensor for noise in found if noise.is_evened] == (["c", "k"] if len(shape) == 3 else [])
    assert found[-1].tensor == "y" and all(noise.sqnr_db > 30 for noise in found)


def test_sequences_of_several_lengths(tmp_path: Path):
    rng = np.random.default_rng(3)
    w, v = (rng.standard_normal(shape).astype(np.float32) for shape in ((16, 32), (32, 8)))
    proto = make("g (float[1,n,16] x) => (float[1,n,8] y) { h = MatMul(x, w)  y = MatMul(h, v) }", w=w, v=v)
    path, sizes = save(tmp_path / "m.onnx", proto), (5, 7)
    given = [{"x": rng.standard_normal((1, n, 16)).astype(np.float32)} for n in sizes]
    quantize(path, tmp_path / "q.onnx", given)
    found = noise_of(tmp_path / "q.onnx", path, open_samples(given, [Value("x", "float32", (1, "n", 16))]))
    assert [noise.tensor for noise in found] == ["x", "h", "y"] and all(noise.sqnr_db > 25 for noise in found)


def test_models_that_share_nothing_are_refused(models: tuple[Path, Path]):
    with pytest.raises(ModelError, match="no quantised tensor that") as caught:
        noise_of(models[0], models[0], open_samples(samples(2), INPUT))
    assert "edgeort quantize" in str(caught.value.hint)


def test_models_of_onnx_runtime(models: tuple[Path, Path], tmp_path: Path):
    tools = pytest.importorskip("onnxruntime.quantization")

    class Reader(tools.CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(samples(6))

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.left, None)

    tools.quantize_static(str(models[0]), str(tmp_path / "q.onnx"), Reader(), per_channel=True)
    found = noise_of(tmp_path / "q.onnx", models[0], open_samples(samples(6), INPUT))
    assert found[0].tensor == "x" and found[-1].tensor == "y" and len(found) > 6
