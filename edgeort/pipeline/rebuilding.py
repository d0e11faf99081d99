"""Whether a model gives the bytes of a bundle again: built anew in a process, a folder and a cache of their own.

python -m edgeort.pipeline.rebuilding BUNDLE MODEL OUT FILES   is that process; FILES is JSON: [[place, path], ...]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from edgeort.bundle import Bundle, open_bundle
from edgeort.bundle.manifest import NAME, Manifest
from edgeort.errors import EdgeortError, InputError
from edgeort.pipeline import recording
from edgeort.pipeline.building import build
from edgeort.progress import Progress

_STAGE = "stage: "  # before what the process says that it is at, on stderr


def differences(bundle: Bundle, model: Path, given: Mapping[str, Path], progress: Progress | None = None) -> list[str]:
    """The files that differ, sorted; [] where a build with the bundle's options gives the same.

    `given` are the files that it was built with, by the names of their options. Of the manifest's table of providers,
    times and peaks of memory do not count: they are measured.
    Raises InputError where a file is missing or another one, or the build fails, with what it said.
    """
    files = recording.located(bundle, given)
    with tempfile.TemporaryDirectory(prefix="edgeort-") as scratch:
        out = Path(scratch) / "bundle"
        told = json.dumps([[place, str(path)] for place, path in files.items()])
        command = [sys.executable, "-P", "-m", __name__, str(bundle.folder), str(model), str(out), told]
        paths = os.pathsep.join(path for path in sys.path if path)  # and not the folder that we happen to be in
        environment = {**os.environ, "EDGEORT_CACHE": str(Path(scratch) / "cache"), "PYTHONPATH": paths}
        code, stdout, stderr = _run(command, environment, progress)
        if code or not out.exists():
            reason, hint = _said(stdout) or (stderr.strip()[-2000:], None)
            raise InputError(f"{model}: it cannot be built as {bundle.path} was: {reason}", hint=hint)
        with open_bundle(out) as again:
            ours, theirs = again.manifest, bundle.manifest
            names = {*ours.files, *theirs.files}
            found = [name for name in names if ours.files.get(name) != theirs.files.get(name)]
            same = _unmeasured(ours) == _unmeasured(theirs)
    return sorted([*found, *([] if same else [NAME])])


def _run(command: list[str], environment: dict[str, str], progress: Progress | None) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of the process that builds; its stages go to `progress`."""
    with (
        tempfile.TemporaryFile("w+", errors="replace") as stdout,  # a pipe that nobody reads meanwhile would fill
        subprocess.Popen(
            command,
            text=True,
            errors="replace",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
        ) as child,
    ):
        assert child.stderr
        try:
            told = []
            for line in child.stderr:
                if not line.startswith(_STAGE):
                    told.append(line)
                elif progress:
                    progress(line.removeprefix(_STAGE).rstrip())
            code = child.wait()
        except BaseException:
            child.kill()
            raise
        stdout.seek(0)
        return code, stdout.read(), "".join(told)


def _tell(stage: str) -> None:
    print(f"{_STAGE}{stage}", file=sys.stderr, flush=True)


def _unmeasured(manifest: Manifest) -> dict[str, object]:
    data = manifest.to_dict()
    measured = ("latency_ms", "peak_rss_bytes")
    data["candidates"] = [{k: v for k, v in row.items() if k not in measured} for row in data["candidates"]]
    return {key: value for key, value in data.items() if key != "files"}


def _said(stdout: str) -> tuple[str, str | None] | None:
    """The message and the hint of an EdgeortError of the process."""
    try:
        told = json.loads(stdout)
        return told["error"], told["hint"]
    except (ValueError, KeyError, TypeError):
        return None


def main() -> None:
    """Builds as the bundle was built; an EdgeortError is JSON on stdout."""
    folder, model, out, told = sys.argv[1:]
    try:
        with open_bundle(folder) as bundle:
            files = {tuple(place): Path(path) for place, path in json.loads(told)}
            build(model, out=out, progress=_tell, **recording.replay(build, bundle, files))
    except EdgeortError as error:
        print(json.dumps({"error": str(error), "hint": error.hint}))
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
