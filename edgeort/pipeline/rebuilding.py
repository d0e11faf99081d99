"""Whether a model gives the bytes of a bundle again: built anew in a process, a folder and a cache of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edgeort.bundle import Bundle, open_bundle
from edgeort.bundle.manifest import NAME, Manifest
from edgeort.errors import InputError


def differences(bundle: Bundle, model: Path, options: Sequence[str]) -> list[str]:
    """The files that differ, sorted; [] where a build with these options of `edgeort build` gives the same.

    Of the manifest's table of providers, times and peaks of memory do not count: they are measured.
    Raises InputError where the build fails, with what it said.
    """
    with tempfile.TemporaryDirectory(prefix="edgeort-") as scratch:
        out = Path(scratch) / bundle.manifest.model
        command = [sys.executable, "-m", "edgeort", "build", str(model), "--device", bundle.manifest.device]
        command += ["-o", str(out), *options]
        environment = {**os.environ, "EDGEORT_CACHE": str(Path(scratch) / "cache")}
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment)
        if done.returncode or not out.exists():
            said = done.stderr.partition("error: ")[2].strip() or done.stderr.strip()
            reason, _, hint = said.partition("\nhint: ")
            raise InputError(f"{model}: it cannot be built as {bundle.path} was: {reason[-2000:]}", hint=hint or None)
        with open_bundle(out) as again:
            ours, theirs = again.manifest, bundle.manifest
            names = {*ours.files, *theirs.files}
            found = [name for name in names if ours.files.get(name) != theirs.files.get(name)]
            same = _unmeasured(ours) == _unmeasured(theirs)
    return sorted([*found, *([] if same else [NAME])])


def _unmeasured(manifest: Manifest) -> dict[str, object]:
    data = manifest.to_dict()
    measured = ("latency_ms", "peak_rss_bytes")
    data["candidates"] = [{k: v for k, v in row.items() if k not in measured} for row in data["candidates"]]
    return {key: value for key, value in data.items() if key != "files"}
