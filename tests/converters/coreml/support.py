"""One way from an ONNX model to the outputs of its saved package, beside those of ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper

from edgeort import model
from edgeort.converters import coreml
from edgeort.ort import open_session
from tests.converters.coreml.evaluator import Program

FLOAT32 = coreml.Options(precision="float32", min_os="17.0")
TYPES = {
    np.dtype("float32"): TensorProto.FLOAT,
    np.dtype("int64"): TensorProto.INT64,
    np.dtype("bool"): TensorProto.BOOL,
}


class Graph:
    """A model in the making: every node's outputs are outputs of the model, so that one package tests many nodes."""

    def __init__(self, feeds: Mapping[str, np.ndarray], opset: int = 18, free: Sequence[str] = ()) -> None:
        self.feeds, self.opset, self.free = dict(feeds), opset, set(free)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.outputs: list[str] = []

    def add(self, op: str, *inputs: str | np.ndarray | None, outputs: int = 1, domain: str = "", **attributes) -> str:
        """A node; arrays become constants, None is left out. Returns its first output."""
        names = [self._name(one) for one in inputs]
        made = [f"{op.lower()}_{len(self.nodes)}{'_' + str(index) if index else ''}" for index in range(outputs)]
        self.nodes.append(helper.make_node(op, names, made, name=made[0], domain=domain, **attributes))
        self.outputs += made
        return made[0]

    def _name(self, one: str | np.ndarray | None) -> str:
        if one is None or isinstance(one, str):
            return one or ""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(one), name))
        return name

    def proto(self) -> onnx.ModelProto:
        inputs = [
            helper.make_tensor_value_info(
                name,
                TYPES[array.dtype],
                [f"{name}_{axis}" if name in self.free else size for axis, size in enumerate(array.shape)],
            )
            for name, array in self.feeds.items()
        ]
        read = {name for node in self.nodes for name in node.input}
        outputs = [onnx.ValueInfoProto(name=name) for name in self.outputs]
        graph = helper.make_graph(self.nodes, "g", [one for one in inputs if one.name in read], outputs, self.constants)
        opsets = [helper.make_opsetid("", self.opset)]
        return onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=opsets, ir_version=10))


def cleaned(proto: onnx.ModelProto, folder: Path, shapes: Sequence[str] = ()) -> ir.Model:
    """The model as the emitter takes it."""
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return model.clean(model.load(path, shapes=model.parse_shapes(shapes)))


def evaluate(package: coreml.Package, feeds: Mapping[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    """Saves the package and runs its program; ONNX's names in and out."""
    program = Program(package.save(folder / "model.mlpackage"))
    found = program.run({one.feature: feeds[one.name].reshape(one_shape(one, feeds)) for one in package.inputs})
    return {one.name: found[one.feature] for one in package.outputs}


def one_shape(feature: coreml.Feature, feeds: Mapping[str, np.ndarray]) -> tuple[int, ...]:
    """The array's own shape; a single number is a vector of one."""
    return feeds[feature.name].shape or (1,)


def reference(proto: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """ONNX Runtime's outputs, node by node as ONNX says: optimised, it multiplies int8 weights by rounded rows."""
    session = open_session(proto.SerializeToString(), optimised=False)
    names = [one.name for one in session.get_outputs()]
    given = {one.name: feeds[one.name] for one in session.get_inputs()}
    return dict(zip(names, session.run(names, given), strict=True))


def check(
    graph: Graph,
    folder: Path,
    options: coreml.Options = FLOAT32,
    tolerance: float = 2e-5,
    shapes: Sequence[str] = (),
) -> coreml.Package:
    """Nothing is refused, and every output is ONNX Runtime's within `tolerance` of its greatest number."""
    proto = graph.proto()
    ready = cleaned(proto, folder, shapes)
    assert [(node.name, reason) for node, reason in coreml.refusals(ready, options)] == []
    package = coreml.emit(ready, options)
    found = evaluate(package, graph.feeds, folder)
    want = reference(proto, graph.feeds)
    assert set(found) == set(want)
    problems = []
    for name, array in want.items():
        array = array if array.ndim else array.reshape(1)
        ours = found[name]
        if ours.shape != array.shape:
            problems.append(f"{name}: shape {ours.shape}, not {array.shape}")
            continue
        wide, scale = array.astype(np.float64), max(1.0, float(np.abs(array.astype(np.float64)).max(initial=0)))
        both_nan = np.isnan(wide) & np.isnan(ours.astype(np.float64))
        off = float(np.where(both_nan, 0, np.abs(ours - wide)).max(initial=0))
        if not off <= tolerance * scale:
            problems.append(f"{name}: off by {off:.3g} where the greatest is {scale:.3g}")
    assert not problems, "\n".join(problems)
    return package
