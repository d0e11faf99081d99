"""`edgeort bench`: what it prints, keeps, compares, refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.support import call, folder

__all__ = ["folder"]

HISTORY = Path(".edgeort/history.jsonl")


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of every test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(path: Path = HISTORY) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_it_prints_every_figure(folder: Path):
    result = call("bench", folder / "b", "--runs", 5, "--warmup", 2)
    assert result.exit_code == 0
    for words in ("p50", "p90", "p99", "min", "mean", "std", "5 after 3 to warm up", "peak", "golden outputs passed"):
        assert words in result.stdout


def test_what_is_printed_as_json_is_what_is_kept(folder: Path):
    printed = json.loads(call("bench", folder / "b", "--runs", 5, "--json").stdout)
    assert lines() == [printed]
    assert printed["latency_ms"]["runs"] == len(printed["latencies_ms"]) == 5
    assert printed["latency_ms"]["low"] <= printed["latency_ms"]["p50"] <= printed["latency_ms"]["high"]
    assert printed["bundle"] == str(folder / "b") and printed["device"] == "local" and printed["budgets"] == []
    assert {"governor", "load", "threads", "cores"} <= set(printed["conditions"]) and printed["versions"]["edgeort"]


def test_results_are_kept_where_one_says(folder: Path, empty: Path):
    call("bench", folder / "b", "--runs", 2, "--no-history")
    assert not HISTORY.exists()
    call("bench", folder / "b", "--runs", 2, "--history-file", "other/h.jsonl")
    call("bench", folder / "b", "--runs", 3, "--history-file", "other/h.jsonl")
    assert [line["latency_ms"]["runs"] for line in lines(Path("other/h.jsonl"))] == [2, 3] and not HISTORY.exists()
    (empty / "file").write_text("")
    result = call("bench", folder / "b", "--runs", 2, "--history-file", "file/h.jsonl")
    assert result.exit_code == 0 and "warning: cannot write the history file/h.jsonl" in result.stderr


def test_the_history_is_plotted(folder: Path):
    for threads in (1, 1, 2):
        call("bench", folder / "b", "--runs", 3, "--threads", threads)
    result = call("bench", "--history")
    assert result.exit_code == 0
    assert result.stdout.count("●") == 3 and result.stdout.count("when (UTC)") == 2
    assert "1 thread(s)" in result.stdout and "2 thread(s)" in result.stdout
    for path in (folder / "b", os.path.relpath(folder / "b"), f"{folder}/./b/"):
        assert len(json.loads(call("bench", "--history", path, "--json").stdout)) == 3
    refused = call("bench", "--history", "nosuch")
    assert refused.exit_code == 2 and "has no result of nosuch" in refused.stderr
    with HISTORY.open("a") as file:
        file.write('{"latency_ms": {"p5')
    assert "1 line(s) are not whole" in call("bench", "--history").stderr


def test_without_a_history_it_says_how_to_begin_one():
    result = call("bench", "--history")
    assert result.exit_code == 2 and "no result was kept there" in result.stderr
    assert "edgeort bench BUNDLE measures" in result.stderr


def test_plots_are_on_one_scale(empty: Path):
    rows = [{"p50": 10.0, "low": 9.5, "high": 10.5}, {"p50": 20.0, "low": 20.0, "high": 20.0}, {"p50": 15.0}]
    for row in rows:
        with (empty / "h").open("a") as file:
            file.write(json.dumps({"bundle": "b", "at": "2026-11-29T10:00:00+00:00", "latency_ms": row}) + "\n")
    printed = call("bench", "--history", "--history-file", "h").stdout.splitlines()
    wide, right, middle = (line for line in printed if "●" in line)
    assert "─●─" in wide and right.index("●") > middle.index("●") > wide.index("●")
    assert "9.500 ms" in printed[1] and "20.00 ms" in printed[1]


@pytest.mark.parametrize(
    ("option", "limit", "words"),
    [
        ("--max-latency-ms", 1e-6, "latency_ms is"),
        ("--max-rss-mb", 0.001, "ram_mb is"),
        ("--max-size-kb", 1, "size_kb is"),
    ],
)
def test_the_budget_that_is_exceeded_is_named(folder: Path, option: str, limit: float, words: str):
    others = {"--max-latency-ms": 1e6, "--max-rss-mb": 1e6, "--max-size-kb": 1e6, option: limit}
    result = call("bench", folder / "b", "--runs", 2, *(text for pair in others.items() for text in pair))
    assert result.exit_code == 1 and words in result.stderr and result.stderr.count("over the budget") == 1
    verdicts = {one["budget"]: one["measured"] <= one["limit"] for one in lines()[0]["budgets"]}
    assert sorted(verdicts.values()) == [False, True, True] and not verdicts[words.split()[0]]


def test_a_sustained_run_tells_each_part_as_it_ends(folder: Path):
    result = call("bench", folder / "b", "--sustained", "1s", "--warmup", 1)
    assert result.exit_code == 0 and "throttling" in result.stdout
    assert "for 1 s once it is warm, a line with the median every 0.1 s" in result.stdout.partition("\n")[0]
    parts = lines()[0]["intervals"]
    assert result.stdout.count(" runs\n") == len(parts) >= 5
    assert sum(part["runs"] for part in parts) == lines()[0]["latency_ms"]["runs"]
    result = call("bench", folder / "b", "--sustained", "500ms", "--json")
    assert json.loads(result.stdout)["intervals"] and " s   p50 " in result.stderr


def test_a_bundle_against_another(folder: Path):
    result = call("bench", folder / "b", "--runs", 3, "--compare", folder / "b", "--threads", 1)
    assert result.exit_code == 0 and f"{folder / 'b'} against {folder / 'b'}" in result.stdout
    assert "rounds of one process each" in result.stdout and "result" in result.stdout
    found = lines()[0]["compare"]
    low, high = found["difference"]["low"], found["difference"]["high"]
    assert found["is_significant"] == ("no significant" not in result.stdout) and low <= high
    assert len(found["own_ms"]) == len(found["other_ms"]) == found["difference"]["rounds"] >= 10


def test_a_bundle_against_an_earlier_result(folder: Path, empty: Path):
    call("bench", folder / "b", "--runs", 3, "--threads", 1)
    (line,) = lines()
    slow = {**line, "latency_ms": {**line["latency_ms"], "p50": 1e6}, "isa": "generic"}
    (empty / "slow.json").write_text(json.dumps(slow))
    result = call("bench", folder / "b", "--runs", 3, "--threads", 1, "--compare", "slow.json")
    assert result.exit_code == 0 and "faster by" in result.stdout and "generic then" in result.stdout
    again = call("bench", folder / "b", "--runs", 3, "--threads", 1, "--compare", HISTORY)
    assert again.exit_code == 0 and f"against {folder / 'b'} of 20" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "which bundle?"),
        (("b", "--runs", "5", "--time", "1s"), "--runs and --time exclude each other"),
        (("b", "--time", "1s", "--sustained", "1m"), "--time and --sustained exclude each other"),
        (("b", "--time", "5"), "--time 5: this is not a time"),
        (("b", "--sustained", "0s"), "--sustained 0s: this is not a time"),
        (("b", "--warmup", "some"), "--warmup some: this is neither a number nor auto"),
        (("b", "--warmup", "-1"), "--warmup -1: this is neither"),
        (("nosuch",), "nosuch"),
        (("BUNDLE", "--compare", "nosuch"), "nosuch"),
        (("BUNDLE", "--compare", "empty.json"), "no result of edgeort bench"),
        (("BUNDLE", "--cores", "medium"), "--cores medium: this is not big, little"),
    ],
)
def test_bad_options_are_refused(folder: Path, empty: Path, arguments: tuple[str, ...], words: str):
    (empty / "empty.json").write_text("")
    given = [folder / "b" if argument == "BUNDLE" else argument for argument in arguments]
    result = call("bench", *given)
    assert result.exit_code == 2 and words in result.stderr and not HISTORY.exists()
    assert "measuring" not in result.stderr or "--cores" in arguments, "it is said before any work"


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_an_interrupted_measurement_leaves_nothing(folder: Path, empty: Path):
    command = [sys.executable, "-m", "edgeort", "bench", str(folder / "b"), "--sustained", "60s"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    running.stdout.readline()  # the title: the harness starts
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 130 and "interrupted" in said
    assert list(empty.iterdir()) == []
