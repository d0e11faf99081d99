"""A connection to a device: its guard, commands one after the other, and the end, also where it breaks.

See `scripts` for what the guard is.
"""

from __future__ import annotations

import secrets
import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from edgeort.device_profiles.host import system_named
from edgeort.devices import scripts
from edgeort.devices.channel import STDERR, STDOUT, Channel, converse
from edgeort.devices.transport import Output
from edgeort.errors import DeviceError

CONNECT_S = 30.0  # ssh and adb have shorter limits of their own
TRANSFER_S = 1800.0
_TIDY_S = 20.0
_FULL = ("No space left", "Wrote only", "short write", "Disk quota exceeded")  # words of several tars
_LEFT = "the device removes it when it notices that the connection is gone, else the next run does"


class ConnectionLost(Exception):
    """The way to the device broke while something was being done there."""


def command_line(script: str, *arguments: str) -> str:
    """What any login shell takes: sh with the script and its arguments."""
    return shlex.join(["exec", "sh", "-c", script.strip(), "edgeort", *arguments])


class Connection(ABC):
    """It stands when it is made, with a run folder there. Subclasses say how a command line gets to the device."""

    def __init__(self, where: str, base: str = "") -> None:
        """`where` as --on has it; `base` is edgeort's folder there, "" for the one in the user's cache folder."""
        self.name = where
        self._base = base
        self._run = ""
        self._system = ("", "")
        self._guard: Channel | None = None
        self._start_guard()

    @abstractmethod
    def _open(self, command: str) -> Channel:
        """Starts a command line of the device's shell. ConnectionLost, or DeviceError that says what is the matter."""

    @abstractmethod
    def _open_guard(self, command: str) -> Channel:
        """Starts the command that lasts as long as the connection, and makes that where it does not stand yet."""

    @abstractmethod
    def _disconnect(self) -> None:
        """Ends what this machine keeps of the connection."""

    @abstractmethod
    def _is_lost(self, output: Output) -> bool:
        """Whether a command ended because the connection did."""

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

    def _start_guard(self, lost: str = "") -> None:
        """Connects; `lost` is the run folder of a connection that broke, which is removed."""
        guard = self._open_guard(command_line(scripts.GUARD, self._base, secrets.token_hex(4), lost))
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
            raise DeviceError(
                f"{self.name} did not answer within {CONNECT_S:.0f} s", hint="edgeort devices lists what answers"
            ) from None
        words = {key: rest for key, _, rest in (line.partition(" ") for line in said[STDOUT].decode().splitlines())}
        if "edgeort-system" not in words:
            guard.kill()
            self._disconnect()
            raise self._not_begun(said[STDERR].decode(errors="replace").strip())
        os, machine, *rest = words["edgeort-system"].split()
        self._guard, self._run = guard, words["edgeort-run"]
        self._system = system_named("Android" if rest else os, machine)

    def _not_begun(self, said: str) -> DeviceError:
        if any(sign in said for sign in _FULL):
            return self._full(said)
        if "Read-only file system" in said or "edgeort" in said:
            return DeviceError(f"{self.name} has no place for files: {said}", hint=self._elsewhere)
        return self._refusal(said)

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
                doing, command_line(script, *arguments), data=data, on_bytes=on_bytes, timeout_s=TRANSFER_S
            )
        except TimeoutError:
            raise DeviceError(f"{self.name} did not end {doing} within {TRANSFER_S:.0f} s") from None
        if check and output.status:
            said = output.stderr.strip()
            if any(sign in said for sign in _FULL):
                raise self._full(said)
            raise DeviceError(f"{self.name} failed at {doing}, with status {output.status}: {said}")
        return output

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
        raise self._lost(doing)

    def _lost(self, doing: str) -> DeviceError:
        """What to raise where the connection broke; what is there of the run is removed, if it can be."""
        if self._guard is not None:
            self._guard.kill()
            self._guard = None
        self._disconnect()
        gone = self._tidy_again()
        rest = "what was there of this run is removed" if gone else f"{self._run} may be left there: {_LEFT}"
        hint = "run the command again" if gone else f"later: {self._clearing}"
        return DeviceError(f"the connection to {self.name} was lost while {doing}; {rest}", hint=hint)

    def _full(self, said: str) -> DeviceError:
        line = next(line for line in said.splitlines() if any(sign in line for sign in _FULL))
        return DeviceError(f"the disk of {self.name} is full: {line}", hint=f"{self._clearing}, or {self._elsewhere}")

    @property
    @abstractmethod
    def _elsewhere(self) -> str:
        """What else can be done where the folder there is of no use."""

    @property
    def _clearing(self) -> str:
        return f"edgeort devices --clear {self.name}"

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
