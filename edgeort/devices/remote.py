"""What the transports to other machines share: a folder there for a run, files by content, programs, and tidying up."""

from __future__ import annotations

import hashlib
import secrets
import shlex
import tarfile
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from edgeort.bundle import Manifest
from edgeort.devices import archive, scripts
from edgeort.devices.channel import STDERR, STDOUT, Channel, converse
from edgeort.devices.transport import TIMEOUT_S, Output
from edgeort.errors import DeviceError, OutputError

CONNECT_S = 30.0  # ssh and adb have shorter limits of their own
TRANSFER_S = 1800.0
_TIDY_S = 20.0
_ASKED_AT_ONCE = 500  # hashes in one command
_ARCHS = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
_ARCHS |= {"armv7l": "armv7", "armv8l": "armv7"}
_OSES = {"Linux": "linux", "Darwin": "macos"}
_SIGNALS = range(129, 160)  # exit statuses by which a shell says 128 + the signal that ended a program
_SIGILL = -4


class ConnectionLost(Exception):
    """The way to the device broke while something was being done there."""


class Remote(ABC):
    """A connection with a run folder of its own. Subclasses say how a script gets to the device."""

    is_real = True

    def __init__(self, where: str, base: str = "") -> None:
        """`where` as --on has it; `base` is edgeort's folder there, "" for the one in the user's cache folder."""
        self.name = where
        self._base = base
        self._run = ""
        self._system = ("", "")
        self._pushed = 0
        self._guard: Channel | None = None
        self._start_guard()

    @abstractmethod
    def _open(self, command: str) -> Channel:
        """Starts a command line of the device's shell. ConnectionLost, or DeviceError that says what is the matter."""

    @abstractmethod
    def _open_guard(self, command: str) -> Channel:
        """Starts the command that lasts as long as the connection, and makes that where it does not stand yet."""

    @abstractmethod
    def _refusal(self, said: str) -> DeviceError:
        """Why there is no connection, from the last words of whoever makes them."""

    @property
    def system(self) -> tuple[str, str]:
        """As profiles name it, or as uname does where no profile can."""
        return self._system

    @property
    def base(self) -> str:
        """The folder that edgeort has there."""
        return self._run.rpartition("/runs/")[0]

    def admit(self, manifest: Manifest) -> Mapping[str, str]:
        """Nothing is needed. DeviceError for a bundle of another system."""
        target, (os, arch) = manifest.target, self._system
        static = manifest.provider == "cpu" and {target.os, os} <= {"linux", "android"}
        older = target.arch == "armv7" and arch == "aarch64"  # most 64-bit Arm cores run both
        if (target.os != os and not static) or (target.arch != arch and not older):
            raise DeviceError(
                f"{self.name} is {os}/{arch}; the bundle is for {target.os}/{target.arch} ({manifest.device})",
                hint="edgeort devices lists the profile that fits; edgeort build MODEL --device PROFILE",
            )
        if not manifest.harness:
            raise DeviceError(f"a bundle of {manifest.provider} has no program that measures it")
        return {}

    def push(self, files: Mapping[str, Path], *, keep: bool = True) -> str:
        """See Transport."""
        self._pushed += 1
        to = f"{self._run}/{self._pushed}"
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
        pid = f"{self._run}/{secrets.token_hex(4)}.pid"
        variables = [f"{key}={value}" for key, value in (environment or {}).items()]
        command = _command(scripts.EXECUTE, pid, *(["env", *variables] if variables else []), *arguments)
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
        if status in (126, 127):
            raise self._not_started(arguments[0], output.stderr.strip())
        return Output(status, output.stdout, output.stderr)

    def _not_started(self, program: str, said: str) -> DeviceError:
        """Why a program could not be started."""
        state = self._script("looking at a program", scripts.WHY_NOT, program, check=False).stdout.strip()
        what, said = f"{self.name} cannot start {_base_name(program)}", said.rpartition(": ")[2]
        if state == "closed":
            folder = f"a folder whose file system is not mounted noexec: --on {self.name.split('/')[0]}/FOLDER"
            return DeviceError(f"{what}: {self.base} is on a file system without executables", hint=folder)
        if state == "executable" and program.startswith(self._run):
            return DeviceError(
                f"{what}: its dynamic linker is not there, or it is for another system ({said})",
                hint="--provider cpu makes a program that needs none",
            )
        return DeviceError(f"{what}: {said}")

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

    def clear(self) -> None:
        """Removes everything of edgeort there, the kept files and the folders of other connections as well."""
        self._script("removing files", scripts.CLEAR, self.base)

    def close(self) -> None:
        """See Transport. DeviceError where something stays behind: what, and where."""
        guard, self._guard = self._guard, None
        if guard is None:
            return
        try:
            said = converse(guard, timeout_s=_TIDY_S).stdout
        except TimeoutError:
            said = ""
        self._disconnect()
        if "edgeort-gone" not in said and not self._tidy_again():
            raise DeviceError(f"{self._run} stays on {self.name}: {_LEFT}", hint=self._clearing)

    @abstractmethod
    def _disconnect(self) -> None:
        """Ends what this machine keeps of the connection."""

    def _tidy_again(self) -> bool:
        """Connects once more, and removes the run folder of before. Whether that went well."""
        lost = self._run
        try:
            self._start_guard(lost)
        except DeviceError:
            self._disconnect()
            self._run = lost
            return False
        guard, self._guard = self._guard, None
        try:
            gone = guard is not None and "edgeort-gone" in converse(guard, timeout_s=_TIDY_S).stdout
        except TimeoutError:
            gone = False
        self._disconnect()
        self._run = lost
        return gone

    @property
    def _clearing(self) -> str:
        return f"edgeort devices --clear {self.name}"

    def _start_guard(self, lost: str = "") -> None:
        """Connects; `lost` is the run folder of a connection that broke, which is removed."""
        guard = self._open_guard(_command(scripts.GUARD, self._base, secrets.token_hex(4), lost))
        said = {STDOUT: bytearray(), STDERR: bytearray()}
        try:
            while b"edgeort-system" not in said[STDOUT] or not said[STDOUT].endswith(b"\n"):
                found = guard.receive(CONNECT_S)
                if found is None:
                    break
                said[found[0]] += found[1]
        except BaseException as error:
            guard.kill()
            self._disconnect()
            if not isinstance(error, TimeoutError):
                raise
            raise DeviceError(f"{self.name} did not answer within {CONNECT_S:.0f} s") from None
        words = {key: rest for key, _, rest in (line.partition(" ") for line in said[STDOUT].decode().splitlines())}
        if "edgeort-system" not in words:
            guard.kill()
            self._disconnect()
            raise self._not_begun(said[STDERR].decode(errors="replace").strip())
        os, machine, *rest = words["edgeort-system"].split()
        self._guard, self._run = guard, words["edgeort-run"]
        self._system = ("android" if rest else _OSES.get(os, os.lower()), _ARCHS.get(machine, machine))

    def _not_begun(self, said: str) -> DeviceError:
        if "No space left" in said:
            return self._full(said)
        if "Read-only file system" in said or "edgeort" in said:
            return DeviceError(f"{self.name} has no place for files: {said}", hint=self._elsewhere)
        return self._refusal(said)

    @property
    def _elsewhere(self) -> str:
        return f"another folder: --on {self.name.split('/')[0]}/FOLDER"

    def _script(
        self,
        doing: str,
        script: str,
        *arguments: str,
        data: Iterable[bytes] = (),
        on_bytes: Callable[[bytes], object] | None = None,
        check: bool = True,
    ) -> Output:
        """Runs one of `scripts`. DeviceError when it fails, unless that is not to be checked."""
        try:
            output = self._converse(
                doing, _command(script, *arguments), data=data, on_bytes=on_bytes, timeout_s=TRANSFER_S
            )
        except TimeoutError:
            raise DeviceError(f"{self.name} did not end {doing} within {TRANSFER_S:.0f} s") from None
        if check and output.status:
            said = output.stderr.strip()
            if "No space left" in said or "Disk quota" in said:
                raise self._full(said)
            raise DeviceError(f"{self.name} failed at {doing}, with status {output.status}: {said}")
        return output

    def _full(self, said: str) -> DeviceError:
        last = said.splitlines()[-1] if said else ""
        return DeviceError(f"the disk of {self.name} is full: {last}", hint=f"{self._clearing}, or {self._elsewhere}")

    def _converse(
        self,
        doing: str,
        command: str,
        *,
        data: Iterable[bytes] = (),
        on_line: Callable[[str], None] | None = None,
        on_bytes: Callable[[bytes], object] | None = None,
        timeout_s: float,
    ) -> Output:
        """What a command line of the device says. DeviceError when the connection breaks; what is there is removed."""
        if self._guard is None:
            raise DeviceError(f"the connection to {self.name} is closed")
        try:
            channel = self._open(command)
            output = converse(channel, data=data, on_line=on_line, on_bytes=on_bytes, timeout_s=timeout_s)
            if not self._is_lost(output):
                return output
        except ConnectionLost:
            pass
        self._guard.kill()
        self._guard = None
        self._disconnect()
        gone = self._tidy_again()
        rest = "what was there of this run is removed" if gone else f"{self._run} may be left there: {_LEFT}"
        hint = "run the command again" if gone else f"later: {self._clearing}"
        raise DeviceError(f"the connection to {self.name} was lost while {doing}; {rest}", hint=hint)

    @abstractmethod
    def _is_lost(self, output: Output) -> bool:
        """Whether a command ended because the connection did."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except DeviceError as left:
            if error is None:
                raise
            error.add_note(str(left))


_LEFT = "the device removes it when it notices that the connection is gone, else the next run does"


def _command(script: str, *arguments: str) -> str:
    """A command line that any login shell takes: sh with the script and its arguments."""
    return shlex.join(["exec", "sh", "-c", script.strip(), "edgeort", *arguments])


def _base_name(path: str) -> str:
    return PurePosixPath(path).name


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
