"""A device behind ssh, by the user's own OpenSSH client: their configuration, agent, keys and jump hosts.

There is one connection: the guard's, a ControlMaster with a socket of its own. It never asks for a password, for a
question would wait for ever where nobody looks.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgeort.devices.channel import Channel, ProcessChannel, converse
from edgeort.devices.connection import ConnectionLost
from edgeort.devices.remote import Remote
from edgeort.devices.transport import Output
from edgeort.errors import DeviceError

_FOLDER = ".edgeort"  # in the folder that stands in --on
_ANSWER_S = 15.0
_LOST = 255  # what ssh exits with when it is about the connection
_LONGEST_SOCKET = 104  # bytes of a socket's path on macOS; ssh adds 17 while it makes one
_OPTIONS = {
    "BatchMode": "yes",
    "ClearAllForwardings": "yes",
    "ControlPersist": "no",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "LogLevel": "ERROR",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "ServerAliveInterval": "10",
    "ServerAliveCountMax": "3",
}
_NO_QUESTIONS = {"SSH_ASKPASS_REQUIRE": "never"}  # of jump hosts, which get no BatchMode
_INSTALL = "apt install openssh-client"


@dataclass(frozen=True)
class Destination:
    """`[user@]host[:port][/folder]`: what is None is as the user's configuration has it."""

    user: str | None
    host: str
    port: int | None
    folder: str | None = None

    @property
    def login(self) -> str:
        """user@host."""
        return f"{self.user}@{self.host}" if self.user else self.host

    @property
    def arguments(self) -> list[str]:
        """For ssh, and for a person's command line."""
        return [*(["-p", str(self.port)] if self.port else []), self.login]

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        user, port = f"{self.user}@" if self.user else "", f":{self.port}" if self.port else ""
        return f"ssh:{user}{host}{port}{self.folder or ''}"


class Ssh(Remote):
    """See the module. DeviceError when there is no connection: why, and what would help."""

    def __init__(self, to: Destination, patience_s: int = 10) -> None:
        if os.name == "nt":
            raise DeviceError("OpenSSH for Windows cannot share a connection", hint="run edgeort in WSL")
        self._to = to
        self._options = {**_OPTIONS, "ConnectTimeout": str(patience_s)}
        self._sockets: Path | None = None
        self._master: ProcessChannel | None = None
        super().__init__(str(to), f"{to.folder.rstrip('/')}/{_FOLDER}" if to.folder else "")

    def _open_guard(self, command: str) -> Channel:
        self._sockets = Path(tempfile.mkdtemp(prefix="edgeort-", dir=_short_folder()))
        options = {**self._options, "ControlMaster": "yes", "ControlPath": f"{self._sockets}/ssh"}
        self._master = self._start(options, command)
        return self._master

    def _open(self, command: str) -> Channel:
        if self._master is None or self._master.has_ended():
            raise ConnectionLost
        # Without the socket ssh would make a connection of its own; the proxy keeps it from that.
        own = {"ControlMaster": "no", "ControlPath": f"{self._sockets}/ssh", "ProxyCommand": "false"}
        return self._start({**self._options, **own}, command)

    def _start(self, options: dict[str, str], command: str) -> ProcessChannel:
        words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        port = ["-p", str(self._to.port)] if self._to.port else []
        try:
            return ProcessChannel(["ssh", *words, *port, "--", self._to.login, command], _NO_QUESTIONS, apart=True)
        except OSError as error:
            self._disconnect()
            raise DeviceError(f"ssh cannot be started: {error.strerror}", hint=_INSTALL) from error

    @property
    def _elsewhere(self) -> str:
        return f"another folder: --on {str(self._to).partition('/')[0]}/FOLDER"

    def _is_lost(self, output: Output) -> bool:
        if output.status != _LOST:
            return False
        try:  # a program may end with that status, too
            return converse(self._open("exit 0"), timeout_s=_ANSWER_S).status != 0
        except (ConnectionLost, TimeoutError):
            return True

    def _disconnect(self) -> None:
        if self._master is not None:
            self._master.kill()
            self._master = None
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None

    def _refusal(self, said: str) -> DeviceError:
        last = said.splitlines()[-1] if said else "ssh says nothing"
        found = next((row for row in _REFUSALS if row[0] in said), None)
        _, why, hint = found or ("", "{last}", "ssh -v {login} true")
        ports = {"port": self._to.port or 22, "host": self._to.host, "login": " ".join(self._to.arguments)}
        entry = f"[{self._to.host}]:{self._to.port}" if self._to.port else self._to.host
        return DeviceError(
            f"{self.name} cannot be reached: {why.format(last=last, **ports)}", hint=hint.format(entry=entry, **ports)
        )


def _short_folder() -> str | None:
    """Where sockets go: the folder for temporary files, unless its path is too long for them."""
    short = len(os.fsencode(tempfile.gettempdir())) + len("/edgeort-12345678/ssh") + 17 < _LONGEST_SOCKET
    return None if short else "/tmp"


# What ssh says -> what it means, and what would help. The first that matches.
_REFUSALS = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host key is not the one that was known: it was set up anew, or another machine answers",
        "if you know why: ssh-keygen -R '{entry}'; then ssh {login} true",
    ),
    (
        "Host key verification failed",
        "its host key is not known",
        "ssh {login} true, which shows the key's fingerprint and asks whether it is the right one",
    ),
    (
        "Permission denied",
        "it does not accept any key of yours ({last})",
        "ssh-copy-id {login}; a key with a passphrase: ssh-add",
    ),
    ("Too many authentication failures", "it refused before the right key came", "IdentitiesOnly yes in ~/.ssh/config"),
    (
        "Connection refused",
        "nothing listens on port {port} there",
        "is sshd running? On the device: systemctl start ssh",
    ),
    ("timed out", "it does not answer", "is it on, and in this network? ping {host}"),
    ("No route to host", "there is no way to it", "is it on, and in this network? ping {host}"),
    ("Network is unreachable", "there is no way to it", "is this machine in its network? ping {host}"),
    ("Could not resolve hostname", "the name {host} is not known", "its address instead of its name"),
    ("not found", "it has no POSIX shell ({last})", "devices need sh, tar and the usual programs"),
)
