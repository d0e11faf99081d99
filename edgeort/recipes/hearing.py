"""A recipe for sound in front of a model: bound to one of its inputs, and as nodes of its graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common

from edgeort.errors import BundleError, InputError
from edgeort.model import infer_shapes
from edgeort.ort import open_session
from edgeort.recipes.sound import FLAG, Sound, read_sound
from edgeort.recipes.sound_nodes import Head
from edgeort.values import Value, listed

if TYPE_CHECKING:
    import onnxruntime

LEAST_OPSET = 11  # whose Pad has what the nodes need
IR_VERSION = 9
GOLDEN_SAMPLES = 1 << 15  # at least


@dataclass(frozen=True)
class Hearing:
    """`sound` makes the model's input `value` of a signal. The built model's input of that name is the signal."""

    sound: Sound
    value: Value

    @property
    def signal(self) -> Value:
        """The input as it is with the recipe in the graph."""
        dtype = "int16" if self.sound.is_int16 else "float32"
        return Value(self.value.name, dtype, (f"{self.value.name}_samples",))

    def golden(self) -> np.ndarray:
        """A second or more: a triangle whose frequency rises to a quarter of the rate, and noise. Exact numbers."""
        samples = max(self.sound.rate, GOLDEN_SAMPLES)
        at = np.arange(samples, dtype=np.int64)
        phase = (at * at * (1 << 13) // samples) % (1 << 16)
        wave = np.abs(phase - (1 << 15)) - (1 << 14)
        noise = (at * 1103515245 + 12345) % (1 << 31) >> 21
        made = (wave + noise - (1 << 9)).astype(np.int16)
        return made if self.sound.is_int16 else made.astype(np.float32) / np.float32(32768)

    def inputs(self, values: Sequence[Value]) -> tuple[Value, ...]:
        """The model's inputs with the signal in its place."""
        return tuple(self.signal if value.name == self.value.name else value for value in values)

    def text(self) -> str:
        """The canonical recipe."""
        return self.sound.text

    def prepared(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Feeds with a signal as the model takes them: what ONNX Runtime makes of it by the same nodes.

        InputError where the recipe makes nothing of it, or what has another shape than the model's input.
        """
        name = self.value.name
        signal: np.ndarray = np.asarray(feeds[name])
        try:
            (made,) = self._session.run(None, {name: signal})
        except Exception as error:  # its exceptions have no common base
            raise InputError(f"the recipe makes nothing of a signal of {signal.size} samples") from error
        dims = zip(self.value.shape or made.shape, made.shape, strict=True)
        if any(isinstance(dim, int) and dim != size for dim, size in dims):
            raise InputError(
                f"the recipe makes {list(made.shape)} of a signal of {signal.size} samples; the model takes "
                f"{self.value.text()}",
                hint="fit SAMPLES in the recipe makes all signals equally long",
            )
        return {**feeds, name: made}

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        return open_session(ir.to_proto(self._model(17)).SerializeToString())

    def to_dict(self) -> dict[str, Any]:
        """What a manifest says."""
        return {"recipe": self.sound.text, "input": self.value.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Hearing:
        """The inverse of `to_dict`. BundleError for what is none."""
        try:
            return hear(read_sound(data["recipe"]), [Value.from_dict(data["input"])])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BundleError("the manifest's recipe is incomplete", hint="build the bundle again") from error

    def attach(self, model: ir.Model) -> None:
        """Puts the nodes in front of the model, in place. InputError for an opset that lacks what they need."""
        version = model.opset_imports.get("", 1)
        if version < LEAST_OPSET:
            raise InputError(
                f"{FLAG}: the model is of opset {version}, and the recipe's nodes need {LEAST_OPSET} or newer",
                hint=f"export the model with opset_version={LEAST_OPSET} or newer",
            )
        graph, head = model.graph, self._model(version).graph
        old = next(value for value in graph.inputs if value.name == self.value.name)
        signal, made = head.inputs[0], head.outputs[0]
        nodes, constants = list(head), list(head.initializers.values())
        head.inputs.clear()
        head.outputs.clear()
        head.initializers.clear()
        head.remove(nodes)
        old.replace_all_uses_with(made, replace_graph_outputs=True)
        graph.inputs[list(graph.inputs).index(old)] = signal
        made.shape, made.type = old.shape, old.type
        for constant in constants:
            graph.register_initializer(constant)
        graph.insert_before(next(iter(graph)), nodes)

    def _model(self, opset: int) -> ir.Model:
        """The nodes as a model of their own, from the signal to `preprocess.made`."""
        signal, rank = self.signal, len(self.value.shape or ())
        head = self.sound.write(signal.name, opset, rank)
        for node in head.nodes:
            node.name = f"{head.prefix}{node.op_type}.{node.output[0].removeprefix(head.prefix)}"
        last = f"{head.prefix}made"
        head.nodes.append(onnx.helper.make_node("Identity", [head.value], [last], name=last))
        kind = ir.DataType.from_numpy(signal.array_dtype).value
        graph = onnx.helper.make_graph(
            head.nodes,
            "preprocess",
            [onnx.helper.make_tensor_value_info(signal.name, kind, list(signal.shape or ()))],
            [onnx.helper.make_tensor_value_info(last, onnx.TensorProto.FLOAT, [None] * rank)],
        )
        imports = [onnx.helper.make_opsetid("", opset)]
        model = ir.from_proto(onnx.helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION))
        lift = common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)
        return infer_shapes(lift(model).model)


def hear(sound: Sound, inputs: Sequence[Value]) -> Hearing:
    """The recipe for the input that it names, or the only one of float32. InputError where it does not fit."""
    floats = [value for value in inputs if value.dtype == "float32" and value.shape]
    found = [value for value in floats if sound.input in (None, value.name)]
    if len(found) != 1:
        names = "; ".join(value.name for value in floats)
        hint = f'{FLAG} "input={floats[0].name}; ..."' if floats else None
        raise InputError(
            f"{FLAG}: sound becomes one input of float32, and those are {names or listed(inputs)}", hint=hint
        )
    value = found[0]
    head = sound.write("signal", LEAST_OPSET + 6, len(value.shape or ()))
    _check(sound, head, value)
    return Hearing(sound, value)


def _check(sound: Sound, head: Head, value: Value) -> None:
    """InputError where the recipe's result has another shape than the model's input."""
    own: tuple[int | None, ...] = (head.samples,) if head.shape is None else head.shape
    own = own[::-1] if sound.frames_first else own
    dims = value.shape or ()
    made = [*[1] * (len(dims) - len(own)), *own]
    for axis, (dim, size) in enumerate(zip(dims, made, strict=True)):
        if not isinstance(dim, int) or dim == size:
            continue
        text = ", ".join("?" if size is None else str(size) for size in made)
        turned = len(own) == 2 and dims[-2:] == own[::-1]
        longer = "fit SAMPLES makes all signals equally long" if size is None else None
        raise InputError(
            f"{FLAG}: the recipe makes [{text}], and axis {axis} of the model's input differs: {value.text()}",
            hint="layout=frames-first" if turned else longer,
        )
