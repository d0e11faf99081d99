"""One line on stderr for work that turns out to take long."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Called with the name of each stage as it begins.
Progress = Callable[[str], None]

AFTER_S = 1.0


def within(part: str, progress: Progress | None) -> Progress | None:
    """A progress whose stages are those of a part: `PART: STAGE`."""
    return None if progress is None else lambda name: progress(f"{part}: {name}")


@contextmanager
def announce_slow(message: str, after_s: float = AFTER_S) -> Iterator[None]:
    """Prints `message` on stderr once the block has taken `after_s` seconds; on a terminal it goes away again."""
    shown = _Spinner(message) if sys.stderr.isatty() else _Line(message)
    timer = threading.Timer(after_s, shown.start)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        shown.stop()


class _Line:
    def __init__(self, message: str) -> None:
        self.message = message

    def start(self) -> None:
        print(self.message, file=sys.stderr, flush=True)

    def stop(self) -> None:
        """The line stays."""


class _Spinner:
    def __init__(self, message: str) -> None:
        self.message = message
        self.lock = threading.Lock()
        self.status: object = None
        self.stopped = False

    def start(self) -> None:
        from rich.console import Console

        with self.lock:
            if not self.stopped:
                status = Console(stderr=True).status(self.message)
                status.start()
                self.status = status

    def stop(self) -> None:
        with self.lock:
            self.stopped = True
            if self.status is not None:
                self.status.stop()  # type: ignore[attr-defined]
