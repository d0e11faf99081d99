"""The models that are mutated: all that the tests have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx

from edgeort import sample
from tests.fuzz import corpus
from tests.fuzz.compressed import compressed
from tests.fuzz.quantised import dynamic, quantised_network
from tests.models import mlp
from tests.onnx_node.runner import cases
from tests.real_models.find import PACKAGED, SHARED, find

_SMALL = (corpus.chain, corpus.winograd, corpus.network, corpus.transformer, dynamic, quantised_network, compressed)


def small() -> dict[str, onnx.ModelProto]:
    """The packaged sample, the networks that other tests make, and every node test of the ONNX project."""
    found = {"sample": onnx.load(sample.path()), "mlp": mlp(), **{make.__name__: make() for make in _SMALL}}
    for case in cases():
        found[case.name] = case.model
        if integers := _with_constants(case):
            found[f"{case.name}.constants"] = integers
    return found


def _with_constants(case: Any) -> onnx.ModelProto | None:
    """The model with its inputs of integers as constants: shapes, axes, sizes, which mutations then change."""
    model = onnx.ModelProto.FromString(case.model.SerializeToString())
    for info, value in zip(case.model.graph.input, case.data_sets[0][0], strict=True):
        if isinstance(value, np.ndarray) and value.dtype == np.int64:
            model.graph.initializer.append(onnx.numpy_helper.from_array(value, info.name))
            model.graph.input.remove(info)
    return model if len(model.graph.input) < len(case.model.graph.input) else None


def large() -> Iterator[tuple[str, onnx.ModelProto]]:
    """Architectures beside the checkout, and real models of packages that are installed."""
    import pytest

    for name in [*PACKAGED, *(path.name.removesuffix(".arch.onnx") for path in sorted(SHARED.glob("models/*.onnx")))]:
        try:
            yield name, onnx.load(find(name))
        except pytest.skip.Exception:
            continue
