"""`edgeort report`: the page and the JSON, earlier results, and what goes wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

import edgeort
from edgeort import sample
from edgeort.report import render
from tests.cli.support import call, folder
from tests.models import mlp

__all__ = ["folder"]

RUNS = ("--runs", "20")


def test_the_page_and_the_json_say_the_same(folder: Path, tmp_path: Path):
    (tmp_path / "b.json").write_text(call("bench", folder / "b", "--profile", "--json").stdout)
    options = ("--results", tmp_path / "b.json")
    assert call("report", folder / "b", "-o", tmp_path / "r.html", *options).exit_code == 0
    assert call("report", folder / "b", "-o", tmp_path / "r.json", *options).exit_code == 0
    document = json.loads((tmp_path / "r.json").read_text())
    assert (tmp_path / "r.html").read_text() == render(document)
    assert json.loads(call("report", folder / "b", "--json", *options).stdout) == document
    line = json.loads((tmp_path / "b.json").read_text())
    assert document["latency"]["latencies_ms"] == line["latencies_ms"]
    assert document["measurement"]["at"] == line["at"] and document["measurement"]["digest"] == line["digest"]


def test_it_measures_by_itself(folder: Path, tmp_path: Path):
    result = call("report", folder / "b", "-o", tmp_path / "r.json", *RUNS, "--threads", "1")
    assert result.exit_code == 0 and str(tmp_path / "r.json") in result.stdout
    document = json.loads((tmp_path / "r.json").read_text())
    assert document["latency"]["summary"]["runs"] == 20 and document["measurement"]["threads"] == 1
    assert all(node["skipped"] or node["ms"] > 0 for node in document["nodes"])
    assert document["memory"]["blocks"] and document["measurement"]["check"] == "passed"


@pytest.mark.skipif(not shutil.which("qemu-aarch64-static"), reason="needs qemu-user-static")
def test_an_emulated_bundle_has_memory_and_no_times(tmp_path: Path):
    edgeort.build(Path(sample.path()), "raspberrypi4", tmp_path / "b.zip")
    assert call("report", tmp_path / "b.zip", "-o", tmp_path / "r.json").exit_code == 0
    document = json.loads((tmp_path / "r.json").read_text())
    assert document["latency"] is None and "emulator's times say nothing" in document["unknown"]["latency"]
    assert document["memory"]["arena_bytes"] == document["measurement"]["arena_bytes"] > 0
    assert document["measurement"]["is_real"] is False and document["measurement"]["check"] == "passed"


def test_samples_are_judged(folder: Path, tmp_path: Path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32))
    judged = ("--data", tmp_path / "x.npy", "--model", folder / "m.onnx")
    assert call("report", folder / "b", "-o", tmp_path / "r.json", *RUNS, *judged).exit_code == 0
    evaluation = json.loads((tmp_path / "r.json").read_text())["accuracy"]["evaluation"]
    assert evaluation["samples"] == 5 and {figure["name"] for figure in evaluation["figures"]} >= {"sqnr_db"}
    # The same by way of `validate`.
    found = call("validate", folder / "b", *judged, "--json")
    (tmp_path / "v.json").write_text(found.stdout)
    again = ("--results", tmp_path / "v.json")
    assert call("report", folder / "b", "-o", tmp_path / "s.json", *RUNS, *again).exit_code == 0
    same = json.loads((tmp_path / "s.json").read_text())["accuracy"]["evaluation"]
    assert same["figures"] == evaluation["figures"]
    assert call("report", folder / "b", "--data", tmp_path / "x.npy").exit_code == 2
    assert "add --data DIR" in call("report", folder / "b", "--min-sqnr", "20").stderr


def test_limits_have_their_verdict(folder: Path, tmp_path: Path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32))
    judged = ("--data", tmp_path / "x.npy", "--model", folder / "m.onnx", "--min-sqnr", "100")
    found = json.loads(call("report", folder / "b", "--json", *RUNS, *judged).stdout)
    verdicts = {row["budget"]: (row["limit"], row["is_kept"], row["unit"]) for row in found["budgets"]}
    assert verdicts["min_sqnr"] == (100.0, True, "dB")


def test_the_last_of_several_results_counts(folder: Path, tmp_path: Path):
    lines = [json.loads(call("bench", folder / "b", "--profile", "--json").stdout) for _ in range(2)]
    other = {**lines[1], "model_sha256": "0" * 64}
    (tmp_path / "h.jsonl").write_text("".join(json.dumps(line) + "\n" for line in (*lines, other)) + '{"torn": ')
    document = json.loads(call("report", folder / "b", "--json", "--results", tmp_path / "h.jsonl").stdout)
    assert document["latency"]["latencies_ms"] == lines[1]["latencies_ms"]


def test_results_of_another_bundle_are_refused(folder: Path, tmp_path: Path):
    onnx.save(mlp(seed=1), tmp_path / "m.onnx")
    assert (
        call("build", tmp_path / "m.onnx", "--device", "host", "--provider", "cpu", "-o", tmp_path / "b").exit_code == 0
    )
    (tmp_path / "b.json").write_text(call("bench", tmp_path / "b", "--json").stdout)
    result = call("report", folder / "b", "-o", tmp_path / "r.html", "--results", tmp_path / "b.json")
    assert result.exit_code == 2 and "of other bundles" in result.stderr and "hint: edgeort bench" in result.stderr
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    "text, words",
    [
        (None, "cannot be read"),
        ("hello", "has no JSON object"),
        ("{}", "it has no measurement"),
        ("[1]", "has no JSON object"),
        ('{"latencies_ms": []}', "this is no result"),
        ('{"latencies_ms": [1], "device": "x", "is_real": true}', "this is no result"),
        ('{"evaluation": {"where": "x"}}', "its evaluation has no figures"),
        ("{}\n{", "it has no measurement"),
    ],
)
def test_bad_results(folder: Path, tmp_path: Path, text: str | None, words: str):
    path = tmp_path / "results.jsonl"
    if text is not None:
        path.write_text(text)
    result = call("report", folder / "b", "-o", tmp_path / "r.html", "--results", path)
    assert result.exit_code == 2 and words in result.stderr.replace("\n", " ")
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    "out, words",
    [
        ("none/r.html", "there is no folder"),
        ("r.pdf", "by the ending of its name"),
        (".", "by the ending"),
        ("d.html", "is a folder"),
        ("/proc/r.html", "cannot be written"),
    ],
)
def test_where_a_report_cannot_go(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, words: str):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.html").mkdir()
    result = call("report", folder / "b", "-o", out)
    assert result.exit_code == 2 and words in result.stderr.replace("\n", " ") and "hint: " in result.stderr
    assert "measuring" not in result.stderr  # before any work
    assert [path.name for path in tmp_path.iterdir()] == ["d.html"]


def test_json_is_printed_and_a_file_is_written_where_it_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    printed = call("report", folder / "b", "--json", *RUNS)
    assert printed.exit_code == 0 and json.loads(printed.stdout) and not list(tmp_path.iterdir())
    both = call("report", folder / "b", "--json", "-o", "r.json", *RUNS)
    assert (tmp_path / "r.json").read_text() == both.stdout


def test_flags_about_samples_need_samples(folder: Path):
    result = call("report", folder / "b", "--samples", 3)
    assert result.exit_code == 2 and "--samples needs samples" in result.stderr


def test_a_report_is_whole_or_not_there(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "r.html").write_text("the last one")
    real = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        return real(Path("/dev/full") if path.name == "r.html" else path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    result = call("report", folder / "b", "-o", tmp_path / "r.html", *RUNS)
    assert result.exit_code == 2 and "No space left on device" in result.stderr
    assert (tmp_path / "r.html").read_text() == "the last one" and len(list(tmp_path.iterdir())) == 1


def test_a_device_that_is_not_there(folder: Path, tmp_path: Path):
    result = call("report", folder / "b", "-o", tmp_path / "r.html", "--on", "nowhere")
    assert result.exit_code == 2 and "nowhere" in result.stderr and not (tmp_path / "r.html").exists()
