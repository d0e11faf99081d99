"""The journal of a sweep."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeort.errors import InputError, OutputError
from edgeort.sweep.journal import Journal
from tests.readme import ROOT


def row(key: str, status: str = "done", **more: Any) -> dict[str, Any]:
    return {"key": key, "status": status, **more}


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_bytes().splitlines()]


def test_rows_are_there_when_it_is_opened_again(tmp_path: Path):
    with Journal(tmp_path / "out") as journal:
        journal.add(row("a", error='line\n"\u2028 é', latency=1.5))
        journal.add(row("b"))
    with Journal(tmp_path / "out") as journal:
        assert journal.rows == {"a": row("a", error='line\n"\u2028 é', latency=1.5), "b": row("b")}
    assert len(lines(tmp_path / "out")) == 2


def test_a_row_takes_the_place_of_an_earlier_one(tmp_path: Path):
    with Journal(tmp_path) as journal:
        for status in ("failed", "failed", "done"):
            journal.add(row("a", status))
            journal.add(row("b"))
    assert lines(tmp_path) == [row("a"), row("b")]
    assert {path.name for path in tmp_path.iterdir()} == {"journal.jsonl", ".lock"}, "nothing is left behind"


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_line_that_was_cut_is_dropped_and_the_next_one_stands_alone(tmp_path: Path, cut: int):
    with Journal(tmp_path) as journal:
        journal.add(row("a"))
        journal.add(row("b"))
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(tmp_path) as journal:
        assert set(journal.rows) == {"a"}
        journal.add(row("c"))
    assert [one["key"] for one in lines(tmp_path)] == ["a", "c"]


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=60))
def test_other_files_are_refused_by_line(tmp_path_factory: pytest.TempPathFactory, data: bytes):
    folder = tmp_path_factory.mktemp("journal")
    (folder / "journal.jsonl").write_bytes(b'{"key": "a", "status": "done"}\n' + data.replace(b"\n", b" ") + b"\n")
    with pytest.raises(InputError, match=r"journal\.jsonl:2: this is no row of a sweep"), Journal(folder):
        pass


def test_a_second_sweep_into_the_folder_is_refused_until_the_first_ends(tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; from edgeort.sweep.journal import Journal\n"
        f"with Journal(Path({str(tmp_path)!r})) as journal:\n"
        "    journal.add({'key': 'a', 'status': 'done'}); print('open', flush=True); sys.stdin.read()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    try:
        assert other.stdout is not None and other.stdout.readline() == b"open\n"
        with (
            pytest.raises(OutputError, match=rf"another sweep writes to it \(process {other.pid}\)"),
            Journal(tmp_path),
        ):
            pass
    finally:
        other.kill()  # which lets go of the lock, too
        other.wait()
    with Journal(tmp_path) as journal:
        assert set(journal.rows) == {"a"}


def test_two_in_one_process_are_refused(tmp_path: Path):
    with Journal(tmp_path), pytest.raises(OutputError, match="another sweep"), Journal(tmp_path):
        pass


def test_a_folder_that_cannot_be(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        Journal(tmp_path / "file/out")


def test_a_full_disk_leaves_whole_rows(tmp_path: Path):
    import resource

    code = (
        "import resource, signal; from pathlib import Path; from edgeort.sweep.journal import Journal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        f"with Journal(Path({str(tmp_path)!r})) as journal:\n"
        "    for key in 'abcd': journal.add({'key': key, 'status': 'done'})\n"
    )
    assert resource.RLIMIT_FSIZE
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert "OutputError" in done.stderr and "File too large" in done.stderr
    assert [one["key"] for one in lines(tmp_path)] == ["a", "b", "c"]
