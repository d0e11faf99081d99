"""A sweep whose device is attached to a worker: a real sshd before an Arm userland, known to the worker alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("distributed")
pytest.importorskip("pyarrow")

from edgeort.sweep import sweep
from tests.devices.sshd import Sshd, need_sshd
from tests.devices.userland import Userland, fetch_busybox
from tests.models import mlp
from tests.sweep.support import farm, write_mlp


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Sshd]:
    """`ssh:board` has an Arm userland on a Cortex-A72, emulated."""
    need_sshd("proot", "qemu-aarch64-static")
    (tmp_path / "fetched").mkdir()
    server = Sshd(tmp_path / "sshd", Userland.arm(tmp_path / "board", fetch_busybox(tmp_path / "fetched")))
    server.start()
    yield server
    server.stop()


@pytest.mark.slow
def test_cells_run_on_the_device_of_a_worker(tmp_path: Path, board: Sshd):
    onnx.save(mlp("N"), tmp_path / "judged.onnx")
    write_mlp(tmp_path / "plain.onnx", seed=1)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((24, 8)).astype(np.float32))
    (tmp_path / "s.toml").write_text('[settings.s]\nrequire = "cpu"\nruns = 4\n[models.judged]\ndata = "x.npy"\n')
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk/edgeort.toml").write_text('[devices]\ndesk = "ssh:board"\n')
    models = [str(tmp_path / "judged.onnx"), str(tmp_path / "plain.onnx")]
    with farm(tmp_path) as there:
        path = f"{board.folder}/bin{os.pathsep}{os.environ['PATH']}"
        there.start("desk", "--no-nanny", "--resources", "raspberrypi4=1", cwd=tmp_path / "desk", PATH=path)
        there.start("other", "--no-nanny")
        there.wait()
        found = sweep(
            models, ["raspberrypi4@desk"], [str(tmp_path / "s.toml")], tmp_path / "out", scheduler=there.address
        )
        board.stop()
        lost = sweep(models[1:], ["raspberrypi4@desk"], ["t:require=cpu"], tmp_path / "out", scheduler=there.address)
    judged, plain = found.rows
    assert found.counts["done"] == 2, [row.get("error") for row in found.rows]
    for row in found.rows:
        assert (row["where"], row["is_real"], row["runs"], row["golden"]) == ("desk", True, 4, "passed")
        assert "board" in row["ran_on"]
    assert judged["worker"] == plain["worker"]
    assert "board" in judged["judged_on"] and judged["agreement"] == 1 and judged["samples"] == 24
    (row,) = lost.rows
    assert (row["status"], row["error_kind"]) == ("failed", "DeviceError") and "board" in row["error"]
