"""float16 and bfloat16 are computed in float32 from the graph's inputs to its outputs.

    y = Relu(Conv(x, w))       ->   y = Cast<float16>(Relu(Conv(Cast<float>(x), float32 of w)))

Between them nothing is rounded but by a Cast that the model has, which is what ONNX Runtime's CPU kernels do. Tables
that operators only pick from stay as they are. The bodies of If and Loop are graphs of their own, which are rewritten
when they are lowered. Weights go back to float16 where they are stored (lowering/compressed.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from edgeort.passes.context import PassContext
from edgeort.passes.edit import add_constant, constant, integer, new_node, set_attribute, unique_name

NARROW = frozenset((ir.DataType.FLOAT16, ir.DataType.BFLOAT16))

# Operators that never look at the value of a float.
MOVES = frozenset(
    (
        "Compress", "Concat", "ConstantOfShape", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements",
        "GatherND", "Identity", "Reshape", "ReverseSequence", "Shape", "Size", "Slice", "SpaceToDepth", "Split",
        "Squeeze", "Tile", "Transpose", "Trilu", "Unsqueeze", "Where",
    )
)  # fmt: skip


def widen_halves(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph; returns how many nodes compute in float32 now."""
    return _Widening(model, ctx).run()


def _is_narrow(value: ir.Value | None) -> bool:
    return value is not None and isinstance(value.type, ir.TensorType) and value.dtype in NARROW


@dataclass
class _Widening:
    model: ir.Model
    ctx: PassContext
    made: dict[ir.Value, ir.DataType] = field(default_factory=dict)  # what is float32 now, and was of this type
    wide: dict[ir.Value, ir.Value] = field(default_factory=dict)  # float32 forms of what is still narrow
    narrow: dict[ir.Value, ir.Value] = field(default_factory=dict)  # and the reverse

    def run(self) -> int:
        nodes = [node for node in self.model.graph if any(map(_is_narrow, (*node.inputs, *node.outputs)))]
        for node in nodes:
            if any(v is not None and v.name and v.type is None for v in (*node.inputs, *node.outputs)):
                self.ctx.refuse("widen_halves", node, "the type of one of its values is not known")
                return 0
        count = 0
        for node in nodes:
            if self._widens(node):
                self._widen(node)
                count += 1
            elif node.op_type != "Cast" or node.domain:
                self._keep(node)
        for inner in list(self.model.graph.subgraphs()):
            for index, output in enumerate(inner.outputs):
                if output in self.made:
                    inner.outputs[index] = self._narrow(output)
        for value in list(self.made):
            self._restore(value)
        return count

    def _widens(self, node: ir.Node) -> bool:
        """Whether the node works on float32: what computes does, what moves follows what it moves."""
        graphs = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
        if (
            any(attr.type in graphs for attr in node.attributes.values())
            or node.op_identifier() in self.model.functions
        ):
            return False
        values = [value for value in (*node.inputs, *node.outputs) if value is not None and value.name]
        if not all(isinstance(value.type, ir.TensorType) for value in values):
            return False
        if node.domain == "" and node.op_type in MOVES:
            return any(value in self.made for value in node.inputs)
        return node.domain != "" or node.op_type not in ("BitCast", "Cast", "CastLike")

    def _widen(self, node: ir.Node) -> None:
        for index, value in enumerate(node.inputs):
            if value is not None and _is_narrow(value):
                node.replace_input_with(index, self._wide(value))
        for value in node.outputs:
            if _is_narrow(value) and value.dtype is not None:
                self.made[value] = value.dtype
                value.type = ir.TensorType(ir.DataType.FLOAT)  # a new one: clones share theirs
        for name in ("dtype", "output_dtype"):
            if integer(node, name, 0) in NARROW:
                set_attribute(node, name, int(ir.DataType.FLOAT))

    def _keep(self, node: ir.Node) -> None:
        """Gives a node that stays as it is what is of float32 now in the type that it was of."""
        for index, value in enumerate(node.inputs):
            if value in self.made:
                node.replace_input_with(index, self._narrow(value))

    def _restore(self, value: ir.Value) -> None:
        """As an output of the graph, and where its subgraphs read it, a value is of the type that it was of."""
        graph = self.model.graph
        for user, index in list(value.uses()):
            if user.graph is not graph:
                user.replace_input_with(index, self._narrow(value))
        if value.is_graph_output():
            result, name = self._narrow(value), value.name
            for index, output in enumerate(graph.outputs):
                if output is value:
                    graph.outputs[index] = result
            value.name = unique_name(graph, f"{name}_wide")
            result.name = name

    def _wide(self, value: ir.Value) -> ir.Value:
        if value not in self.wide:
            array = constant(value)
            if array is not None:
                self.wide[value] = add_constant(self.model.graph, array.astype(np.float32), f"{value.name}_wide")
            else:
                self.wide[value] = self._cast(value, ir.DataType.FLOAT)
        return self.wide[value]

    def _narrow(self, value: ir.Value) -> ir.Value:
        if value not in self.narrow:
            self.narrow[value] = self._cast(value, self.made[value])
        return self.narrow[value]

    def _cast(self, value: ir.Value, to: ir.DataType) -> ir.Value:
        graph, producer = self.model.graph, value.producer()
        node = new_node(graph, "Cast", [value], {"to": int(to)}, stem=f"{value.name}_cast")
        node.outputs[0].type, node.outputs[0].shape = ir.TensorType(to), value.shape
        if producer is None:
            graph.insert_before(graph[0], node)
        else:
            graph.insert_after(producer, node)
        return node.outputs[0]
