"""An Android device behind adb: the adb server of this machine, spoken to by adbutils."""

from __future__ import annotations

import contextlib
import select
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from edgeort.devices.channel import STDERR, STDOUT, Channel
from edgeort.devices.connection import ConnectionLost
from edgeort.devices.remote import Remote
from edgeort.devices.transport import Output
from edgeort.errors import DeviceError, MissingExtraError

if TYPE_CHECKING:
    import adbutils

BASE = "/data/local/tmp/edgeort"
_INSTALL = "pip install 'edgeort[adb]'"
_ANSWER_S = 10.0
_PASSING, _SETTLES_S = ("connecting", "authorizing"), 3.0
# Packets of adb's shell protocol, version 2: one byte for what it is, four for the length, little-endian.
_STDIN, _EXIT, _CLOSE_STDIN = 0, 3, 3
_LARGEST = 1 << 15
_LOST = 256  # no program can exit with it


class AdbChannel:
    """A command by the shell protocol, version 2 (Android 7 and newer): three streams and the exit status apart."""

    def __init__(self, connection: adbutils.AdbConnection) -> None:
        self._connection = connection
        self._received = bytearray()
        self._status = _LOST

    def _send(self, kind: int, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._connection.conn.settimeout(None)
            self._connection.conn.sendall(bytes([kind]) + len(data).to_bytes(4, "little") + data)

    def send(self, data: bytes) -> None:
        """See Channel."""
        for at in range(0, len(data), _LARGEST):
            self._send(_STDIN, data[at : at + _LARGEST])

    def finish(self) -> None:
        """See Channel."""
        self._send(_CLOSE_STDIN, b"")

    def receive(self, timeout_s: float) -> tuple[int, bytes] | None:
        """See Channel."""
        while (packet := self._packet()) is None:
            if self._connection.closed:
                return None
            try:
                if not select.select([self._connection.conn], [], [], timeout_s)[0]:
                    raise TimeoutError
                data = self._connection.conn.recv(_LARGEST)
            except TimeoutError:
                raise
            except OSError:
                data = b""
            if not data:
                return None
            self._received += data
        kind, data = packet
        if kind == _EXIT:
            self._status = data[0]
            return None
        return (kind, data) if kind in (STDOUT, STDERR) else self.receive(timeout_s)

    def _packet(self) -> tuple[int, bytes] | None:
        if len(self._received) < 5:
            return None
        end = 5 + int.from_bytes(self._received[1:5], "little")
        if len(self._received) < end:
            return None
        kind, data = self._received[0], bytes(self._received[5:end])
        del self._received[:end]
        return kind, data

    def status(self) -> int:
        """See Channel. _LOST where the connection ended before the command."""
        self._connection.close()
        return self._status

    def kill(self) -> None:
        """Closes the connection: the guard of the device ends the rest."""
        self._connection.close()


class Adb(Remote):
    """See the module. DeviceError when there is no such device, or when it cannot be spoken to."""

    def __init__(self, serial: str | None = None) -> None:
        serial = serial or _only_serial()
        end = time.monotonic() + _SETTLES_S
        while (state := states().get(serial, "absent")) in _PASSING and time.monotonic() < end:
            time.sleep(0.2)
        if state != "device":
            raise _not_ready(serial, state)
        import adbutils

        self._device = adbutils.AdbDevice(client(), serial)
        super().__init__(f"adb:{serial}", BASE)

    def _open_guard(self, command: str) -> Channel:
        import adbutils

        try:
            if "shell_v2" not in self._device.get_features().split(","):
                raise DeviceError(f"{self.name} is older than Android 7", hint="edgeort needs Android 7 or newer")
            return self._open(command)
        except (adbutils.AdbError, ConnectionLost) as error:
            state = states().get(str(self._device.serial), "absent")
            if state != "device":
                raise _not_ready(str(self._device.serial), state) from error
            raise self._refusal(str(error)) from error

    def _open(self, command: str) -> Channel:
        import adbutils

        try:
            connection = self._device.open_transport(timeout=_ANSWER_S)
            connection.send_command(f"shell,v2,raw:{command}")
            connection.check_okay()
        except (adbutils.AdbError, OSError) as error:
            raise ConnectionLost(str(error)) from error
        return AdbChannel(connection)

    def _disconnect(self) -> None:
        pass

    @property
    def _elsewhere(self) -> str:
        return f"adb -s {self._device.serial} shell df {BASE}"

    def _is_lost(self, output: Output) -> bool:
        return output.status == _LOST

    def _refusal(self, said: str) -> DeviceError:
        return DeviceError(f"{self.name} cannot be used: {said or 'adb says nothing'}", hint=f"{_adb()} devices -l")


def client() -> adbutils.AdbClient:
    """The adb server of this machine, which is started where it does not run. DeviceError, MissingExtraError."""
    try:
        import adbutils
    except ImportError as error:
        raise MissingExtraError(f"adbutils cannot be imported: {error}", hint=_INSTALL) from error
    found = adbutils.AdbClient()
    try:
        socket.create_connection((found.host, found.port), timeout=_ANSWER_S).close()
        return found
    except OSError:
        pass
    program = shutil.which("adb") or str(adbutils.adb_path())
    done = subprocess.run([program, "-P", str(found.port), "start-server"], capture_output=True, timeout=60)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise DeviceError(f"the adb server does not start: {said}", hint=f"{program} start-server")
    return found


def states() -> dict[str, str]:
    """Serial numbers of what is attached, and whether each is a ready `device`, `unauthorized`, `offline`, ..."""
    server = client()
    import adbutils

    try:
        return {found.serial: found.state for found in server.list()}
    except (adbutils.AdbError, OSError) as error:
        raise DeviceError(f"the adb server does not answer: {error}", hint=f"{_adb()} kill-server") from error


def _only_serial() -> str:
    """The one device that is attached. DeviceError where there is none, and where there are several: which?"""
    found = states()
    if not found:
        raise DeviceError("no Android device is attached", hint=_ATTACH)
    if len(found) > 1:
        each = ", ".join(f"adb:{serial}{'' if state == 'device' else f' ({state})'}" for serial, state in found.items())
        first = next((serial for serial, state in found.items() if state == "device"), next(iter(found)))
        raise DeviceError(f"{len(found)} Android devices are attached: which? {each}", hint=f"--on adb:{first}")
    return next(iter(found))


def _not_ready(serial: str, state: str) -> DeviceError:
    why, hint = _STATES.get(state, (f"adb says {state!r}", "adb devices -l"))
    return DeviceError(f"adb:{serial} cannot be used: {why}", hint=hint)


def _adb() -> str:
    return shutil.which("adb") or "python -m adbutils"


_ATTACH = "on the device: Settings, Developer options, USB debugging; then adb devices"
_STATES = {
    "absent": ("it is not attached", "edgeort devices lists what is"),
    "unauthorized": (
        "it does not trust this machine yet",
        "unlock it and confirm 'Allow USB debugging?'; if it does not ask: adb reconnect offline",
    ),
    "authorizing": ("it is being asked whether it trusts this machine", "unlock it and confirm, then again"),
    "offline": ("it is attached and does not answer", "adb reconnect offline; or plug it in again, or restart it"),
    "no permissions": (
        "this user may not open its USB port",
        "udev rules: apt install android-sdk-platform-tools-common",
    ),
    "bootloader": ("it is in its boot loader", "fastboot reboot"),
    "recovery": ("it is in recovery mode", "adb reboot"),
}
