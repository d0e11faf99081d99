"""Locks of the cache, where several make the same file."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from edgeort import cache

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nobody waits on Windows")


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


def test_who_no_longer_waits_leaves_the_lock_to_its_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lock = tmp_path / "a.o.lock"
    lock.touch()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fcntl.flock", interrupted)
    with pytest.raises(KeyboardInterrupt), cache.alone(tmp_path / "a.o"):
        pytest.fail("it waits")
    assert lock.exists()
