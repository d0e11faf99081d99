"""Channels far apart are evened out by constants and gates that stand there anyway; the float model stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort.model import load
from edgeort.ort import open_session
from edgeort.quantize import Options, quantize
from edgeort.quantize.evening import divide, factors, spreads
from edgeort.quantize.extremes import Reach
from edgeort.quantize.gates import gates
from edgeort.quantize.preparing import prepare
from edgeort.quantize.refinement import Steps
from edgeort.quantize.result import Result
from edgeort.quantize.selection import select
from tests.quantize.models import SIDE, Net, samples, save

CHANNELS = 16
SIZES = np.geomspace(0.02, 2, CHANNELS).astype(np.float32).reshape(-1, 1, 1, 1)
PLAIN = Options(steps=Steps(equalisation=False))


def by_affine(net: Net, x: str) -> str:
    """Behind a function, a factor and a summand for all channels."""
    made = net.op("HardSwish", net.op("Conv", x, drawn(net, CHANNELS, 3, 1, 1, times=SIZES)))
    return net.op(
        "Add", net.op("Mul", net.constant(np.full(1, 3, np.float32)), made), net.constant(np.full(1, -0.01, np.float32))
    )


def by_division(net: Net, x: str) -> str:
    """A number a channel, less one for all."""
    made = net.op("Relu", net.conv(x, 3, CHANNELS))
    divided = net.op("Div", made, net.constant(1 / SIZES[np.newaxis, :, 0]))
    return net.op("Sub", divided, net.constant(np.array(0.01, np.float32)))


def by_gate(net: Net, x: str) -> str:
    """A gate, of channels that are apart before it."""
    made = net.op("HardSwish", net.op("Conv", x, drawn(net, CHANNELS, 3, 1, 1, times=SIZES)))
    gate = net.op("HardSigmoid", net.conv(net.op("GlobalAveragePool", made), CHANNELS, CHANNELS))
    return net.op("Mul", gate, made)


def by_convolution(net: Net, x: str) -> str:
    """A convolution and a Relu."""
    return net.op("Relu", net.op("Conv", x, drawn(net, CHANNELS, 3, 1, 1, times=SIZES)))


def drawn(net: Net, *shape: int, times: np.ndarray | float = 1.0) -> str:
    return net.constant((net.rng.standard_normal(shape) * times).astype(np.float32))


def network(make: Callable[[Net, str], str], *, depthwise: bool = False, behind: str = "") -> onnx.ModelProto:
    """What `make` adds, and a convolution with weights that are as much larger where channels are small.

    `behind` is an operator that reads the tensor, too.
    """
    net = Net()
    value = make(net, "x")
    if depthwise:
        weight = drawn(net, CHANNELS, 1, 3, 3, times=1 / SIZES)
        found = net.op("Conv", value, weight, pads=[1] * 4, group=CHANNELS)
    else:
        found = net.op("Conv", value, drawn(net, 8, CHANNELS, 1, 1, times=1 / SIZES.reshape(1, -1, 1, 1)))
    if behind:
        found = net.op("Concat", found, net.op(behind, value), axis=1)
    return net.model(found, [1, 3, SIDE, SIDE], [1, "channels", SIDE, SIDE])


def int8(folder: Path, model: onnx.ModelProto, options: Options | None = None) -> tuple[Result, Counter[str]]:
    """The result, and how many operators of each kind the int8 model has."""
    made = quantize(save(folder / "m.onnx", model), folder / "q.onnx", samples(24), options)
    return made, Counter(node.op_type for node in load(folder / "q.onnx").graph)


@pytest.mark.parametrize("make", [by_affine, by_division, by_gate])
@pytest.mark.parametrize("runtime", ["onnx", "edgeort"])
def test_noise_falls_and_nothing_is_added_but_a_factor_on_a_gate(
    tmp_path: Path, make: Callable[[Net, str], str], runtime: str
) -> None:
    even, ops = int8(tmp_path, network(make), Options(runtime=runtime))
    plain, before = int8(tmp_path, network(make), PLAIN)
    assert even.evened == 1 and plain.evened == 0
    assert even.differences[0].sqnr_db > plain.differences[0].sqnr_db + 3
    assert ops - before == ({"Mul": 1} if make is by_gate else {}) and not before - ops


@pytest.mark.parametrize("make", [by_affine, by_convolution])
def test_plain_pairs_before_depthwise_layers_are_as_good_as_scales_for_channels(
    tmp_path: Path, make: Callable[[Net, str], str]
) -> None:
    model = network(make, depthwise=True)
    even, _ = int8(tmp_path, model)
    scales = [t for t in onnx.load(tmp_path / "q.onnx").graph.initializer if t.name.endswith("_even_scale")]
    assert even.evened == 1 and [list(t.dims) for t in scales if t.name.startswith("t")] == [[]]
    own, _ = int8(tmp_path, model, Options(steps=Steps(equalisation=False), runtime="edgeort"))
    plain, _ = int8(tmp_path, model, PLAIN)
    assert own.scales is not None and own.scales.used
    assert even.differences[0].sqnr_db > plain.differences[0].sqnr_db + 3
    assert even.differences[0].sqnr_db == pytest.approx(own.differences[0].sqnr_db, abs=0.5)


@pytest.mark.parametrize("make", [by_affine, by_division, by_gate, by_convolution])
@pytest.mark.parametrize("depthwise", [False, True])
def test_the_float_model_stays(tmp_path: Path, make: Callable[[Net, str], str], depthwise: bool) -> None:
    path = save(tmp_path / "m.onnx", network(make, depthwise=depthwise))
    prepared = prepare(path)
    graph = prepared.model.graph
    found = list(spreads(graph, select(graph)))
    assert len(found) == (depthwise or make is not by_convolution)
    before = open_session(prepared.serialized, threads=1)
    for spread in found:
        divide(graph, spread, np.geomspace(0.1, 10, CHANNELS), gates(graph))
    after = open_session(prepared.serialized, threads=1)
    for sample in samples(2):
        wanted, got = before.run(None, sample)[0], after.run(None, sample)[0]
        assert np.abs(wanted - got).max() < 1e-5 * np.abs(wanted).max()


def spatial(net: Net, x: str) -> str:
    """Numbers for pixels, not for channels."""
    made = net.op("Relu", net.conv(x, 3, CHANNELS))
    return net.op("Mul", made, net.constant(np.linspace(1, 2, SIDE, dtype=np.float32)))


def function_last(net: Net, x: str) -> str:
    """No constants behind the function."""
    return net.op("HardSwish", net.op("Conv", x, drawn(net, CHANNELS, 3, 1, 1, times=SIZES)))


def summed(net: Net, x: str) -> str:
    """What the constant is added to has another reader."""
    made = net.op("Mul", net.op("Relu", net.conv(x, 3, CHANNELS)), net.constant(np.array(2, np.float32)))
    return net.op("Add", net.op("Add", made, net.constant(np.array(0.1, np.float32))), made)


@pytest.mark.parametrize(
    "model",
    [network(spatial), network(function_last), network(summed), network(by_affine, behind="Sigmoid")],
    ids=["pixels", "function", "two readers", "another reader"],
)
def test_others_stay(tmp_path: Path, model: onnx.ModelProto) -> None:
    graph = prepare(save(tmp_path / "m.onnx", model)).model.graph
    assert not list(spreads(graph, select(graph)))


def test_a_convolution_that_is_excluded_keeps_its_weights(tmp_path: Path) -> None:
    graph = prepare(save(tmp_path / "m.onnx", network(by_convolution, depthwise=True))).model.graph
    assert len(list(spreads(graph, select(graph)))) == 1 and not list(spreads(graph, select(graph, ["n0"])))


def test_without_samples_to_find_ranges_from_nothing_is_done(tmp_path: Path) -> None:
    made, _ = int8(tmp_path, network(by_affine), Options(save_ranges=tmp_path / "ranges.json"))
    again, _ = int8(tmp_path, network(by_affine), Options(ranges=tmp_path / "ranges.json"))
    assert made.evened == 1 and again.evened == 0
    assert "_even" not in (tmp_path / "ranges.json").read_text()


def test_readers_of_other_kernel_sizes(tmp_path: Path) -> None:
    """As branches that read one gated tensor: each has as many taps as its kernel."""
    net = Net()
    value = by_gate(net, "x")
    over = 1 / SIZES.reshape(1, -1, 1, 1)
    one = net.op("Conv", value, drawn(net, 8, CHANNELS, 1, 1, times=over))
    three = net.op("Conv", value, drawn(net, 8, CHANNELS, 3, 3, times=over), pads=[1] * 4)
    model = net.model(net.op("Concat", one, three, axis=1), [1, 3, SIDE, SIDE], [1, 16, SIDE, SIDE])
    even, _ = int8(tmp_path, model)
    plain, _ = int8(tmp_path, model, PLAIN)
    assert even.evened == 1 and even.differences[0].sqnr_db > plain.differences[0].sqnr_db + 3


def test_a_gate_of_one_number_for_all_channels_gets_one_for_each(tmp_path: Path) -> None:
    net = Net()
    made = net.op("HardSwish", net.op("Conv", "x", drawn(net, CHANNELS, 3, 1, 1, times=SIZES)))
    value = net.op("Mul", made, net.op("Sigmoid", net.conv(net.op("GlobalAveragePool", made), CHANNELS, 1)))
    found = net.op("Conv", value, drawn(net, 8, CHANNELS, 1, 1, times=1 / SIZES.reshape(1, -1, 1, 1)))
    model = net.model(found, [1, 3, SIDE, SIDE], [1, 8, SIDE, SIDE])
    even, _ = int8(tmp_path, model)
    onnx.shape_inference.infer_shapes(onnx.load(tmp_path / "q.onnx"), check_type=True, strict_mode=True)
    plain, _ = int8(tmp_path, model, PLAIN)
    assert even.evened == 1 and even.differences[0].sqnr_db > plain.differences[0].sqnr_db + 3


def test_the_second_pass_over_the_samples_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    path = save(tmp_path / "m.onnx", network(by_affine))
    quantize(path, tmp_path / "q.onnx", samples(24), PLAIN, progress=said.append)
    assert not [line for line in said if "evening" in line]
    quantize(path, tmp_path / "q.onnx", samples(24), progress=said.append)
    at = said.index("evening out channels: ranges of 1 tensor(s) once more")
    assert said[at + 1].startswith("calibrating: ")


def test_factors() -> None:
    def reach(sizes: np.ndarray) -> Reach:
        return Reach(-sizes, sizes, np.linspace(-sizes, sizes, 100, axis=1))

    sizes = np.geomspace(0.1, 1, 8)
    one = np.ones((4, 8, 1, 1))
    found = factors(reach(sizes), [one / sizes.reshape(1, -1, 1, 1)])
    assert found is not None and np.allclose(sizes / found, (sizes / found)[0]), "all as large as one another"
    assert factors(reach(np.ones(8)), [one]) is None
    assert factors(reach(np.zeros(8)), [one]) is None
    assert (
        factors(reach(np.array([1, *[1e-3] * 7])), [one / np.array([1e3, *[1] * 7]).reshape(1, -1, 1, 1)]) is not None
    )
