"""A running program whose standard streams are held: here or under an emulator."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
from collections.abc import Mapping, Sequence
from typing import Protocol

from edgeort.errors import DeviceError

STDOUT, STDERR = 1, 2
_CHUNK = 1 << 20


class Pipe(Protocol):
    """A program while it runs. One thread may send while another receives."""

    def send(self, data: bytes) -> None:
        """Writes to its stdin, and waits while it does not read; what it does not want any more is dropped."""

    def finish(self) -> None:
        """Closes its stdin."""

    def receive(self, timeout_s: float) -> tuple[int, bytes] | None:
        """What it wrote next, and whether to STDOUT or STDERR; None when it has ended. Else TimeoutError."""

    def status(self) -> int:
        """Its exit status, once `receive` gave None; of a signal, its negative number."""

    def kill(self) -> None:
        """Ends it. May be called again, and of one that has ended."""


class Program:
    """A `Pipe` to a program that this machine starts."""

    def __init__(
        self, command: Sequence[str], hint: str | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        """Starts it. DeviceError when that fails; `environment` has variables beside those of this process."""
        variables, pipe = {**os.environ, **(environment or {})}, subprocess.PIPE
        try:
            self._process = subprocess.Popen(command, 0, None, pipe, pipe, pipe, env=variables)
        except OSError as error:
            raise DeviceError(f"{command[0]} cannot be started: {error.strerror}", hint=hint) from error
        self._said = selectors.DefaultSelector()
        for stream, number in ((self._process.stdout, STDOUT), (self._process.stderr, STDERR)):
            assert stream is not None
            self._said.register(stream, selectors.EVENT_READ, number)

    def send(self, data: bytes) -> None:
        """See Pipe."""
        stream, view = self._process.stdin, memoryview(data)
        with contextlib.suppress(BrokenPipeError, ValueError):
            while stream and view:
                view = view[stream.write(view) :]

    def finish(self) -> None:
        """See Pipe."""
        if self._process.stdin:
            self._process.stdin.close()

    def receive(self, timeout_s: float) -> tuple[int, bytes] | None:
        """See Pipe."""
        while self._said.get_map():
            ready = self._said.select(timeout_s)
            if not ready:
                raise TimeoutError
            key = ready[0][0]
            if data := os.read(key.fd, _CHUNK):
                return key.data, data
            self._said.unregister(key.fileobj)
        return None

    def status(self) -> int:
        """See Pipe."""
        return self._process.wait()

    def kill(self) -> None:
        """See Pipe."""
        self._process.kill()
        self._process.wait()
        self._said.close()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream:
                stream.close()
