"""What several folders of tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before any test imports onnxruntime


@pytest.fixture(scope="session")
def whole_library() -> Path:
    """One library of every kernel, for this machine: tests of many small models need not link one for each."""
    from tests.contract.engines import library

    return library()


@pytest.fixture(scope="session")
def kernel_plans(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Small plans that together call every kernel that some node test of the ONNX project needs."""
    from tests.fuzz import corpus
    from tests.fuzz.compressed import compressed, compressed_batch
    from tests.fuzz.lines import joined
    from tests.fuzz.pictures import pictures
    from tests.fuzz.quantised import dynamic, quantised_lines, quantised_network

    folder = tmp_path_factory.mktemp("plans")
    found = corpus.node_test_plans(folder)
    networks = (corpus.chain, corpus.transformer, corpus.network, corpus.winograd, corpus.sparse)
    for make in (*networks, dynamic, compressed, quantised_network):
        found.append(folder / f"{make.__name__}.plan")
        found[-1].write_bytes(corpus.lowered(make(), folder).to_bytes())
    corpus.write_inputs(folder / "transformer.plan", corpus.transformer_inputs())  # two of its free sizes are one
    for name, inputs in (("compressed", compressed_batch()), ("quantised_network", quantised_lines())):
        large = folder / f"{name}_large.plan"
        large.write_bytes((folder / f"{name}.plan").read_bytes())
        corpus.write_inputs(large, inputs)
        found.insert(0, large)
    for name, plan, given in (*pictures(), joined()):
        found.insert(0, folder / f"{name}.plan")
        found[0].write_bytes(plan.to_bytes())
        corpus.write_inputs(found[0], given)
    return found
