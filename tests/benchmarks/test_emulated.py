"""The whole way: the sample's harness under the counting emulator."""

from __future__ import annotations

import shutil

import pytest

from benchmarks.counter import Caches
from benchmarks.emulated import CPUS, PEERS, by_node, measure, table
from benchmarks.models import MODELS, find

pytestmark = pytest.mark.skipif(
    shutil.which("qemu-aarch64") is None, reason="qemu-aarch64 (qemu-user) is not installed"
)


@pytest.mark.slow
def test_one_inference_of_the_sample():
    row = measure(find("digits"), "cortex-a72", Caches(), 1)
    # 4 multiply-adds an instruction, and tiles may compute more columns than there are.
    assert row.counts.multiply_adds >= 800_000 / 4 / 4
    assert row.counts.multiply_adds < row.counts.instructions
    again = measure(find("digits"), "cortex-a72", Caches(), 2).counts
    assert row.counts.multiply_adds == again.multiply_adds
    assert row.counts.instructions == pytest.approx(again.instructions, abs=5000)  # the harness prints times
    assert table([row], "cortex-a72", Caches()).row_count == 1


@pytest.mark.slow
def test_nodes_of_the_sample_are_most_of_it():
    model = find("digits")
    nodes, whole = by_node(model, "cortex-a72", Caches()), measure(model, "cortex-a72", Caches(), 2).counts
    assert {"Conv", "Gemm"} <= {node.op for node in nodes}
    assert sum(node.counts.multiply_adds for node in nodes) == whole.multiply_adds
    assert 0.5 * whole.instructions < sum(node.counts.instructions for node in nodes) < whole.instructions


def test_every_peer_figure_is_of_a_model_there_is():
    assert set(PEERS) <= set(MODELS)
    assert "cortex-a72" in CPUS
