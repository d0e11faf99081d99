"""classes.jar: the package's Java compiled by a JDK's javac, and its Kotlin where there is a Kotlin compiler.

Neither compiler is in PyPI. The Gradle module has the sources, which every build of an app compiles itself.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgeort.bundle.android.archive import VERSION, archive
from edgeort.errors import OutputError, ToolchainError

JAVA = "8"  # the class files that every Android Gradle plugin takes
STUBS = Path(__file__).parent / "stubs"  # signatures of what the sources call of Android
NO_JDK = "there is no javac here: no .aar, which holds compiled classes; the module compiles in the app's build"
NO_KOTLIN = (
    "there is no kotlinc here: the .aar has runHere and runAsync, and the coroutines' run is in the module alone"
)


def has_javac() -> bool:
    """Whether a JDK is here."""
    return shutil.which("javac") is not None


def has_kotlinc() -> bool:
    """Whether a Kotlin compiler is here."""
    return shutil.which("kotlinc") is not None


def versions() -> dict[str, str]:
    """Of what decides the bytes of classes and archives: the compilers that are here, and zlib."""
    found = {"zlib": VERSION}
    for name, command in (("javac", "javac"), ("kotlinc", "kotlinc")):
        if shutil.which(command):
            said = subprocess.run([command, "-version"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
            number = re.search(r"\d+(\.\d+)+", said.stdout + said.stderr)
            found[name] = number[0] if number else "unknown"
    return found


def classes_jar(sources: Mapping[str, bytes], name: str) -> bytes:
    """The classes of `sources`, {file name: text}, of Java and Kotlin; `name` is that of Kotlin's module.

    ToolchainError with what a compiler said, OutputError where the folder for temporary files has no room.
    """
    with tempfile.TemporaryDirectory(prefix="edgeort-") as scratch:
        try:
            return _compiled(sources, name, Path(scratch))
        except OSError as error:
            raise _no_room(error.strerror) from error


def _compiled(sources: Mapping[str, bytes], name: str, scratch: Path) -> bytes:
    folder, stubs, out = (scratch / part for part in ("sources", "stubs", "classes"))
    for place, text in sources.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    java, kotlin = sorted(folder.rglob("*.java")), sorted(folder.rglob("*.kt"))
    javac = ["javac", "--release", JAVA, "-encoding", "UTF-8", "-g:source,lines", "-Xlint:-options", "-nowarn"]
    _run([*javac, "-d", str(stubs), *map(str, sorted(STUBS.rglob("*.java")))])
    _run([*javac, "-Werror", "-cp", str(stubs), "-d", str(out), *map(str, java)])
    if kotlin and has_kotlinc():
        seen = f"{stubs}{os.pathsep}{out}"
        _run(["kotlinc", "-module-name", name, "-jvm-target", "1.8", "-cp", seen, "-d", str(out), *map(str, kotlin)])
    found = sorted(path for path in out.rglob("*") if path.is_file())
    classes = {path.relative_to(out).as_posix(): path.read_bytes() for path in found}
    return archive(classes, stored=classes)


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    said = (done.stderr or done.stdout).strip()
    if done.returncode and os.strerror(errno.ENOSPC) in said:
        raise _no_room(os.strerror(errno.ENOSPC))
    if done.returncode:
        raise ToolchainError(f"{command[0]} failed:\n{said[-4000:]}")


def _no_room(reason: str | None) -> OutputError:
    where = tempfile.gettempdir()
    return OutputError(f"classes cannot be compiled in {where}: {reason}", hint="set TMPDIR to a folder with room")
