"""Sweeps in this process: rows, resuming, bundles, tables."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

pytest.importorskip("pyarrow")

import pyarrow.csv
import pyarrow.parquet

from edgeort import sample
from edgeort.bundle import open_bundle
from edgeort.errors import InputError, MissingExtraError
from edgeort.sweep import sweep
from edgeort.sweep.cells import Cell
from edgeort.sweep.columns import COLUMNS
from tests.models import mlp, model
from tests.readme import ROOT
from tests.sweep.support import EMULATOR, QUICK, Seen, write_mlp


def watched(models: list[str], devices: list[str], settings: list[str], out: Path, **more: Any):
    """The sweep, and the names of the cells that it ran."""
    seen = Seen()

    @contextmanager
    def begin(*_: int):
        yield seen

    return sweep(models, devices, settings, out, watch=begin, **more), seen.of("ended")


def broken(path: Path) -> str:
    """A model with an operator that nobody has."""
    proto = model([onnx.helper.make_node("Nonesuch", ["x"], ["y"], domain="x.y")], [("x", [1])], [("y", [1])])
    proto.opset_import.append(onnx.helper.make_opsetid("x.y", 1))
    onnx.save(proto, path)
    return str(path)


def test_a_row_says_what_was_built_and_measured(tmp_path: Path):
    found, _ = watched([write_mlp(tmp_path / "m.onnx")], ["host"], [QUICK], tmp_path / "out", bundles=tmp_path / "b")
    (row,) = found.rows
    assert (row["status"], row["provider"], row["ran_on"], row["is_real"]) == ("done", "cpu", "local", True)
    assert row["runs"] == 3 and 0 < row["latency_low_ms"] <= row["latency_p50_ms"] <= row["latency_high_ms"]
    assert row["max_difference"] < 1e-5 and row["peak_rss_bytes"] > 0
    with open_bundle(row["bundle"]) as bundle:
        assert (bundle.manifest.device, bundle.manifest.model) == ("host", "m")
        assert row["bundle_bytes"] == bundle.size_bytes


@pytest.mark.skipif(EMULATOR is None, reason="needs qemu-aarch64-static (apt install qemu-user-static)")
def test_emulated_times_are_not_the_device_s(tmp_path: Path):
    found, _ = watched([str(sample.path())], ["raspberrypi4,raspberrypi4@emulated"], [QUICK], tmp_path / "out")
    for row in found.rows:
        assert row["ran_on"] == "emulated (cortex-a72)" and not row["is_real"]
        assert row.get("latency_p50_ms") is None and row["predicted_ms"] > 0 and row.get("peak_rss_bytes") is None
    assert found.rows[0]["digest"] == found.rows[1]["digest"]


def test_finished_cells_are_not_run_again(tmp_path: Path):
    models = [write_mlp(tmp_path / "a.onnx"), broken(tmp_path / "b.onnx")]
    first, ran = watched(models, ["host"], [QUICK], tmp_path / "out")
    assert ran == ["a host quick", "b host quick"]
    assert first.counts == {"done": 1, "failed": 1, "not run": 0}
    again, ran = watched(models, ["host"], [QUICK], tmp_path / "out")
    assert ran == [] and again.rows == first.rows and again.earlier == 2
    more, ran = watched(models, ["host"], [QUICK, "other:require=cpu,threads=1,runs=2"], tmp_path / "out")
    assert ran == ["a host other", "b host other"] and more.earlier == 2
    write_mlp(tmp_path / "a.onnx", seed=1)
    _, ran = watched(models, ["host"], [QUICK], tmp_path / "out")
    assert ran == ["a host quick"], "another model of that name"


def test_failed_cells_keep_their_error_and_run_again_with_retry(tmp_path: Path):
    path = tmp_path / "m.onnx"
    onnx.save(mlp("N"), path)
    data = tmp_path / "d.npy"
    np.save(data, np.zeros((8, 8), np.float32))
    lines = [f"over:require=cpu,runs=2,data={data},min_sqnr=900,precision=int8"]
    first, _ = watched([str(path)], ["host"], lines, tmp_path / "out")
    (row,) = first.rows
    assert row["status"] == "failed" and row["error"] and f"{tempfile.gettempdir()}/edgeort-" not in row["error"]
    _, ran = watched([str(path)], ["host"], lines, tmp_path / "out")
    assert ran == []
    again, ran = watched([str(path)], ["host"], lines, tmp_path / "out", retry=True)
    assert ran == ["m host over"] and again.rows[0]["error"] == row["error"]
    assert len((tmp_path / "out/journal.jsonl").read_text().splitlines()) == 1


def test_a_budget_that_is_not_kept(tmp_path: Path):
    found, _ = watched(
        [write_mlp(tmp_path / "m.onnx")], ["host"], ["tight:require=cpu,max_size_kb=1,runs=2"], tmp_path / "out",
        bundles=tmp_path / "b",
    )  # fmt: skip
    (row,) = found.rows
    assert (row["status"], row["error_kind"]) == ("failed", "BudgetError")
    assert "size_kb is" in row["error"]
    assert list((tmp_path / "b").iterdir()) == [], "no bundle of a build that refuses"


def test_a_bug_costs_one_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from edgeort import pipeline

    build = pipeline.build

    def faulty(path, *rest, **more):
        if path.stem == "bad":
            raise ZeroDivisionError("a bug")
        return build(path, *rest, **more)

    monkeypatch.setattr(pipeline, "build", faulty)
    models = [write_mlp(tmp_path / "bad.onnx"), write_mlp(tmp_path / "good.onnx")]
    found, _ = watched(models, ["host"], [QUICK], tmp_path / "out")
    bad, good = found.rows
    assert (bad["status"], bad["error_kind"], bad["error"]) == ("failed", "ZeroDivisionError", "a bug")
    assert "in faulty" in bad["traceback"] and good["status"] == "done"


def test_data_are_judged(tmp_path: Path):
    rng = np.random.default_rng(0)
    onnx.save(mlp("N"), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", rng.standard_normal((40, 8)).astype(np.float32))
    np.save(tmp_path / "y.npy", rng.integers(0, 5, 40))
    (tmp_path / "s.toml").write_text(
        '[settings.float]\nrequire = "cpu"\nruns = 2\n[settings.int8]\nprecision = "int8"\nrequire = "cpu"\nruns = 2\n'
        '[models.m]\ndata = "x.npy"\neval_data = "x.npy"\nlabels = "y.npy"\n'
    )
    found, _ = watched([str(tmp_path / "m.onnx")], ["host"], [str(tmp_path / "s.toml")], tmp_path / "out")
    plain, quantised = found.rows
    assert plain["status"] == quantised["status"] == "done", (plain, quantised)
    assert plain["agreement"] == 1 and plain["drop_points"] == 0
    assert (plain["score_name"], plain["score_unit"]) == ("top1", "%") and plain["score"] == plain["score_float"]
    assert 0 <= quantised["score"] <= 100 and quantised["data_sqnr_db"] < float(plain["data_sqnr_db"])
    assert quantised["int8_nodes"] > 0 and plain["int8_nodes"] == 0
    assert json.loads(quantised["figures"])["top1"] == quantised["score"]


def test_bundles_that_are_missing_are_made_again(tmp_path: Path):
    models, bundles = [write_mlp(tmp_path / "m.onnx")], tmp_path / "b"
    first, _ = watched(models, ["host"], [QUICK], tmp_path / "out")
    assert "bundle" not in first.rows[0]
    second, ran = watched(models, ["host"], [QUICK], tmp_path / "out", bundles=bundles)
    assert ran == ["m host quick"]
    data = Path(second.rows[0]["bundle"]).read_bytes()
    _, ran = watched(models, ["host"], [QUICK], tmp_path / "out", bundles=bundles)
    assert ran == []
    Path(second.rows[0]["bundle"]).write_bytes(b"changed")
    third, ran = watched(models, ["host"], [QUICK], tmp_path / "out", bundles=bundles)
    assert ran == ["m host quick"] and Path(third.rows[0]["bundle"]).read_bytes() == data


def test_tables_have_every_column_and_its_type(tmp_path: Path):
    models = [broken(tmp_path / "b.onnx"), write_mlp(tmp_path / "a.onnx")]
    found, _ = watched(models, ["host"], [QUICK], tmp_path / "out")
    table = pyarrow.parquet.read_table(found.parquet)
    assert table.column_names == list(COLUMNS)
    assert {field.name: str(field.type) for field in table.schema} == COLUMNS
    assert table["model"].to_pylist() == ["b", "a"]
    assert table["latency_p50_ms"].to_pylist() == [None, found.rows[1]["latency_p50_ms"]]
    text = pyarrow.csv.read_csv(found.csv)
    assert text.column_names == list(COLUMNS)
    assert text["key"].to_pylist() == [row["key"] for row in found.rows]


def test_figures_that_are_infinite_keep_the_journal_json(tmp_path: Path):
    from edgeort.plain import finite
    from edgeort.sweep.columns import write_tables

    row = finite({"sqnr_db": float("inf"), "cosine": float("nan"), "model": "m", "key": "k", "status": "done"})
    json.loads(json.dumps(row, allow_nan=False))
    write_tables([row], tmp_path / "t.parquet", tmp_path / "t.csv")
    table = pyarrow.parquet.read_table(tmp_path / "t.parquet")
    assert table["sqnr_db"].to_pylist() == [float("inf")] and np.isnan(table["cosine"].to_pylist()[0])


@dataclass
class Stop(Seen):
    """Interrupts when the second cell begins."""

    def at(self, cell: Cell, stage: str, worker: str = "") -> None:
        super().at(cell, stage, worker)
        if self.of("ended") and stage != "begun":
            raise KeyboardInterrupt


def test_an_interrupted_sweep_goes_on_where_it_was(tmp_path: Path):
    models = [write_mlp(tmp_path / f"m{seed}.onnx", seed) for seed in range(3)]

    @contextmanager
    def begin(*_: int):
        yield Stop()

    with pytest.raises(KeyboardInterrupt):
        sweep(models, ["host"], [QUICK], tmp_path / "out", watch=begin)
    table = pyarrow.parquet.read_table(tmp_path / "out/table.parquet")
    assert table["status"].to_pylist() == ["done", "not run", "not run"]
    found, ran = watched(models, ["host"], [QUICK], tmp_path / "out")
    assert ran == ["m1 host quick", "m2 host quick"] and found.counts["done"] == 3


@pytest.mark.parametrize(
    ("number", "options"), [(signal.SIGINT, ()), (signal.SIGKILL, ()), (signal.SIGINT, ("--workers", "2"))]
)
def test_a_sweep_that_is_ended_from_outside_leaves_a_journal(
    tmp_path: Path, number: signal.Signals, options: tuple[str, ...]
):
    if options:
        pytest.importorskip("distributed")
    models = [write_mlp(tmp_path / f"m{seed}.onnx", seed) for seed in range(8)]
    command = [sys.executable, "-m", "edgeort", "sweep", *models, "--devices", "host", "--settings", QUICK, "-o", "out"]
    process = subprocess.Popen(
        [*command, *options],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if ": done" in line:
            break
    time.sleep(0.2)
    os.killpg(process.pid, number)  # as the terminal does
    said += process.stderr.read()
    status = process.wait(30)
    process.stderr.close()
    assert status == (130 if number == signal.SIGINT else -number), said
    assert "Traceback" not in said
    found, ran = watched(models, ["host"], [QUICK], tmp_path / "out")
    assert found.counts["done"] == 8 and 1 <= found.earlier < 8 and len(ran) == 8 - found.earlier


def test_a_package_that_is_not_there_is_named_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write_mlp(tmp_path / "m.onnx")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match="dask") as caught:
        sweep([path], ["host"], [], tmp_path / "out", workers=2)
    assert caught.value.hint == "pip install 'edgeort[sweep]'"
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match="pyarrow"):
        sweep([path], ["host"], [], tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_workers_and_scheduler_exclude_each_other(tmp_path: Path):
    with pytest.raises(InputError, match="--workers"):
        sweep([write_mlp(tmp_path / "m.onnx")], ["host"], [], tmp_path / "out", workers=1, scheduler="tcp://x:1")


def test_pictures_and_other_settings_reach_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from edgeort import pipeline

    asked: dict[str, Any] = {}

    def build(path, profile, out, **more):
        asked.update(more, profile=profile)
        raise InputError("enough")

    monkeypatch.setattr(pipeline, "build", build)
    np.save(tmp_path / "x.npy", np.zeros((4, 8), np.float32))
    (tmp_path / "s.toml").write_text(
        '[settings.all]\nprovider = "openvino"\nprovider_option = ["NUM_STREAMS=1"]\nprune = "0.25"\nthreads = 3\n'
        'ram_limit = 4096\nio_layout = "nhwc"\nshape = ["x=2x8"]\ndata = "x.npy"\nmax_drop = 1.5\nexclude = ["fc1"]\n'
        "threshold = 0\nmax_latency_ms = 7\nmax_rss_mb = 64\n"
        'preprocess = "letterbox 8x16; bgr; mean=0,0.5"\n'
    )
    watched([write_mlp(tmp_path / "m.onnx")], ["host"], [str(tmp_path / "s.toml")], tmp_path / "out")
    accuracy, budget = asked["accuracy"], asked["profile"].budget
    assert asked["wish"] == pipeline.Wish("openvino", False, {"NUM_STREAMS": "1"})
    assert (asked["threads"], asked["ram_limit"], asked["io_layout"]) == (3, 4096, "nhwc")
    assert asked["shapes"] == {"x": (2, 8)} and accuracy.prune == 0.25 and accuracy.data == tmp_path / "x.npy"
    assert accuracy.limits.max_drop == 1.5 and accuracy.threshold == 0 and accuracy.exclude == ("fc1",)
    how = accuracy.recipe
    assert how == asked["preprocess"] and (how.resize.size, how.mean, how.color) == ((8, 16), (0.0, 0.5), "bgr")
    assert (budget.latency_ms, budget.ram_mb, budget.size_kb) == (7.0, 64.0, None)
