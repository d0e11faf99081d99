"""The cache: damaged files, and locks where several make the same file."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgeort import cache
from edgeort.errors import ToolchainError

waits = pytest.mark.skipif(sys.platform == "win32", reason="nobody waits on Windows")


@waits
def test_a_lock_that_another_user_left_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As in a folder that several users share: who is not its owner may neither write nor remove it."""
    monkeypatch.setenv("EDGEORT_CACHE", str(tmp_path))
    open_file = os.open

    def denied(path, flags, *rest, **more):
        if str(path).endswith(".lock"):
            if not flags & os.O_RDWR:
                return open_file(path, flags, *rest, **more)
            open_file(path, flags | os.O_CREAT, 0o644)
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_file(path, flags, *rest, **more)

    def kept(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "open", denied)
    monkeypatch.setattr(Path, "unlink", kept)
    assert cache.cached("a.o", ("key",), lambda path: path.write_text("source")).read_text() == "source"


@waits
def test_who_no_longer_waits_leaves_the_lock_to_its_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lock = tmp_path / "a.o.lock"
    lock.touch()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fcntl.flock", interrupted)
    with pytest.raises(KeyboardInterrupt), cache.alone(tmp_path / "a.o"):
        pytest.fail("it waits")
    assert lock.exists()


@pytest.mark.parametrize("damage", [b"", b"sourcf", b"source and more"])
def test_a_damaged_file_of_the_cache_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes):
    monkeypatch.setenv("EDGEORT_CACHE", str(tmp_path))
    made = cache.cached("a.o", ("key",), lambda path: path.write_text("source"))
    for broken in (made, cache._seal_of(made)):
        broken.write_bytes(damage)
        again = cache.cached("a.o", ("key",), lambda path: path.write_text("source"))
        assert again == made and made.read_bytes() == b"source"
    cache.cached("a.o", ("key",), lambda path: pytest.fail("it is sound"))


@waits
@pytest.mark.parametrize("fails", [False, True])
def test_who_wants_what_another_makes_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool):
    monkeypatch.setenv("EDGEORT_CACHE", str(tmp_path))
    makers: list[int] = []
    begun, end = threading.Event(), threading.Event()

    def make(path: Path) -> None:
        makers.append(len(makers))
        begun.set()
        assert end.wait(60)
        if fails and len(makers) == 1:
            raise ToolchainError("the first one")
        path.write_text("source")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.cached, "a.o", ("key",), make)
        assert begun.wait(60)
        second = pool.submit(cache.cached, "a.o", ("key",), make)
        time.sleep(0.1)  # in which it would begin
        assert len(makers) == 1
        end.set()
        assert second.result().read_text() == "source"
        if fails:
            with pytest.raises(ToolchainError, match="the first one"):
                first.result()
    assert len(makers) == 1 + fails
    made = second.result()
    assert set(made.parent.iterdir()) == {made, cache._seal_of(made)}, "no lock is left"
