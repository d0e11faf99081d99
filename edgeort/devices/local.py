"""This machine."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from edgeort import providers
from edgeort.bundle import Manifest
from edgeort.device_profiles.host import own_system
from edgeort.devices.channel import Channel, ProcessChannel, converse
from edgeort.devices.transport import TIMEOUT_S, Output, no_harness
from edgeort.errors import DeviceError, OutputError

_SIGILL = -4


class Local:
    """Runs programs directly, and files where they lie."""

    name = "local"
    is_real = True
    is_remote = False

    def __init__(self) -> None:
        self._folders: list[Path] = []

    @property
    def system(self) -> tuple[str, str]:
        """As profiles name it, or as Python does where no profile can."""
        return own_system()

    @staticmethod
    def fits(manifest: Manifest) -> bool:
        """Whether operating system and instruction set are those of this machine (Android's harness is a Linux one)."""
        return runs_here(manifest.target.os, manifest.target.arch)

    def admit(self, manifest: Manifest) -> Mapping[str, str]:
        """The variables by which the provider finds its engine. DeviceError says why the bundle cannot run."""
        target = manifest.target
        if not self.fits(manifest):
            raise DeviceError(
                f"this machine cannot run code for {target.os}/{target.arch}", hint="edgeort bench BUNDLE --on emulated"
            )
        if not manifest.harness:
            raise no_harness(manifest)
        provider = providers.provider(manifest.provider)
        if reason := provider.not_here():
            raise DeviceError(f"{manifest.provider} does not run on this machine: {reason}", hint="edgeort doctor")
        return provider.environment()

    def push(self, files: Mapping[str, Path], *, keep: bool = True) -> str:
        """The folder where the files lie already under their names; else a new one with copies."""
        if root := _root_of(files):
            return root
        folder = Path(tempfile.mkdtemp(prefix="edgeort-"))
        self._folders.append(folder)
        try:
            for name, path in files.items():
                to = folder / name
                (to if name.endswith("/") else to.parent).mkdir(parents=True, exist_ok=True)
                if not name.endswith("/"):
                    shutil.copyfile(path, to)
                    to.chmod(0o755)
        except OSError as error:
            raise OutputError(f"{folder} cannot be written: {error.strerror}", hint=_ROOM) from error
        return str(folder)

    def execute(
        self,
        arguments: Sequence[str],
        on_line: Callable[[str], None] | None = None,
        timeout_s: float = TIMEOUT_S,
        environment: Mapping[str, str] | None = None,
    ) -> Output:
        """See Transport."""
        output = self._run(arguments, arguments, on_line, timeout_s, environment)
        if output.status == _SIGILL:
            raise DeviceError(f"{arguments[0]} uses an instruction that this machine's CPU lacks", hint=_FITTING)
        return output

    def _run(
        self,
        command: Sequence[str],
        arguments: Sequence[str],
        on_line: Callable[[str], None] | None,
        timeout_s: float,
        environment: Mapping[str, str] | None,
    ) -> Output:
        """What `command` says, which runs the program in `arguments`."""
        try:
            return converse(_start(command, arguments[0], environment), on_line=on_line, timeout_s=timeout_s)
        except TimeoutError:
            raise DeviceError(f"{arguments[0]} did not end within {timeout_s:.0f} s on {self.name}") from None

    def open(self, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Channel:
        """See Transport."""
        return _start(arguments, arguments[0], environment)

    def pull(self, remote: str, to: Path) -> None:
        """Copies a folder."""
        try:
            shutil.copytree(remote, to, dirs_exist_ok=True, copy_function=shutil.copyfile)
        except OSError as error:
            raise OutputError(f"{to} cannot be written: {error}", hint=_ROOM) from error

    def discard(self, folder: str) -> None:
        """Removes copies."""
        if Path(folder) in self._folders:
            self._folders.remove(Path(folder))
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Removes the copies."""
        while self._folders:
            shutil.rmtree(self._folders.pop(), ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_ROOM = "set TMPDIR to a folder with room"
_FITTING = "edgeort build --device host makes a bundle for this machine"


def _start(command: Sequence[str], program: str, environment: Mapping[str, str] | None) -> ProcessChannel:
    try:
        return ProcessChannel(command, environment)
    except OSError as error:
        hint = f"chmod +x {program}" if isinstance(error, PermissionError) else None
        raise DeviceError(f"{command[0]} cannot be started: {error.strerror}", hint=hint) from error


def runs_here(os: str, arch: str) -> bool:
    """Whether code for a profile's operating system and architecture runs on this machine."""
    own_os, own_arch = own_system()
    return arch == own_arch and os in ((own_os, "android") if own_os == "linux" else (own_os,))


def _root_of(files: Mapping[str, Path]) -> str | None:
    """The folder that all files lie in under their names, if there is one."""
    roots = set()
    for name, path in files.items():
        whole, _, _ = os.path.abspath(path).replace(os.sep, "/").rpartition(f"/{name}")
        if not whole or os.path.abspath(path) != os.path.abspath(f"{whole}/{name}"):
            return None
        roots.add(whole)
    return roots.pop() if len(roots) == 1 else None
