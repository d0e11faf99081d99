"""Who may work on a machine while something is measured there: nobody else of a sweep.

Locks on files in the temporary folder, which end with their process: cells at work share one, a cell that measures on
this machine has it alone, and a device that is attached is used by one cell at a time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def working() -> Iterator[None]:
    """Others may work, too; waits while somebody measures on this machine, or is about to."""
    with _locked("turn", fcntl.LOCK_SH):
        pass
    with _locked("machine", fcntl.LOCK_SH):
        yield


@contextmanager
def alone() -> Iterator[None]:
    """Waits until nobody works on this machine; those that come later wait, so that this ends."""
    with _locked("turn", fcntl.LOCK_EX), _locked("machine", fcntl.LOCK_EX):
        yield


@contextmanager
def using(device: str) -> Iterator[None]:
    """Waits until nobody on this machine uses the attached device."""
    with _locked(f"device-{hashlib.sha256(device.encode()).hexdigest()[:16]}", fcntl.LOCK_EX):
        yield


@contextmanager
def _locked(name: str, how: int) -> Iterator[None]:
    folder = Path(tempfile.gettempdir()) / f"edgeort-sweep-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, how)
        yield
    finally:
        os.close(lock)
