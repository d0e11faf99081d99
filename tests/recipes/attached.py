"""Runs a recipe's nodes: in our runtime, at every ISA level and thread count, and in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from edgeort.engine import Engine
from edgeort.recipes.postprocessing import Attached, attach, read_postprocessing
from edgeort.recipes.tail import Before, Sight
from tests.contract.engines import levels, library
from tests.kernels.support import parse, plan_of, reference, same_bits


def behind(
    model: onnx.ModelProto, recipe: str, size: tuple[int, int] | None = None, sight: Sight | None = None
) -> Attached:
    """The recipe behind the model."""
    return attach(read_postprocessing(recipe), ir.from_proto(model), Before(size, sight))


def identity(*outputs: str, opset: int = 17) -> onnx.ModelProto:
    """A model whose outputs, such as `float[1, 10] y`, are its inputs times 1."""
    names = [output.split()[-1] for output in outputs]
    kinds = [output.rpartition(" ")[0] for output in outputs]
    inputs = ", ".join(f"{kind} in_{name}" for kind, name in zip(kinds, names, strict=True))
    one = "one = Constant <value = float {1}> ()"
    nodes = " ".join(f"{name} = Mul (in_{name}, one)" for name in names)
    return parse(f"g ({inputs}) => ({', '.join(outputs)}) {{ {one} {nodes} }}", opset=opset)


def run_proto(proto: onnx.ModelProto, inputs: Sequence[np.ndarray], folder: Path) -> list[np.ndarray]:
    """Our outputs, the same bits at every level of this CPU and with one and two threads."""
    path = folder / f"{len(list(folder.iterdir()))}.plan"
    path.write_bytes(plan_of(proto).to_bytes())
    results = [Engine(library(), path, threads=n, isa=isa).run(inputs) for isa in levels() for n in (1, 2)]
    for other in results[1:]:
        assert all(same_bits(a, b) for a, b in zip(results[0], other, strict=True))
    return results[0]


def run(attached: Attached, inputs: Sequence[np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    """The new outputs: the same bits at every level, and what ONNX Runtime makes of the model's own outputs."""
    proto = ir.to_proto(attached.model)
    outputs = run_proto(proto, inputs, folder)
    found = dict(zip((value.name for value in proto.graph.output), outputs, strict=True))
    want = reference(onnx.load_from_string(attached.check), [found[name] for name in attached.reads])
    for name, array in zip(attached.outputs, want, strict=True):
        assert found[name].dtype == array.dtype and found[name].shape == array.shape, name
        if array.dtype.kind == "f":
            np.testing.assert_allclose(found[name], array, rtol=1e-6, atol=1e-7)
        else:
            np.testing.assert_array_equal(found[name], array)
    return found
