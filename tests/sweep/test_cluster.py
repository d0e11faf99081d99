"""Cells over a Dask cluster: real schedulers and workers, over TCP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

pytest.importorskip("distributed")
pytest.importorskip("pyarrow")

import psutil

from edgeort.errors import DeviceError, EdgeortError
from edgeort.sweep import cluster, files, sweep
from edgeort.sweep.book import read_book
from edgeort.sweep.cells import Cell, make_cells
from edgeort.sweep.facts import Row
from edgeort.sweep.places import read_places
from tests.devices.watching import soon
from tests.readme import ROOT
from tests.sweep.support import EMULATOR, QUICK, Seen, farm, write_mlp, write_models


def journal(folder: Path) -> list[Row]:
    """The rows of the journal."""
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


@dataclass
class Assassin(Seen):
    """Kills a process while a cell of its worker is at work, once so many cells have ended."""

    victim: int = 0
    worker: str = ""
    after: int = 0
    killed: str = ""

    def at(self, cell: Cell, stage: str, worker: str = "") -> None:
        """Kills."""
        super().at(cell, stage, worker)
        if not self.killed and worker == self.worker and stage != "begun" and len(self.of("ended")) >= self.after:
            self.killed = cell.name
            os.kill(self.victim, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.skipif(EMULATOR is None, reason="needs qemu-aarch64-static (apt install qemu-user-static)")
def test_every_cell_once_although_a_worker_is_killed_half_way(tmp_path: Path):
    (tmp_path / "models").mkdir()
    models = write_models(tmp_path / "models")
    devices = ["raspberrypi4,arm64", "host,x86-64"]
    with farm(tmp_path) as there:
        first, _ = there.start("first", "--no-nanny"), there.start("second", "--no-nanny")
        there.wait()
        watch = Assassin(victim=first.pid, worker="worker first", after=12)

        @contextmanager
        def begin(*_: int):
            yield watch

        found = sweep(models, devices, [QUICK], tmp_path / "out", scheduler=there.address, watch=begin)
        assert first.wait(10) == -signal.SIGKILL
    rows = journal(tmp_path / "out")
    assert found.counts == {"done": 24, "failed": 0, "not run": 0}
    assert len(rows) == len({row["key"] for row in rows}) == 24
    assert set(Counter(watch.of("ended")).values()) == {1}
    assert len(watch.of("ended")) == 24
    assert watch.killed in watch.of("again"), "the cell at work in the killed worker runs again"
    assert len({row["worker"] for row in rows}) == 2
    assert {row["digest"] for row in rows if row["model"] == "digits"} == {found.rows[8]["digest"]}
    again = sweep(models, devices, [QUICK], tmp_path / "out")
    assert again.earlier == 24 and again.rows == found.rows


def test_a_device_is_used_where_it_is_declared_by_one_cell_at_a_time(tmp_path: Path):
    models = [write_mlp(tmp_path / f"m{seed}.onnx", seed) for seed in range(3)]
    watch = Seen()
    with farm(tmp_path) as there:
        there.start("with", "--no-nanny", "--nthreads", "3", "--resources", "host=1")
        there.start("without", "--no-nanny")
        there.wait()

        @contextmanager
        def begin(*_: int):
            yield watch

        start = time.monotonic()
        found = sweep(
            models, ["host@local,x86-64@local"], [QUICK], tmp_path / "out", scheduler=there.address, watch=begin
        )
        assert time.monotonic() - start < cluster.PATIENCE_S, "what cannot run is told at once"
    assert found.counts == {"done": 3, "failed": 0, "not run": 3}
    absent = [row for row in found.rows if row["status"] == "not run"]
    assert {row["error"] for row in absent} == {"no worker declares the device x86-64"}
    finished = [row["device"] for row in journal(tmp_path / "out")]
    assert finished == ["host"] * 3, "a cell that did not run is not finished"
    at_work = 0
    for what, name, told in watch.events:
        if "host@local" not in name:
            continue
        assert not told.endswith("without")
        at_work += told.startswith("begun") - (what == "ended")
        assert at_work <= 1


@dataclass
class Nemesis(Seen):
    """Kills every worker that begins the cell of that name."""

    nanny: int = 0
    cell: str = ""

    def at(self, cell: Cell, stage: str, worker: str = "") -> None:
        """Kills."""
        super().at(cell, stage, worker)
        if self.cell in cell.name and stage == "begun":
            for child in psutil.Process(self.nanny).children(recursive=True):
                if "spawn_main" in " ".join(child.cmdline()):
                    child.kill()


def test_a_cell_that_keeps_killing_its_workers_fails_and_the_others_are_done(tmp_path: Path):
    models = [write_mlp(tmp_path / f"{name}.onnx", seed) for seed, name in enumerate(("deadly", "mild"))]
    with farm(tmp_path, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1") as there:
        nanny = there.start("only", "--nanny")
        there.wait()
        watch = Nemesis(nanny=nanny.pid, cell="deadly")

        @contextmanager
        def begin(*_: int):
            yield watch

        found = sweep(models, ["host"], [QUICK], tmp_path / "out", scheduler=there.address, watch=begin)
    deadly, mild = found.rows
    assert (mild["status"], deadly["status"], deadly["error_kind"]) == ("done", "failed", "KilledWorker")
    assert "ended its worker 2 times" in deadly["error"]


def test_files_are_sent_to_workers_that_do_not_have_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seed = int.from_bytes(os.urandom(4), "little")  # no worker has seen it
    write_mlp(tmp_path / "m.onnx", seed)
    (cell,) = make_cells([str(tmp_path / "m.onnx")], read_places(["host"]), read_book([QUICK]))
    root = cell.parcels["model"].root
    monkeypatch.setattr(files, "read", lambda parcel, name, read=files.read: read(replace(parcel, root=root), name))
    elsewhere = replace(cell, parcels={"model": replace(cell.parcels["model"], root="/nowhere")})
    with farm(tmp_path) as there:
        there.start("far", "--no-nanny")
        there.wait()
        with cluster.connected(there.address, None) as executor:
            ((_, outcome),) = executor.run([elsewhere], True, Seen())
    assert outcome.row["status"] == "done"
    assert outcome.bundle is not None and outcome.bundle[:2] == b"PK"
    (kept,) = (files.cache_dir() / "sweep" / cell.parcels["model"].digest[:32]).iterdir()
    assert kept.read_bytes() == (tmp_path / "m.onnx").read_bytes()
    kept.unlink()


def test_processes_here(tmp_path: Path):
    models = [write_mlp(tmp_path / f"m{seed}.onnx", seed) for seed in range(2)]
    found = sweep(models, ["host@local"], [QUICK], tmp_path / "out", workers=2)
    assert found.counts["done"] == 2, "this machine has every device"


def is_group(number: int) -> bool:
    """Whether a process of the group is there."""
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("after_s", [0.0, 1.5])
def test_ctrl_c_while_processes_begin_is_one_line(tmp_path: Path, after_s: float):
    """As a terminal has it: every process of the group gets the signal."""
    model = write_mlp(tmp_path / "m.onnx")
    began = tmp_path / "sitecustomize.py"  # says when Dask is about to start its processes
    began.write_text(
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'distributed.deploy.local': print('begins', flush=True)\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    command = [sys.executable, "-m", "edgeort", "sweep", "--models", model, "--devices", "host", "--settings", QUICK]
    process = subprocess.Popen(
        [*command, "--workers", "2", "-o", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
    )
    assert process.stdout is not None and process.stdout.readline() == "begins\n"
    time.sleep(after_s)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert (process.returncode, said.strip().splitlines()[-1:]) == (130, ["interrupted"]), said
    assert "Traceback" not in said and "KeyboardInterrupt" not in said
    assert soon(lambda: not is_group(process.pid)), "processes are left"


def test_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    model = write_mlp(tmp_path / "m.onnx")
    with pytest.raises(DeviceError, match="no Dask scheduler answers at tcp://127.0.0.1:9"):
        sweep([model], ["host"], [], tmp_path / "out", scheduler="tcp://127.0.0.1:9")
    with farm(tmp_path) as there, pytest.raises(DeviceError, match="has no workers"):
        sweep([model], ["host"], [], tmp_path / "out", scheduler=there.address)


def test_workers_of_another_edgeort_stop_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = write_mlp(tmp_path / "m.onnx")
    monkeypatch.setattr("edgeort.sweep.cells.version", lambda: "0.0.9+other")
    with farm(tmp_path) as there:
        there.start("old", "--no-nanny")
        there.wait()
        with pytest.raises(EdgeortError, match=r"has edgeort 0\.1\.0\+\w+, and the sweep is by 0\.0\.9\+other"):
            sweep([model], ["host"], [QUICK], tmp_path / "out", scheduler=there.address)
    assert not (tmp_path / "out/journal.jsonl").exists()


def test_a_worker_that_was_the_last_is_missed(tmp_path: Path):
    model = write_mlp(tmp_path / "m.onnx")
    cells = make_cells([model], read_places(["host"]), read_book([QUICK]))
    with farm(tmp_path) as there:
        only = there.start("only", "--no-nanny")
        there.wait()
        with cluster.connected(there.address, None) as executor:
            executor.patience_s = 0.0
            watch = Assassin(victim=only.pid, worker="worker only")
            ((_, outcome),) = executor.run(cells, False, watch)
    assert (outcome.row["status"], outcome.row["error"]) == ("not run", "no worker is left")
