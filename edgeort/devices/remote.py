"""What the transports to other machines share: files by their content, programs, outputs."""

from __future__ import annotations

import hashlib
import re
import secrets
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from edgeort.bundle import Manifest
from edgeort.devices import archive, scripts
from edgeort.devices.channel import Channel, Watched
from edgeort.devices.connection import Connection, ConnectionLost, command_line
from edgeort.devices.device import can_run
from edgeort.devices.elf import dynamic_linker
from edgeort.devices.transport import TIMEOUT_S, Output, no_harness
from edgeort.errors import DeviceError, OutputError

_ASKED_AT_ONCE = 500  # hashes in one command
_SIGNALS = range(129, 160)  # exit statuses by which a shell says 128 + the signal that ended a program
_SIGILL = -4


class Remote(Connection):
    """A Transport; see there."""

    is_real = True
    is_remote = True

    def __init__(self, where: str, base: str = "") -> None:
        self._pushed = 0
        self._sources: dict[str, Path] = {}
        super().__init__(where, base)

    def admit(self, manifest: Manifest) -> Mapping[str, str]:
        """Where pip has installed the engine there, if the bundle lacks it. DeviceError for one of another system."""
        target, (os, arch) = manifest.target, self._system
        is_foreign = manifest.provider != "cpu" and target.os != os  # what is not static needs the very C library
        if is_foreign or not can_run(self._system, target.os, target.arch):
            raise DeviceError(
                f"{self.name} is {os}/{arch}; the bundle is for {target.os}/{target.arch} ({manifest.device})",
                hint="edgeort devices lists the profile that fits; edgeort build MODEL --device PROFILE",
            )
        if not manifest.harness:
            raise no_harness(manifest)
        return self._engine(manifest.requirements) if manifest.requirements else {}

    def _engine(self, requirements: Sequence[str]) -> dict[str, str]:
        """The variables that say where the libraries of pip packages are; nothing where they are not installed."""
        packages = [re.split(r"[\[=<>~! ]", requirement)[0] for requirement in requirements]
        output = self._script("looking for packages", scripts.LIBRARIES, *packages, check=False)
        lines = output.stdout.splitlines() if output.status == 0 else []
        return {name: line for name, line in zip(("EDGEORT_LIBRARIES", "LD_LIBRARY_PATH"), lines, strict=False) if line}

    def push(self, files: Mapping[str, Path], *, keep: bool = True) -> str:
        """See Transport."""
        self._pushed += 1
        to = f"{self._run}/{self._pushed}"
        self._sources |= {f"{to}/{name}": path for name, path in files.items()}
        try:
            if keep:
                self._push_blobs(files, to)
            else:
                self._script("sending files", scripts.UNPACK, to, data=archive.blocks(files.items()))
        except OSError as error:
            raise OutputError(f"a file for {self.name} cannot be read: {error}") from error
        return to

    def _push_blobs(self, files: Mapping[str, Path], to: str) -> None:
        hashes = {name: _sha256(path) for name, path in files.items() if not name.endswith("/")}
        blobs = {hash: files[name] for name, hash in hashes.items()}
        known = self._known(list(blobs))
        missing = {hash: path for hash, path in blobs.items() if hash not in known}
        if missing:
            self._script("sending files", scripts.RECEIVE, self.base, self._run, data=archive.blocks(missing.items()))
        parents = {str(PurePosixPath(name).parent) for name in hashes} | {name for name in files if name.endswith("/")}
        lines = "".join(f"{hash} {name}\n" for name, hash in hashes.items())
        folders = sorted(parents - {"."})
        self._script("placing files", scripts.ASSEMBLE, f"{self.base}/blobs", to, *folders, data=[lines.encode()])

    def _known(self, hashes: Sequence[str]) -> set[str]:
        """Those of the blobs that the device has, unchanged."""
        known = set()
        for at in range(0, len(hashes), _ASKED_AT_ONCE):
            some = hashes[at : at + _ASKED_AT_ONCE]
            for line in self._script("looking for files", scripts.KNOWN, self.base, *some).stdout.splitlines():
                words = line.split()
                if words and words[0] == words[-1].lstrip("*"):
                    known.add(words[0])
        return known

    def execute(
        self,
        arguments: Sequence[str],
        on_line: Callable[[str], None] | None = None,
        timeout_s: float = TIMEOUT_S,
        environment: Mapping[str, str] | None = None,
    ) -> Output:
        """See Transport."""
        pid, command = self._of_program(scripts.EXECUTE, arguments, environment)
        try:
            output = self._converse(
                f"running {_base_name(arguments[0])}", command, on_line=on_line, timeout_s=timeout_s
            )
        except TimeoutError:
            self._script("ending a program", scripts.KILL, pid, check=False)
            raise DeviceError(f"{arguments[0]} did not end within {timeout_s:.0f} s on {self.name}") from None
        status = 128 - output.status if output.status in _SIGNALS else output.status
        if status == _SIGILL:
            hint = "edgeort devices lists the profile that fits this device: build for it"
            raise DeviceError(f"{arguments[0]} uses an instruction that the CPU of {self.name} lacks", hint=hint)
        if status in (126, 127, 255):  # 255: an emulator's
            self._explain(arguments[0], output.stderr.strip(), is_sure=status != 255)
        return Output(status, output.stdout, output.stderr)

    def open(self, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Channel:
        """See Transport."""
        doing, command = (
            f"running {_base_name(arguments[0])}",
            self._of_program(scripts.CONVERSE, arguments, environment)[1],
        )
        try:
            channel = self._open(command)
        except ConnectionLost:
            raise self._lost(doing) from None
        return Watched(channel, self._is_lost, lambda: self._lost(doing))

    def _of_program(
        self, script: str, arguments: Sequence[str], environment: Mapping[str, str] | None
    ) -> tuple[str, str]:
        """The file for a program's process number, and the command line that runs it."""
        pid = f"{self._run}/{secrets.token_hex(4)}.pid"
        variables = [f"{key}={value}" for key, value in (environment or {}).items()]
        return pid, command_line(script, pid, *(["env", *variables] if variables else []), *arguments)

    def _explain(self, program: str, said: str, *, is_sure: bool) -> None:
        """Raises DeviceError where a program did not start: why. Where that is not sure, it may have."""
        linker = dynamic_linker(self._sources[program]) if program in self._sources else None
        state = self._script("looking at a program", scripts.WHY_NOT, program, linker or "", check=False).stdout.strip()
        what = f"{self.name} cannot start {_base_name(program)}"
        if state == "closed":
            raise DeviceError(f"{what}: {self.base} is on a file system mounted noexec", hint=self._elsewhere)
        if state == "unlinked":
            raise DeviceError(
                f"{what}: it needs the C library of another system, whose {linker} is not there",
                hint="--provider cpu makes a program that needs none",
            )
        if is_sure:
            raise DeviceError(f"{what}: {said.rpartition(': ')[2]}")

    def pull(self, remote: str, to: Path) -> None:
        """See Transport."""
        with tempfile.TemporaryFile() as sent:
            self._script("fetching files", scripts.PACK, remote, on_bytes=sent.write)
            sent.seek(0)
            try:
                archive.unpack(sent, to)
            except tarfile.TarError as error:
                raise DeviceError(f"{self.name} sent no archive of {remote}: {error}") from error
            except OSError as error:
                raise OutputError(
                    f"{to} cannot be written: {error}", hint="set TMPDIR to a folder with room"
                ) from error

    def discard(self, folder: str) -> None:
        """See Transport."""
        self._script("removing files", scripts.REMOVE, folder)
        self._sources = {name: path for name, path in self._sources.items() if not name.startswith(f"{folder}/")}

    def clear(self) -> None:
        """Removes the kept files. Other connections keep their folders."""
        self._script("removing files", scripts.CLEAR, self.base)


def _base_name(path: str) -> str:
    return PurePosixPath(path).name


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
