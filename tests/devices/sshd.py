"""A real OpenSSH server of the current user, whose sessions run in a `Userland`; and a client that is set up for it."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.devices.userland import Userland

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"


def need_sshd(*others: str) -> None:
    """Skips the test where there is no server to start, or one of `others` is not installed."""
    for program in (SSHD, "ssh", "ssh-keygen", *others):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}: apt install openssh-server openssh-client proot qemu-user-static")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Sshd:
    """The server, in a folder of its own. `bin` has an `ssh` that reads the configuration there and not the user's."""

    def __init__(self, folder: Path, userland: Userland) -> None:
        self.folder, self.userland, self.port = folder, userland, free_port()
        (folder / "bin").mkdir(parents=True)
        for name in ("host", "user", "other"):
            self.make_key(name)
        shutil.copy(folder / "user.pub", folder / "authorized_keys")
        script = userland.script(folder / "enter")
        options = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": folder / "host",
            "AuthorizedKeysFile": folder / "authorized_keys",
            "ForceCommand": script,
            "PidFile": "none",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "MaxSessions": 20,
        }
        (folder / "sshd_config").write_text("".join(f"{key} {value}\n" for key, value in options.items()))
        self.trust_host()
        self.configure()
        program = folder / "bin/ssh"
        program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/ssh_config "$@"\n')
        program.chmod(0o755)
        self._server: subprocess.Popen[bytes] | None = None

    def make_key(self, name: str) -> None:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name], check=True)

    def trust_host(self, key: str = "host") -> None:
        words = (self.folder / f"{key}.pub").read_text().split()[:2]
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {' '.join(words)}\n")

    def configure(self, **others: object) -> None:
        """The client's configuration, in which `board` is this server, and `hop` as well."""
        options = {
            "HostName": "127.0.0.1",
            "Port": self.port,
            "User": getpass.getuser(),
            "IdentityFile": self.folder / "user",
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.folder / "known_hosts",
            **others,
        }
        lines = "".join(f"  {key} {value}\n" for key, value in options.items())
        hop = "".join(f"  {key} {value}\n" for key, value in options.items() if key not in others)
        (self.folder / "ssh_config").write_text(f"Host board 127.0.0.1\n{lines}Host hop\n{hop}")

    def start(self) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where a server of root's locks its children in
        log = (self.folder / "log").open("ab")
        command = [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")]
        self._server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self._server.poll() is not None:
                pytest.skip(f"sshd does not start here: {(self.folder / 'log').read_text()[-300:]}")
            time.sleep(0.05)
        raise AssertionError("sshd does not answer")

    def drop_connections(self, *, for_good: bool = False) -> None:
        """Kills the server's children, as a lost network looks to the client; `for_good`: first the server."""
        assert self._server
        children = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children").read_text().split()
        if for_good:
            self.stop()
        for child in children:
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # it has just ended by itself
                for grandchild in Path(f"/proc/{child}/task/{child}/children").read_text().split():
                    if Path(f"/proc/{grandchild}/comm").read_text().startswith("sshd"):
                        os.kill(int(grandchild), signal.SIGKILL)
                os.kill(int(child), signal.SIGKILL)

    def connections(self) -> int:
        """How many have been accepted so far."""
        return (self.folder / "log").read_text(errors="replace").count("Accepted publickey")

    def stop(self) -> None:
        if self._server is not None:
            self._server.terminate()
            self._server.wait()
            self._server = None
