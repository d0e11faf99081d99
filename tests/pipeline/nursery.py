"""python -m tests.pipeline.nursery: runs commands of edgeort in children that it forks, some of which die on the way.

Everything that they need is imported once, here, so that fifty builds take seconds. Each line of stdin is JSON: the
arguments, and after which change of the file system (`event`) or how many seconds the child dies, with no chance to
tidy up. The answer is JSON: the exit status, or less than 0 for the signal; and how many changes there were.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

# What is about to change something (https://docs.python.org/3/library/audit_events.html); renameat2 is found by dlsym.
_CHANGES = ("os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.chmod", "subprocess.Popen", "ctypes.dlsym")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Nursery:
    """The process, for those who use it; `environment` is added to this process's."""

    def __init__(self, **environment: str) -> None:
        self._environment = environment

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", __name__]
        root = Path(__file__).parents[2]
        environment = {**os.environ, "PYTHONPATH": str(root), **self._environment}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=root, env=environment)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def run(self, arguments: Sequence[str | Path], *, event: int = -1, seconds: float = 0.0) -> tuple[int, int]:
        """(exit status, number of changes) of a command that dies at that change, or after those seconds."""
        assert self._process.stdin and self._process.stdout
        asked = {"arguments": [str(one) for one in arguments], "event": event, "seconds": seconds}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        status, changes = json.loads(self._process.stdout.readline())
        return status, changes


def main() -> None:
    """Until stdin ends. The first child dies of nothing, and tells what it imported."""
    for line in sys.stdin:
        asked = json.loads(line)
        theirs, ours = os.pipe()
        pid = os.fork()
        if not pid:
            _child(asked, ours)
        os.close(ours)
        with open(theirs, encoding="utf-8") as stream:
            told = stream.read()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        changes, modules = json.loads(told) if told else (0, [])
        for name in modules:
            if name not in sys.modules and not name.startswith("__"):
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
        print(json.dumps([status, changes]), flush=True)


def _child(asked: dict[str, Any], told: int) -> None:
    """Never returns."""
    changes = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal changes
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES
        if not writes and event not in _CHANGES:
            return
        if changes == asked["event"]:
            os.kill(os.getpid(), signal.SIGKILL)
        changes += 1

    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    status = 1
    try:
        from edgeort.cli import main as run

        sys.argv = ["edgeort", *asked["arguments"]]
        if asked["seconds"]:
            signal.setitimer(signal.ITIMER_REAL, asked["seconds"])  # without a handler SIGALRM ends the process
        sys.addaudithook(watch)
        run()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        os.write(told, json.dumps([changes, sorted(sys.modules)]).encode())
        os.close(told)
        os._exit(status)


if __name__ == "__main__":
    main()
