"""Removed channels are gone everywhere, and those that meant nothing are not missed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeort.ort import open_session
from edgeort.passes.edit import constant
from edgeort.quantize.preparing import Prepared, prepare
from edgeort.quantize.pruning.choosing import last_ones, order
from edgeort.quantize.pruning.groups import find_groups
from edgeort.quantize.pruning.removing import Remover
from edgeort.quantize.pruning.statistics import gather
from edgeort.quantize.pruning.tracing import trace
from edgeort.quantize.store import Store
from tests.quantize.models import Net, mobile
from tests.quantize.pruning.graphs import SIDE, networks


def prepared_of(model: onnx.ModelProto) -> Prepared:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.onnx"
        onnx.save(model, path)
        return prepare(path)


def remover_of(prepared: Prepared, store: Store, side: int, count: int = 12) -> Remover:
    rng = np.random.default_rng(0)
    for index in range(count):
        store.put("x", index, rng.standard_normal((1, 3, side, side)).astype(np.float32))
    store.samples = count
    layers = [tied.layer for tied in trace(prepared.model.graph).layers]
    return Remover(prepared, gather(prepared, layers, store), store)


def run(model: bytes, store: Store, sample: int = 0) -> np.ndarray:
    return np.asarray(open_session(model, threads=1).run(None, {"x": store.get("x", sample)})[0])


@settings(max_examples=25, deadline=None)
@given(networks(), st.data())
def test_channels_that_nothing_listens_to_are_not_missed(model: onnx.ModelProto, data: st.DataObject):
    prepared = prepared_of(model)
    tracker = trace(prepared.model.graph)
    groups, _ = find_groups(tracker)
    free = sorted({root for group in groups for root in group.roots.tolist()})
    with Store() as store:
        rough = remover_of(prepared, store, SIDE)
        orders = [order(group, rough.reads) for group in groups]
        gone = set(data.draw(st.sets(st.sampled_from(free)) if free else st.just(set()))) - last_ones(tracker, orders)
        for tied in tracker.layers:  # no layer listens to them
            if tied.reads is not None and tied.layer.groups == 1:
                weight = tied.layer.weight.copy()
                np.moveaxis(weight, 1 - tied.layer.weight_axis, 0)[np.isin(tracker.roots(tied.reads), list(gone))] = 0
                tracker.set_constant(tied.layer.node, 1, weight)
        remover = Remover(prepared, rough.reads, store)
        for refit in (False, True):
            made = remover.remove(gone, refit=refit)
            before, after = run(prepared.serialized, store), run(made, store)
            np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-3 * max(np.abs(before).max(), 1))
        assert weights(made) < weights(prepared.serialized) or not gone


def weights(model: bytes) -> int:
    return sum(int(np.prod(tensor.dims)) for tensor in onnx.ModelProto.FromString(model).graph.initializer)


@settings(max_examples=25, deadline=None)
@given(networks(), st.data())
def test_any_channels_leave_a_model_that_runs(model: onnx.ModelProto, data: st.DataObject):
    prepared = prepared_of(model)
    tracker = trace(prepared.model.graph)
    groups, _ = find_groups(tracker)
    with Store() as store:
        remover = remover_of(prepared, store, SIDE, count=4)
        orders = [order(group, remover.reads) for group in groups]
        free = sorted({root for group in groups for root in group.roots.tolist()} - last_ones(tracker, orders))
        gone = data.draw(st.sets(st.sampled_from(free)) if free else st.just(set()))
        made = remover.remove(gone, refit=False)
        assert run(made, store).shape == (1, 5)
        widths = {tied.layer.name: int(tracker.alive(gone)(tied.makes).sum()) for tied in tracker.layers}
    for node in ir.from_proto(onnx.ModelProto.FromString(made)).graph:
        if node.op_type in ("Conv", "Gemm"):
            weight = constant(node.inputs[1])
            assert weight is not None and weight.shape[0] == widths[str(node.name)]


def test_a_layer_makes_up_for_channels_that_others_say_too():
    net = Net(3)
    wide = net.conv("x", 3, 8)  # linear, of three inputs: five channels are sums of others
    prepared = prepared_of(net.model(net.conv(wide, 8, 4), [1, 3, 5, 5], [1, 4, 5, 5]))
    with Store() as store:
        remover = remover_of(prepared, store, 5)
        (group,), _ = find_groups(trace(prepared.model.graph))
        found = order(group, remover.reads)
        reference = run(prepared.serialized, store)
        errors = []
        for refit in (False, True):
            made = run(remover.remove(found.roots[:4].tolist(), refit=refit), store)
            errors.append(float(((made - reference) ** 2).mean() / reference.var()))
        assert max(errors) < 1e-3
        assert found.errors[3] < 0.05 < found.errors[-2]


def test_fitting_serves_what_is_behind():
    prepared = prepared_of(mobile(width=16))
    with Store() as store:
        remover = remover_of(prepared, store, 12, count=40)
        groups, _ = find_groups(trace(prepared.model.graph))
        gone = {root for group in groups for root in order(group, remover.reads).roots[: group.size // 4].tolist()}
        reference = [run(prepared.serialized, store, i) for i in range(40)]
        noise = []
        for refit in (False, True):
            made = remover.remove(gone, refit=refit)
            noise.append(sum(float(((run(made, store, i) - r) ** 2).sum()) for i, r in enumerate(reference)))
        assert noise[1] < noise[0]


@pytest.mark.parametrize("refit", [False, True])
@pytest.mark.parametrize("operator", ["ConvTranspose", "MatMul", "MatMul and Add"])
def test_other_layers(operator: str, refit: bool):
    net = Net(1)
    if operator == "ConvTranspose":
        wide = net.op("Relu", net.conv("x", 3, 8))
        out, shape = net.op("ConvTranspose", wide, net.weight(8, 4, 2, 2), strides=[2, 2]), [1, 4, 8, 8]
    else:
        last = net.op("Transpose", "x", perm=[0, 2, 3, 1])
        wide = net.op("Relu", net.op("Add", net.op("MatMul", last, net.weight(3, 8)), net.weight(8)))
        out, shape = net.op("MatMul", wide, net.weight(8, 4)), [1, 4, 4, 4]
        if operator == "MatMul and Add":
            out = net.op("Add", net.weight(4), out)
    prepared = prepared_of(net.model(out, [1, 3, 4, 4], shape))
    with Store() as store:
        remover = remover_of(prepared, store, 4, count=40)
        (group,), _ = find_groups(trace(prepared.model.graph))
        reference, found = run(prepared.serialized, store), order(group, remover.reads)
        errors = []
        for count in (1, 6):
            made = run(remover.remove(found.roots[:count].tolist(), refit=refit), store)
            assert made.shape == reference.shape
            errors.append(float(((made - reference) ** 2).sum() / (reference**2).sum()))
        assert errors[0] < 0.2 and errors[0] < errors[1]
