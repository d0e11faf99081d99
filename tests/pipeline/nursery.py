"""python -m tests.pipeline.nursery: runs commands of edgeort in children that it forks, some of which die on the way.

Everything that they need is imported once, here, so that fifty builds take seconds. Each line of stdin is JSON: the
arguments, what is added to the environment, how large a file may be (`most_bytes`), and at which change of the file
system (`event`) or after how many seconds the child dies, with no chance to tidy up. The answer is JSON: the exit
status, or less than 0 for the signal, how many changes there were, and what was said on stderr.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

# What is about to change something (https://docs.python.org/3/library/audit_events.html); renameat2 is found by dlsym.
_CHANGES = ("os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.chmod", "subprocess.Popen", "ctypes.dlsym")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Ended:
    """A command that is over. `changes` of one that was killed are not known: 0."""

    status: int
    changes: int
    stderr: str


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

    def run(
        self,
        arguments: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        most_bytes: int = 0,
        event: int = -1,
        seconds: float = 0.0,
    ) -> Ended:
        """A command, that dies at that change of the file system, or after those seconds."""
        assert self._process.stdin and self._process.stdout
        asked = {"arguments": [str(one) for one in arguments], "environment": dict(environment or {})}
        asked |= {"most_bytes": most_bytes, "event": event, "seconds": seconds}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return Ended(*json.loads(self._process.stdout.readline()))


def main() -> None:
    """Until stdin ends. The first child dies of nothing, and tells what it imported."""
    for line in sys.stdin:
        asked = json.loads(line)
        theirs, ours = os.pipe()
        with tempfile.TemporaryFile() as errors:
            pid = os.fork()
            if not pid:
                _child(asked, ours, errors.fileno())
            os.close(ours)
            with open(theirs, encoding="utf-8") as stream:
                told = stream.read()
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            errors.seek(0)
            said = errors.read().decode(errors="replace")
        changes, modules = json.loads(told) if told else (0, [])
        for name in modules:
            if name not in sys.modules and not name.startswith("__"):
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
        print(json.dumps([status, changes, said]), flush=True)


def _child(asked: dict[str, Any], told: int, errors: int) -> None:
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
    for stream, to in enumerate((quiet, quiet, errors)):
        os.dup2(to, stream)
    os.environ.update(asked["environment"])
    tempfile.tempdir = None  # may be another one now
    if asked["most_bytes"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked["most_bytes"], asked["most_bytes"]))
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
        status = end.code if isinstance(end.code, int) else 1 if end.code else 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os.write(told, json.dumps([changes, sorted(sys.modules)]).encode())
        os.close(told)
        os._exit(status)


if __name__ == "__main__":
    main()
