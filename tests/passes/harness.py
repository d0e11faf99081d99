"""Builds models from ONNX text, runs passes on copies, and compares both in ONNX Runtime."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime

from edgeort.passes import Pass, PassContext, run_passes


def model_of(text: str, *, opset: int = 17, weights: dict[str, np.ndarray] | None = None) -> ir.Model:
    """A model from the graph in ONNX's text form; `weights` become initializers."""
    model = ir.from_onnx_text(f'<ir_version: 8, opset_import: ["": {opset}]> {text}')
    for name, array in (weights or {}).items():
        value = next(
            (v for node in model.graph for v in node.inputs if v is not None and v.name == name),
            None,
        )
        assert value is not None, f"no node reads {name}"
        tensor = ir.tensor(array, name=name)
        value.const_value, value.shape, value.dtype = tensor, ir.Shape(array.shape), tensor.dtype
        model.graph.register_initializer(value)
    return model


def random_weights(seed: int = 0, **shapes: Sequence[int]) -> dict[str, np.ndarray]:
    """Standard normal float32 arrays of the given shapes."""
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(tuple(shape)).astype(np.float32) for name, shape in shapes.items()}


def counts(model: ir.Model) -> Counter[str]:
    """How often each operator stands in the main graph."""
    return Counter(node.op_type for node in model.graph)


def run_ort(model: ir.Model, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs by ONNX Runtime without its own graph optimisations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    options.intra_op_num_threads = 1  # the others would spin, for longer than they work
    session = onnxruntime.InferenceSession(
        ir.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, feeds)


def random_feeds(model: ir.Model, sizes: dict[str, int], seed: int = 1) -> dict[str, np.ndarray]:
    """Normal float32 (or small integer) inputs; `sizes` gives the symbolic dimensions, 2 where it does not."""
    rng = np.random.default_rng(seed)
    feeds = {}
    for value in model.graph.inputs:
        shape = [d if isinstance(d, int) and d > 0 else sizes.get(str(d), 2) for d in value.shape]
        array = np.asarray(rng.standard_normal(shape) * 2)
        feeds[value.name] = array.astype(value.dtype.numpy())
    return feeds


def check(
    model: ir.Model, passes: tuple[Pass, ...], *, sizes: dict[str, int] | None = None, rtol: float = 1e-5
) -> tuple[ir.Model, PassContext]:
    """Runs `passes` on a copy; asserts that it is valid, keeps names and types, and computes the same."""
    before = model.clone()
    ctx = PassContext(check=True)
    run_passes(model, ctx, passes)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    for old, new in zip(
        (before.graph.inputs, before.graph.outputs), (model.graph.inputs, model.graph.outputs), strict=True
    ):
        assert [v.name for v in old] == [v.name for v in new]
        assert [v.dtype for v in old] == [v.dtype for v in new]
    feeds = random_feeds(before, sizes or {})
    for wanted, found in zip(run_ort(before, feeds), run_ort(model, feeds), strict=True):
        assert wanted.shape == found.shape
        scale = np.abs(wanted).max(initial=1e-6) if wanted.dtype.kind == "f" else 1
        np.testing.assert_allclose(found, wanted, rtol=0, atol=rtol * scale)
    return model, ctx


def run(model: ir.Model, step: Pass) -> tuple[ir.Model, int]:
    """`check` of one pass, and how often it rewrote something."""
    model, ctx = check(model, (step,), rtol=1e-6)
    return model, ctx.counts[step.__name__]
