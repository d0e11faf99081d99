"""Results kept as lines: whole ones only, whatever happens meanwhile."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgeort.bench import history, line_of
from edgeort.bundle import Bundle
from edgeort.errors import InputError, OutputError
from tests.bench.test_budgets import FOUND
from tests.bundle.test_bundle import CONTENTS, MANIFEST, write_bundle

SAMPLES = [
    {"at_s": 0.0, "mhz": 1800.0, "governor": "schedutil", "temperature_c": 45.0},
    {"at_s": 1.0, "mhz": None, "governor": None, "temperature_c": 61.0},
    {"at_s": 2.0, "mhz": 1500.0, "governor": "schedutil", "temperature_c": 58.0},
]
LINE = {"latency_ms": {"p50": 1.5}, "latencies_ms": [1.5], "every": 1}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    path = write_bundle(tmp_path / "b", MANIFEST, CONTENTS)
    return Bundle(path, path, MANIFEST)


def test_a_line_says_what_when_with_what_and_how(bundle: Bundle):
    found = dataclasses.replace(FOUND, samples=SAMPLES, load=0.5, cores=[4, 5])
    line = line_of(bundle, found, {"budgets": []})
    assert line["bundle"] == str(bundle.path) and line["model"] == MANIFEST.model and line["budgets"] == []
    assert line["versions"]["edgeort"] and line["at"].endswith("+00:00") and line["latency_ms"] == {"p50": 12.5}
    assert line["conditions"] == {
        "governor": "schedutil",
        "least_mhz": 1500.0,
        "most_mhz": 1800.0,
        "first_temperature_c": 45.0,
        "most_temperature_c": 61.0,
        "load": 0.5,
        "cores": [4, 5],
        "threads": 1,
    }
    silent = history.conditions(FOUND)
    assert silent.pop("threads") == 1 and set(silent.values()) == {None}


def test_the_commit_is_that_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert history.commit() is None

    def git(*arguments: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        return subprocess.run(["git", *who, *arguments], check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    assert history.commit() is None  # nothing is committed yet
    (tmp_path / "f").write_text("1")
    git("add", "f")
    git("commit", "-qm", "first")
    head = git("rev-parse", "HEAD")
    assert history.commit() == head[:12]
    (tmp_path / "f").write_text("2")
    assert history.commit() == f"{head[:12]}+"
    monkeypatch.setenv("PATH", "")
    assert history.commit() is None


def test_lines_are_added_and_read_in_order(tmp_path: Path):
    path = tmp_path / "new/folder/h.jsonl"
    for index in range(3):
        history.append(path, {**LINE, "n": index})
    found = history.read(path)
    assert [line["n"] for line in found.lines] == [0, 1, 2] and found.torn == 0
    assert path.read_text().count("\n") == 3


def test_a_torn_line_costs_no_other(tmp_path: Path):
    path = tmp_path / "h.jsonl"
    history.append(path, {**LINE, "n": 0})
    history.append(path, {**LINE, "n": 1})
    path.write_bytes(path.read_bytes()[:-9])
    assert [line["n"] for line in history.read(path).lines] == [0] and history.read(path).torn == 1
    history.append(path, {**LINE, "n": 2})
    found = history.read(path)
    assert [line["n"] for line in found.lines] == [0, 2] and found.torn == 1


def test_one_result_may_be_a_file_of_its_own(tmp_path: Path):
    (tmp_path / "r.json").write_text(json.dumps(LINE, indent=2))
    assert history.read(tmp_path / "r.json").lines == [LINE]


@pytest.mark.parametrize(
    "text", ["", "hello\n", "[1]\n", '{"latency_ms": {}}\n', '{"latency_ms": {"p50": "x"}}', "[" * 9000]
)
def test_what_holds_no_result_is_refused(tmp_path: Path, text: str):
    (tmp_path / "h").write_text(text)
    with pytest.raises(InputError, match="no result of edgeort bench"):
        history.read(tmp_path / "h")
    with pytest.raises(InputError, match="No such file"):
        history.read(tmp_path / "absent")


def test_many_latencies_are_thinned(tmp_path: Path):
    history.append(tmp_path / "h", {**LINE, "every": 2, "latencies_ms": [float(i) for i in range(10_000)]})
    (line,) = history.read(tmp_path / "h").lines
    assert (
        line["every"] == 6 and line["latencies_ms"][:3] == [0, 3, 6] and len(line["latencies_ms"]) <= history.MOST_KEPT
    )


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write the history .*/file/h") as caught:
        history.append(tmp_path / "file/h", LINE)
    assert "--no-history" in str(caught.value.hint)


def test_processes_that_end_together_do_not_mix_their_lines(tmp_path: Path):
    code = """if True:
        import sys
        from pathlib import Path
        from edgeort.bench import history
        line = {"latency_ms": {"p50": 1.5}, "latencies_ms": [], "every": 1, "who": sys.argv[2] * 200_000}
        for _ in range(20):
            history.append(Path(sys.argv[1]), line)"""
    workers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "h"), who]) for who in "abc"]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    found = history.read(tmp_path / "h")
    assert found.torn == 0 and sorted(line["who"][0] for line in found.lines) == sorted("abc" * 20)


def test_changes_between_results_are_told(bundle: Bundle):
    now = line_of(bundle, dataclasses.replace(FOUND, samples=SAMPLES), {})
    assert history.changes(now, now) == []
    then = {**now, "threads": 4, "conditions": {**now["conditions"], "governor": "powersave"}}
    assert history.changes(then, now) == [("threads", "4 then, 1 now"), ("governor", "powersave then, schedutil now")]
