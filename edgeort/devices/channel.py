"""A program that runs somewhere, and its three streams."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Protocol

from edgeort.devices.transport import Output

STDOUT, STDERR = 1, 2
_CHUNK = 1 << 16


class Channel(Protocol):
    """A program while it runs."""

    def send(self, data: bytes) -> None:
        """Writes to its stdin; what it does not want to read any more is dropped."""

    def finish(self) -> None:
        """Closes its stdin."""

    def receive(self, timeout_s: float) -> tuple[int, bytes] | None:
        """What it wrote next, and whether to STDOUT or STDERR; None when it has ended. Else TimeoutError."""

    def status(self) -> int:
        """Its exit status, once `receive` gave None; of a signal, its negative number."""

    def kill(self) -> None:
        """Ends it. May be called again, and of one that has ended."""


class ProcessChannel:
    """A process of this machine. OSError when it cannot be started.

    One that is `apart` gets no Ctrl-C from the terminal: whoever made it ends it.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None, *, apart: bool = False
    ) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            start_new_session=apart,
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._stdin = self._process.stdin
        self._said: queue.Queue[tuple[int, bytes]] = queue.Queue()
        self._open = 2
        for stream, number in ((self._process.stdout, STDOUT), (self._process.stderr, STDERR)):
            threading.Thread(target=self._read, args=(stream, number), daemon=True).start()

    def _read(self, stream: IO[bytes], number: int) -> None:
        with stream:
            while data := os.read(stream.fileno(), _CHUNK):
                self._said.put((number, data))
        self._said.put((number, b""))

    def send(self, data: bytes) -> None:
        """See Channel."""
        with contextlib.suppress(BrokenPipeError, ValueError):
            self._stdin.write(data)
            self._stdin.flush()

    def finish(self) -> None:
        """See Channel."""
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()

    def receive(self, timeout_s: float) -> tuple[int, bytes] | None:
        """See Channel."""
        end = time.monotonic() + timeout_s
        while self._open:
            try:
                number, data = self._said.get(timeout=max(end - time.monotonic(), 0.0))
            except queue.Empty:
                raise TimeoutError from None
            if data:
                return number, data
            self._open -= 1
        return None

    def status(self) -> int:
        """See Channel."""
        return self._process.wait()

    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def kill(self) -> None:
        """See Channel."""
        self._process.kill()
        self._process.wait()
        self.finish()


@dataclass
class Watched:
    """A channel over a connection: its end is an error where that broke."""

    channel: Channel
    is_lost: Callable[[Output], bool]
    lost: Callable[[], Exception]

    def send(self, data: bytes) -> None:
        """See Channel."""
        self.channel.send(data)

    def finish(self) -> None:
        """See Channel."""
        self.channel.finish()

    def receive(self, timeout_s: float) -> tuple[int, bytes] | None:
        """See Channel."""
        found = self.channel.receive(timeout_s)
        if found is None and self.is_lost(Output(self.channel.status(), "", "")):
            raise self.lost()
        return found

    def status(self) -> int:
        """See Channel."""
        return self.channel.status()

    def kill(self) -> None:
        """See Channel."""
        self.channel.kill()


def converse(
    channel: Channel,
    *,
    data: Iterable[bytes] = (),
    on_line: Callable[[str], None] | None = None,
    on_bytes: Callable[[bytes], object] | None = None,
    timeout_s: float,
) -> Output:
    """Sends `data`, and collects what the program says until it ends; it is killed when anything is raised.

    `on_line` gets every line of stdout as it comes; `on_bytes` gets stdout instead of the output. TimeoutError when
    it does not end in time.
    """
    end = time.monotonic() + timeout_s
    said, line = {STDOUT: bytearray(), STDERR: bytearray()}, bytearray()
    try:
        for block in data:
            channel.send(block)
        channel.finish()
        while (found := channel.receive(max(end - time.monotonic(), 0.0))) is not None:
            number, block = found
            if number == STDOUT and on_bytes:
                on_bytes(block)
                continue
            said[number] += block
            if number == STDOUT and on_line:
                *whole, rest = (line + block).split(b"\n")
                line = rest
                for one in whole:
                    on_line(one.decode(errors="replace"))
        if line and on_line:
            on_line(line.decode(errors="replace"))
        return Output(channel.status(), *(bytes(said[number]).decode(errors="replace") for number in (STDOUT, STDERR)))
    except BaseException:
        channel.kill()
        raise
