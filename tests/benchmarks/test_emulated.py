"""The whole way: the sample's harness under the counting emulator."""

from __future__ import annotations

import shutil

import pytest

from benchmarks.counter import Caches
from benchmarks.emulated import CPUS, PEERS, measure, table
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


def test_every_peer_figure_is_of_a_model_there_is():
    assert set(PEERS) <= set(MODELS)
    assert "cortex-a72" in CPUS
