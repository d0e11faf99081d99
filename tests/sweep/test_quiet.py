"""Who may work while something is measured: locks between processes."""

from __future__ import annotations

import multiprocessing as mp
import tempfile
import threading
import time
from pathlib import Path

import pytest

from edgeort.sweep import quiet


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def begun(enter, name: str, log: list[str], hold: threading.Event) -> threading.Thread:
    def run() -> None:
        with enter():
            log.append(name)
            hold.wait(10)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def waited_for(log: list[str], names: set[str]) -> bool:
    end = time.monotonic() + 5
    while set(log) != names and time.monotonic() < end:
        time.sleep(0.005)
    return set(log) == names


def test_many_work_one_measures_and_those_that_come_later_wait():
    log: list[str] = []
    first, measuring, later = threading.Event(), threading.Event(), threading.Event()
    threads = [begun(quiet.working, "a", log, first), begun(quiet.working, "b", log, first)]
    assert waited_for(log, {"a", "b"})
    threads.append(begun(quiet.alone, "m", log, measuring))
    time.sleep(0.1)
    threads.append(begun(quiet.working, "c", log, later))
    time.sleep(0.1)
    assert set(log) == {"a", "b"}, "who measures waits for those at work, and those after it wait for it"
    first.set()
    assert waited_for(log, {"a", "b", "m"})
    time.sleep(0.1)
    assert "c" not in log
    measuring.set()
    assert waited_for(log, {"a", "b", "m", "c"})
    later.set()
    for thread in threads:
        thread.join(10)


def test_a_device_is_used_by_one():
    log: list[str] = []
    first, second = threading.Event(), threading.Event()
    one = begun(lambda: quiet.using("ssh:pi"), "one", log, first)
    assert waited_for(log, {"one"})
    two = begun(lambda: quiet.using("ssh:pi"), "two", log, second)
    other = begun(lambda: quiet.using("ssh:other"), "other", log, first)
    assert waited_for(log, {"one", "other"})
    first.set()
    assert waited_for(log, {"one", "other", "two"})
    second.set()
    for thread in (one, two, other):
        thread.join(10)


def _hold(ready) -> None:
    with quiet.alone():
        ready.set()
        time.sleep(60)


def test_the_lock_of_a_process_that_died_is_free():
    context = mp.get_context("fork")
    ready = context.Event()
    process = context.Process(target=_hold, args=(ready,), daemon=True)
    process.start()
    assert ready.wait(10)
    process.kill()
    process.join()
    with quiet.alone():
        pass
